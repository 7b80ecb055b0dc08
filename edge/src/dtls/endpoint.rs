//! One handshake.

use std::time::Duration;

use super::{Fingerprint, Identity};
use crate::srtp::SrtpKeys;

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DtlsError {
    /// OpenSSL refused; the text is its own.
    #[error("DTLS: {0}")]
    OpenSsl(String),
    /// The peer's certificate is not the one its SDP announced.
    #[error("the peer's certificate does not match the fingerprint in its SDP")]
    FingerprintMismatch,
    /// The peer offered no SRTP profile that we speak.
    #[error("no SRTP profile in common")]
    NoSrtpProfile,
}

/// How far the handshake is.
#[derive(Clone, Debug)]
pub enum DtlsStatus {
    /// Flights are going to and fro.
    Handshaking,
    /// Done; these are the keys.
    Connected(SrtpKeys),
    /// Over.
    Failed(DtlsError),
    /// The peer sent an authentic close_notify or fatal alert.
    AlertReceived,
}

/// Settings shared by all handshakes. Thread safe, made once.
#[derive(Clone)]
pub struct DtlsContext {}

impl DtlsContext {
    /// Prepares the shared settings.
    ///
    /// # Errors
    /// When OpenSSL lacks DTLS 1.2 or the ciphers.
    pub fn new() -> Result<Self, DtlsError> {
        todo!()
    }
}

/// The passive side of one DTLS connection.
pub struct DtlsEndpoint {}

impl DtlsEndpoint {
    /// Waits for a ClientHello. `expected` are the fingerprints of the peer's SDP; one of them must match.
    ///
    /// # Errors
    /// When OpenSSL cannot make the connection object.
    pub fn accept(
        _context: &DtlsContext,
        _identity: &Identity,
        _expected: Vec<Fingerprint>,
    ) -> Result<Self, DtlsError> {
        todo!()
    }

    /// Takes one datagram from an ICE-validated path.
    pub fn handle_datagram(&mut self, _datagram: &[u8]) {
        todo!()
    }

    /// The next datagram to send, until `None`. Ask after every call that may have written.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        todo!()
    }

    /// How long from now until [`handle_timeout`](Self::handle_timeout) wants to be called; `None` when no timer runs.
    pub fn next_timeout(&self) -> Option<Duration> {
        todo!()
    }

    /// Sends the last flight again when its timer has run out.
    pub fn handle_timeout(&mut self) {
        todo!()
    }

    /// How far we are.
    pub fn status(&self) -> DtlsStatus {
        todo!()
    }

    /// Tells the peer with close_notify (connected) that it is over; the datagram comes out of
    /// [`poll_transmit`](Self::poll_transmit).
    pub fn close(&mut self) {
        todo!()
    }
}
