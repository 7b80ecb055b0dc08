//! DTLS 1.2 through OpenSSL, as the passive side wherever the peer lets us, because that one chooses the SRTP profile.

mod context;
mod datagrams;
mod endpoint;
mod fingerprint;
mod identity;
mod last_flight;
mod sys;
#[cfg(test)]
mod tests;

pub use context::DtlsContext;
pub use endpoint::{DtlsEndpoint, DtlsRole, DtlsStatus};
pub use fingerprint::{Fingerprint, FingerprintError, FingerprintHash};
pub use identity::Identity;
pub use last_flight::LastFlight;

use crate::srtp::SrtpError;

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DtlsError {
    /// The handshake broke, or OpenSSL refused; the text is its own.
    #[error("DTLS: {0}")]
    OpenSsl(String),
    /// The peer stopped answering: the last flight was sent as often as OpenSSL sends one.
    #[error("DTLS: the peer stopped answering")]
    TimedOut,
    /// The peer's certificate is not the one its SDP announced.
    #[error("the peer's certificate does not match the fingerprint in its SDP")]
    FingerprintMismatch,
    /// The peer offered no SRTP profile that we speak.
    #[error("no SRTP profile in common")]
    NoSrtpProfile,
}

impl From<openssl::error::ErrorStack> for DtlsError {
    fn from(error: openssl::error::ErrorStack) -> Self {
        Self::OpenSsl(error.to_string())
    }
}

impl From<SrtpError> for DtlsError {
    fn from(error: SrtpError) -> Self {
        Self::OpenSsl(format!("exported keys: {error}"))
    }
}

/// Whether a datagram is DTLS by its first byte (RFC 7983).
pub fn is_dtls(datagram: &[u8]) -> bool {
    matches!(datagram.first(), Some(20..=63))
}

/// Whether a datagram starts with an alert record. After the handshake it cannot be read any more (the keys
/// are freed) and anybody may write one, so it may shorten patience and never end a session.
pub fn is_alert(datagram: &[u8]) -> bool {
    datagram.len() > RECORD_HEADER && datagram[0] == ALERT && datagram[1] == DTLS_MAJOR
}

const RECORD_HEADER: usize = 13;
const ALERT: u8 = 21;
const DTLS_MAJOR: u8 = 254;
