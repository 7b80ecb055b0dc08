//! RTCP packets.

use super::cipher::{SessionCipher, SessionKey};
use super::replay::Sources;
use super::{MasterKey, SrtpError, kdf};

/// The first eight bytes of a compound packet stay in clear (RFC 3711 section 3.4).
const CLEAR: usize = 8;
const INDEX: usize = 4;
/// The flag in front of the 31-bit index: encrypted.
const ENCRYPTED: u32 = 1 << 31;

/// Seals compound RTCP packets, numbering them as it goes.
pub struct RtcpSealer {
    pub(super) key: SessionKey,
    /// One counter for all our sources: what must not repeat is the pair, and a gap harms nobody.
    pub(super) next_index: u32,
}

impl RtcpSealer {
    /// Derives the session key.
    ///
    /// # Errors
    /// Never for keys that came out of a handshake.
    pub fn new(key: &MasterKey) -> Result<Self, SrtpError> {
        Ok(Self { key: SessionKey::derive(key, kdf::RTCP)?, next_index: 0 })
    }

    /// Appends the sealed form of the compound packet `plain` to `out`.
    ///
    /// # Errors
    /// `Malformed` (shorter than 8 bytes), `Exhausted` after 2^31 packets.
    pub fn seal(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), SrtpError> {
        let ssrc = source(plain)?;
        if self.next_index >= ENCRYPTED {
            return Err(SrtpError::Exhausted);
        }
        let cipher = self.key.expand()?;
        let index = self.next_index;
        self.next_index += 1;
        let word = (index | ENCRYPTED).to_be_bytes();
        let start = out.len();
        out.extend_from_slice(&plain[..CLEAR]);
        match &cipher {
            SessionCipher::Gcm(gcm) => {
                let authenticated = authenticated(plain, word);
                out.resize(start + plain.len() + cipher.tag_len(), 0);
                let sealed = &mut out[start + CLEAR..];
                gcm.seal(ssrc, index.into(), &authenticated, [&[], &plain[CLEAR..]], sealed)?;
                out.extend_from_slice(&word);
            }
            SessionCipher::Cm(cm) => {
                out.extend_from_slice(&plain[CLEAR..]);
                cm.apply_keystream(ssrc, index.into(), &mut out[start + CLEAR..])?;
                out.extend_from_slice(&word);
                let tag = cm.tag(&out[start..], &[]);
                out.extend_from_slice(&tag);
            }
        }
        Ok(())
    }
}

/// Opens compound RTCP packets; refuses replays with a window of 64 per source.
pub struct RtcpOpener {
    key: SessionKey,
    sources: Sources<1>,
}

impl RtcpOpener {
    /// Derives the session key.
    ///
    /// # Errors
    /// Never for keys that came out of a handshake.
    pub fn new(key: &MasterKey) -> Result<Self, SrtpError> {
        SessionKey::derive(key, kdf::RTCP).map(Self::with)
    }

    pub(super) const fn with(key: SessionKey) -> Self {
        Self { key, sources: Sources::new() }
    }

    /// Opens a packet in place and returns the plain compound packet.
    ///
    /// # Errors
    /// `Malformed`, `NotAuthentic`, `NotEncrypted`, `Replayed`, `TooManySources`; the packet's bytes are then
    /// worthless.
    pub fn open<'p>(&mut self, packet: &'p mut [u8]) -> Result<&'p [u8], SrtpError> {
        let ssrc = source(packet)?;
        let cipher = self.key.expand()?;
        let plain_len = packet
            .len()
            .checked_sub(INDEX + cipher.tag_len())
            .filter(|len| *len >= CLEAR)
            .ok_or(SrtpError::Malformed)?;
        let word_at = match &cipher {
            SessionCipher::Gcm(_) => packet.len() - INDEX,
            SessionCipher::Cm(_) => plain_len,
        };
        let mut word = [0; INDEX];
        word.copy_from_slice(&packet[word_at..word_at + INDEX]);
        let index = u32::from_be_bytes(word);
        if index & ENCRYPTED == 0 {
            return Err(SrtpError::NotEncrypted);
        }
        let index = u64::from(index & !ENCRYPTED);
        let key = u32::from_be_bytes(ssrc);
        self.sources.has_room(key)?;
        if let Some(window) = self.sources.get(key) {
            window.check(index)?;
        }
        match &cipher {
            SessionCipher::Gcm(gcm) => {
                let authenticated = authenticated(packet, word);
                gcm.open(ssrc, index, &authenticated, &mut packet[CLEAR..word_at])?;
            }
            SessionCipher::Cm(cm) => {
                let (signed, tag) = packet.split_at_mut(plain_len + INDEX);
                cm.verify(signed, &[], tag)?;
                cm.apply_keystream(ssrc, index, &mut signed[CLEAR..plain_len])?;
            }
        }
        self.sources.accept(key, index);
        Ok(&packet[..plain_len])
    }
}

/// RFC 7714 section 9.2: the clear header and the index word.
fn authenticated(packet: &[u8], word: [u8; INDEX]) -> [u8; CLEAR + INDEX] {
    let mut authenticated = [0; CLEAR + INDEX];
    authenticated[..CLEAR].copy_from_slice(&packet[..CLEAR]);
    authenticated[CLEAR..].copy_from_slice(&word);
    authenticated
}

fn source(packet: &[u8]) -> Result<[u8; 4], SrtpError> {
    match packet {
        [first, _, _, _, a, b, c, d, ..] if first >> 6 == 2 => Ok([*a, *b, *c, *d]),
        _ => Err(SrtpError::Malformed),
    }
}
