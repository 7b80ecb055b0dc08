//! SRTP and SRTCP (RFC 3711, RFC 7714) on `aws-lc-rs`: key schedules once per session, nothing allocated per
//! packet.

mod cipher;
mod kdf;
mod keys;
mod replay;
mod rtcp;
mod rtp;
#[cfg(test)]
mod tests;

pub use keys::{MasterKey, Profile, SrtpKeys};
pub use rtcp::{RtcpOpener, RtcpSealer};
pub use rtp::{PacketIndex, RtpOpener, RtpSealer};

/// Why a packet was not sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SrtpError {
    /// Too short, or not RTP or RTCP.
    #[error("malformed packet")]
    Malformed,
    /// Forged, damaged, or under other keys.
    #[error("authentication failed")]
    NotAuthentic,
    /// Seen before, or too old to tell.
    #[error("replayed packet")]
    Replayed,
    /// SRTCP without encryption, which WebRTC forbids (RFC 8827 section 6.5).
    #[error("SRTCP packet is not encrypted")]
    NotEncrypted,
    /// The peer uses more synchronisation sources than we keep state for.
    #[error("too many sources")]
    TooManySources,
    /// The output buffer is too small.
    #[error("output buffer too small")]
    NoRoom,
    /// The packet index ran out; the session needs new keys.
    #[error("packet index exhausted")]
    Exhausted,
    /// The header's sequence number is not that of the index.
    #[error("header and packet index disagree")]
    WrongIndex,
    /// Key or salt has the wrong length for the profile.
    #[error("wrong key length")]
    BadKey,
}
