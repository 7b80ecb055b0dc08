//! RTP packets.

use super::cipher::SessionCipher;
use super::replay::Sources;
use super::{MasterKey, SrtpError, kdf};

/// A packet's index (RFC 3711 section 3.3.1): rollover counter in the upper, sequence number in the lower 16
/// of 48 bits.
///
/// The counter starts at 0 with a source's first packet, whatever its sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketIndex(pub u64);

impl PacketIndex {
    /// The last index under one key.
    pub const MAX: Self = Self((1 << 48) - 1);

    /// How often the sequence number has wrapped.
    pub const fn rollover(self) -> u32 {
        (self.0 >> 16) as u32
    }

    /// The sequence number on the wire.
    pub const fn wire(self) -> u16 {
        self.0 as u16
    }
}

/// Seals RTP packets of any number of sources under one key.
pub struct RtpSealer {
    pub(super) cipher: SessionCipher,
}

impl RtpSealer {
    /// Expands the key once.
    ///
    /// # Errors
    /// Never for keys that came out of a handshake.
    pub fn new(key: &MasterKey) -> Result<Self, SrtpError> {
        Ok(Self { cipher: SessionCipher::new(key, kdf::RTP)? })
    }

    /// Bytes that [`seal`](Self::seal) adds.
    pub fn overhead(&self) -> usize {
        self.cipher.tag_len()
    }

    /// Writes `header`, the encrypted `parts` and the tag into `out` and returns how many bytes that is.
    /// Nothing is allocated; the parts are read where they lie (the first is an RTX packet's original
    /// sequence number, or empty).
    ///
    /// **A pair of SSRC and index may be sealed once**, or again with the very same bytes: a second text
    /// under one GCM nonce gives the authentication key away.
    ///
    /// # Errors
    /// `NoRoom`, `Malformed` (header shorter than 12 bytes), `WrongIndex`, `Exhausted`: faults of the caller.
    #[inline]
    pub fn seal(
        &self,
        index: PacketIndex,
        header: &[u8],
        parts: [&[u8]; 2],
        out: &mut [u8],
    ) -> Result<usize, SrtpError> {
        let ssrc = source(header)?;
        if [header[2], header[3]] != index.wire().to_be_bytes() {
            return Err(SrtpError::WrongIndex);
        }
        if index > PacketIndex::MAX {
            return Err(SrtpError::Exhausted);
        }
        let plain_len = header.len() + parts[0].len() + parts[1].len();
        let sealed_len = plain_len + self.cipher.tag_len();
        let out = out.get_mut(..sealed_len).ok_or(SrtpError::NoRoom)?;
        out[..header.len()].copy_from_slice(header);
        match &self.cipher {
            SessionCipher::Gcm(gcm) => {
                gcm.seal(ssrc, index.0, header, parts, &mut out[header.len()..])?;
            }
            SessionCipher::Cm(cm) => {
                let (packet, tag) = out.split_at_mut(plain_len);
                let (first, second) = packet[header.len()..].split_at_mut(parts[0].len());
                first.copy_from_slice(parts[0]);
                second.copy_from_slice(parts[1]);
                cm.apply_keystream(ssrc, index.0, &mut packet[header.len()..])?;
                tag.copy_from_slice(&cm.tag(packet, &index.rollover().to_be_bytes()));
            }
        }
        Ok(sealed_len)
    }
}

/// Opens RTP packets: finds the rollover counter, checks the tag, refuses replays.
pub struct RtpOpener {
    cipher: SessionCipher,
    sources: Sources<WINDOW_WORDS>,
}

/// 1024 packets, as browsers keep: an uplink of 20 Mbit/s may reorder over half a second.
const WINDOW_WORDS: usize = 16;

impl RtpOpener {
    /// Expands the key once.
    ///
    /// # Errors
    /// Never for keys that came out of a handshake.
    pub fn new(key: &MasterKey) -> Result<Self, SrtpError> {
        SessionCipher::new(key, kdf::RTP).map(Self::with)
    }

    pub(super) const fn with(cipher: SessionCipher) -> Self {
        Self { cipher, sources: Sources::new() }
    }

    /// Opens a packet in place; the plain packet is `packet[..n]` for the returned `n`.
    ///
    /// # Errors
    /// `Malformed`, `NotAuthentic`, `Replayed`, `TooManySources`; the packet's bytes are then worthless.
    pub fn open(&mut self, packet: &mut [u8]) -> Result<(PacketIndex, usize), SrtpError> {
        let header_len = header_len(packet)?;
        let plain_len = packet
            .len()
            .checked_sub(self.cipher.tag_len())
            .filter(|len| *len >= header_len)
            .ok_or(SrtpError::Malformed)?;
        let ssrc = source(packet)?;
        let key = u32::from_be_bytes(ssrc);
        self.sources.has_room(key)?;
        let window = self.sources.get(key);
        let index = likely_index(
            window.and_then(super::replay::ReplayWindow::highest),
            u16::from_be_bytes([packet[2], packet[3]]),
        )?;
        if let Some(window) = window {
            window.check(index.0)?;
        }
        match &self.cipher {
            SessionCipher::Gcm(gcm) => {
                let (header, body) = packet.split_at_mut(header_len);
                gcm.open(ssrc, index.0, header, body)?;
            }
            SessionCipher::Cm(cm) => {
                let (plain, tag) = packet.split_at_mut(plain_len);
                cm.verify(plain, &index.rollover().to_be_bytes(), tag)?;
                cm.apply_keystream(ssrc, index.0, &mut plain[header_len..])?;
            }
        }
        self.sources.accept(key, index.0);
        Ok((index, plain_len))
    }
}

/// RFC 3711 appendix A: the index nearest to the highest one seen.
fn likely_index(highest: Option<u64>, seq: u16) -> Result<PacketIndex, SrtpError> {
    let Some(highest) = highest else { return Ok(PacketIndex(seq.into())) };
    let distance = i64::from(seq.wrapping_sub(highest as u16) as i16);
    highest
        .checked_add_signed(distance)
        .map(PacketIndex)
        .filter(|index| *index <= PacketIndex::MAX)
        .ok_or(SrtpError::Replayed)
}

fn source(header: &[u8]) -> Result<[u8; 4], SrtpError> {
    match header {
        [first, ..] if header.len() >= 12 && first >> 6 == 2 => {
            Ok([header[8], header[9], header[10], header[11]])
        }
        _ => Err(SrtpError::Malformed),
    }
}

/// Length of the header with contributing sources and extension (RFC 3550 section 5.1).
fn header_len(packet: &[u8]) -> Result<usize, SrtpError> {
    let first = *packet.first().ok_or(SrtpError::Malformed)?;
    let mut len = 12 + 4 * usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        let words = packet.get(len + 2..len + 4).ok_or(SrtpError::Malformed)?;
        len += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
    }
    if packet.len() < len { Err(SrtpError::Malformed) } else { Ok(len) }
}
