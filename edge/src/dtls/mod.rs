//! DTLS 1.2 through OpenSSL, always as the passive side, which chooses the SRTP profile.

mod endpoint;
mod fingerprint;
mod identity;

pub use endpoint::{DtlsContext, DtlsEndpoint, DtlsError, DtlsStatus};
pub use fingerprint::{Fingerprint, FingerprintHash};
pub use identity::Identity;

/// Whether a datagram is DTLS by its first byte (RFC 7983).
pub fn is_dtls(datagram: &[u8]) -> bool {
    matches!(datagram.first(), Some(20..=63))
}

/// Whether a datagram starts with an alert record. After the handshake it cannot be read any more (the keys are freed) and
/// anybody may write one, so it may shorten patience and never end a session.
pub fn is_alert(datagram: &[u8]) -> bool {
    datagram.len() > 13 && datagram[0] == 21 && datagram[1] == 254
}
