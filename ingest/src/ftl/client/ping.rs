//! The 24-byte and 12-byte UDP pings, whose echo measures the round trip.

use std::time::Duration;

use bytes::Bytes;

/// Second byte of a ping.
const KIND: u8 = 250;

/// Which build of the SDK to resemble.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PingForm {
    /// 24 bytes, as 64-bit Linux and macOS send them.
    #[default]
    Unix,
    /// 12 bytes, as Windows sends them: shorter than an RTP header with its one announced CSRC.
    Windows,
}

/// A ping that carries `wall`, the time since 1970.
pub(super) fn ping(form: PingForm, wall: Duration) -> Bytes {
    let (seconds, micros) = (wall.as_secs(), wall.subsec_micros());
    let mut ping = Vec::with_capacity(24);
    match form {
        PingForm::Unix => {
            ping.extend_from_slice(&[0x81, KIND, 0, 24, 0, 0, 0, 0]);
            ping.extend_from_slice(&seconds.to_le_bytes());
            ping.extend_from_slice(&u64::from(micros).to_le_bytes());
        }
        PingForm::Windows => {
            ping.extend_from_slice(&[0x81, KIND, 0, 12]);
            // A Windows `timeval` holds 32 bits of seconds.
            ping.extend_from_slice(&u32::try_from(seconds).unwrap_or(u32::MAX).to_le_bytes());
            ping.extend_from_slice(&micros.to_le_bytes());
        }
    }
    Bytes::from(ping)
}

/// Whether a datagram is a ping, judged as the SDK judges.
pub(super) fn is_ping(datagram: &[u8]) -> bool {
    matches!(datagram, [first, KIND, ..] if first & 0x1f == 1)
}

/// The time inside an echoed ping.
pub(super) fn echoed_time(datagram: &[u8]) -> Option<Duration> {
    if !is_ping(datagram) {
        return None;
    }
    let (seconds, micros) = match datagram.len() {
        24 => (
            u64::from_le_bytes(datagram[8..16].try_into().ok()?),
            u64::from_le_bytes(datagram[16..24].try_into().ok()?),
        ),
        12 => (
            u64::from(u32::from_le_bytes(datagram[4..8].try_into().ok()?)),
            u64::from(u32::from_le_bytes(datagram[8..12].try_into().ok()?)),
        ),
        _ => return None,
    };
    (micros < 1_000_000).then(|| Duration::from_secs(seconds) + Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_the_real_ones() {
        let wall = Duration::from_micros(1_700_000_000_123_456);
        assert_eq!(
            hex::encode(ping(PingForm::Unix, wall)),
            "81fa00180000000000f153650000000040e2010000000000"
        );
        assert_eq!(hex::encode(ping(PingForm::Windows, wall)), "81fa000c00f1536540e20100");
        for form in [PingForm::Unix, PingForm::Windows] {
            assert_eq!(echoed_time(&ping(form, wall)), Some(wall), "{form:?}");
        }
    }

    #[test]
    fn other_datagrams_are_no_echo() {
        for datagram in [&[][..], &[0x81], &[0x81, 250], &[0x80, 96, 0, 0], &[0x81; 24]] {
            assert_eq!(echoed_time(datagram), None);
        }
    }
}
