//! What the publisher writes into each payload, and what a probe reads back: when it was sent, which packet of its track
//! it is, and a checksum over the whole payload.

use crate::sys::clock::Mono;

/// Says that a stamp follows; the digit changes with the layout.
const MAGIC: [u8; 4] = *b"HLs1";
/// Magic, moment, number, checksum.
const LEN: usize = 4 + 8 + 8 + 8;

/// Which packet, and when it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// When it was given to the kernel.
    pub(crate) sent: Mono,
    /// Counts the packets of a track from 0.
    pub(crate) number: u64,
}

/// What a payload turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// A stamp, and every byte is as it was sent.
    Whole(Stamp),
    /// There was a stamp once, but something changed on the way.
    Damaged,
    /// No stamp: a parameter set, or somebody else's media.
    None,
}

impl Stamp {
    /// Least length of a payload with `before` bytes in front of the stamp.
    pub(crate) const fn least(before: usize) -> usize {
        before + LEN
    }

    /// Writes the stamp `before` bytes into a payload of at least [`Stamp::least`] bytes; all others are covered by the
    /// checksum as they stand.
    pub(crate) fn write(self, payload: &mut [u8], before: usize) {
        let stamp = &mut payload[before..before + LEN];
        stamp[..4].copy_from_slice(&MAGIC);
        stamp[4..12].copy_from_slice(&self.sent.0.to_be_bytes());
        stamp[12..20].copy_from_slice(&self.number.to_be_bytes());
        let sum = checksum(payload, before + 20);
        payload[before + 20..before + LEN].copy_from_slice(&sum.to_be_bytes());
    }

    /// Reads the stamp `before` bytes into a payload.
    pub(crate) fn read(payload: &[u8], before: usize) -> Reading {
        let Some(stamp) = payload.get(before..before + LEN) else { return Reading::None };
        if stamp[..4] != MAGIC {
            return Reading::None;
        }
        let number = |at: usize| stamp[at..at + 8].try_into().map(u64::from_be_bytes).unwrap_or_default();
        if number(20) != checksum(payload, before + 20) {
            return Reading::Damaged;
        }
        Reading::Whole(Stamp { sent: Mono(number(4)), number: number(12) })
    }
}

/// FNV-1a over words of eight bytes, without the checksum itself, and over the length.
fn checksum(payload: &[u8], sum_at: usize) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut sum = 0xcbf2_9ce4_8422_2325 ^ payload.len() as u64;
    for part in [&payload[..sum_at], &payload[sum_at + 8..]] {
        for chunk in part.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            sum = (sum ^ u64::from_le_bytes(word)).wrapping_mul(PRIME);
            // FNV's low bits never hear of the high ones.
            sum ^= sum >> 32;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp { sent: Mono(0x0123_4567_89ab_cdef), number: 77 };

    fn payload() -> Vec<u8> {
        let mut payload: Vec<u8> = (0..123).collect();
        STAMP.write(&mut payload, 3);
        payload
    }

    #[test]
    fn what_was_written_is_read() {
        assert_eq!(Stamp::read(&payload(), 3), Reading::Whole(STAMP));
        let mut shortest = vec![0; Stamp::least(1)];
        STAMP.write(&mut shortest, 1);
        assert_eq!(Stamp::read(&shortest, 1), Reading::Whole(STAMP));
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let whole = payload();
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut payload = whole.clone();
                payload[at] ^= 1 << bit;
                assert!(!matches!(Stamp::read(&payload, 3), Reading::Whole(_)), "byte {at} bit {bit}");
            }
        }
        assert_eq!(Stamp::read(&whole[..whole.len() - 1], 3), Reading::Damaged);
        assert_eq!(Stamp::read(&[whole.as_slice(), &[0]].concat(), 3), Reading::Damaged);
    }

    #[test]
    fn other_payloads_have_none() {
        for payload in [&[][..], &[0x67, 0x42], &[0; 200]] {
            assert_eq!(Stamp::read(payload, 3), Reading::None);
        }
    }
}
