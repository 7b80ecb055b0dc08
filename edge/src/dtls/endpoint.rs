//! One handshake.

use std::{mem, time::Duration};

use openssl::error::ErrorStack;
use openssl::srtp::{SrtpProfileId, SrtpProtectionProfileRef};
use openssl::ssl::{ErrorCode, ShutdownState, Ssl, SslStream};
use zeroize::Zeroizing;

use super::datagrams::{Datagrams, MAX_DATAGRAM};
use super::{DtlsContext, DtlsError, Fingerprint, Identity, sys};
use crate::srtp::{Profile, SrtpKeys};

/// How far the handshake is.
#[derive(Clone, Debug)]
pub enum DtlsStatus {
    /// Flights are going to and fro.
    Handshaking,
    /// Done; these are the keys.
    Connected(SrtpKeys),
    /// Over.
    Failed(DtlsError),
    /// The peer sent an authentic close_notify or fatal alert after the handshake.
    AlertReceived,
}

/// Who sends the ClientHello.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DtlsRole {
    /// The peer does; we are the server and choose the SRTP profile.
    #[default]
    Passive,
    /// We do, towards a peer that insists on being passive.
    Active,
}

/// Our side of one DTLS connection.
///
/// Feed it from ICE-validated paths only: before the handshake is done, anybody who can write a datagram can
/// end it. Needs about 50 KiB while it lives.
pub struct DtlsEndpoint {
    stream: SslStream<Datagrams>,
    expected: Vec<Fingerprint>,
    role: DtlsRole,
    started: bool,
    status: DtlsStatus,
}

/// Datagrams we send stay this small (bytes of UDP payload): it fits through every tunnel.
const MTU: u32 = 1200;
const EXPORTER_LABEL: &str = "EXTRACTOR-dtls_srtp";

impl DtlsEndpoint {
    /// Waits for a ClientHello. `expected` are the fingerprints of the peer's SDP; one of them must match.
    ///
    /// # Errors
    /// When OpenSSL cannot make the connection object.
    pub fn accept(
        context: &DtlsContext,
        identity: &Identity,
        expected: Vec<Fingerprint>,
    ) -> Result<Self, DtlsError> {
        Self::new(context, identity, expected, DtlsRole::Passive)
    }

    /// The same in either role. The active one says nothing before [`start`](Self::start).
    ///
    /// # Errors
    /// When OpenSSL cannot make the connection object.
    pub fn new(
        context: &DtlsContext,
        identity: &Identity,
        expected: Vec<Fingerprint>,
        role: DtlsRole,
    ) -> Result<Self, DtlsError> {
        let mut ssl = Ssl::new(context.context())?;
        ssl.set_certificate(identity.certificate())?;
        ssl.set_private_key(identity.key())?;
        ssl.set_mtu(MTU)?;
        match role {
            DtlsRole::Passive => ssl.set_accept_state(),
            DtlsRole::Active => ssl.set_connect_state(),
        }
        sys::set_timer(&mut ssl);
        let stream = SslStream::new(ssl, Datagrams::default())?;
        Ok(Self { stream, expected, role, started: false, status: DtlsStatus::Handshaking })
    }

    /// There is a way to the peer: whoever is active says hello. Does nothing in the passive role, or a second time.
    pub fn start(&mut self) {
        if self.role == DtlsRole::Active && !mem::replace(&mut self.started, true) {
            self.handshake();
        }
    }

    /// Takes one datagram from an ICE-validated path.
    pub fn handle_datagram(&mut self, datagram: &[u8]) {
        // An empty read would mean the end of the stream.
        if datagram.is_empty() || datagram.len() > MAX_DATAGRAM {
            return;
        }
        match self.status {
            DtlsStatus::Handshaking => {
                self.stream.get_mut().put(datagram);
                self.handshake();
            }
            DtlsStatus::Connected(_) => {
                self.stream.get_mut().put(datagram);
                self.read();
            }
            DtlsStatus::Failed(_) | DtlsStatus::AlertReceived => {}
        }
    }

    /// The next datagram to send, until `None`. Ask after every call that may have written.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.stream.get_mut().take()
    }

    /// How long from now until [`handle_timeout`](Self::handle_timeout) wants to be called; `None` when no
    /// timer runs.
    ///
    /// The clock is OpenSSL's own, the system's time of day.
    pub fn next_timeout(&self) -> Option<Duration> {
        matches!(self.status, DtlsStatus::Handshaking).then(|| sys::timeout(self.stream.ssl())).flatten()
    }

    /// Sends the last flight again when its timer has run out; harmless before.
    pub fn handle_timeout(&mut self) {
        if matches!(self.status, DtlsStatus::Handshaking) && !sys::handle_timeout(&mut self.stream) {
            // Leaves nothing behind for the next connection on this thread.
            drop(ErrorStack::get());
            self.status = DtlsStatus::Failed(DtlsError::TimedOut);
        }
    }

    /// How far we are.
    pub fn status(&self) -> DtlsStatus {
        self.status.clone()
    }

    /// Tells the peer with close_notify that it is over; the datagram comes out of
    /// [`poll_transmit`](Self::poll_transmit). Does nothing before the handshake is done.
    pub fn close(&mut self) {
        if matches!(self.status, DtlsStatus::Connected(_)) {
            self.send_close_notify();
        }
    }

    fn handshake(&mut self) {
        match self.stream.do_handshake() {
            Ok(()) => {
                self.status = match self.agreed_keys() {
                    Ok(keys) => DtlsStatus::Connected(keys),
                    Err(error) => {
                        self.send_close_notify();
                        DtlsStatus::Failed(error)
                    }
                };
            }
            Err(error) if matches!(error.code(), ErrorCode::WANT_READ | ErrorCode::WANT_WRITE) => {}
            Err(error) => self.status = DtlsStatus::Failed(DtlsError::OpenSsl(error.to_string())),
        }
    }

    /// After the handshake there is nothing to read but alerts and late flights of the peer, which OpenSSL
    /// answers.
    fn read(&mut self) {
        let mut ignored = [0; 1024];
        while self.stream.ssl_read(&mut ignored).is_ok() {}
        if self.stream.get_shutdown().contains(ShutdownState::RECEIVED) {
            self.status = DtlsStatus::AlertReceived;
        }
    }

    fn agreed_keys(&self) -> Result<SrtpKeys, DtlsError> {
        let ssl = self.stream.ssl();
        let certificate = ssl.peer_certificate().ok_or(DtlsError::FingerprintMismatch)?;
        if !self.expected.iter().any(|fingerprint| fingerprint.matches(&certificate)) {
            return Err(DtlsError::FingerprintMismatch);
        }
        let profile = match ssl.selected_srtp_profile().map(SrtpProtectionProfileRef::id) {
            Some(SrtpProfileId::SRTP_AEAD_AES_128_GCM) => Profile::AeadAes128Gcm,
            Some(SrtpProfileId::SRTP_AEAD_AES_256_GCM) => Profile::AeadAes256Gcm,
            Some(SrtpProfileId::SRTP_AES128_CM_SHA1_80) => Profile::Aes128CmSha1_80,
            _ => return Err(DtlsError::NoSrtpProfile),
        };
        let mut material = Zeroizing::new(vec![0; SrtpKeys::material_len(profile)]);
        ssl.export_keying_material(&mut material, EXPORTER_LABEL, None)?;
        let keys = SrtpKeys::of_server(profile, &material)?;
        Ok(if self.role == DtlsRole::Active { keys.of_the_other_side() } else { keys })
    }

    fn send_close_notify(&mut self) {
        if self.stream.shutdown().is_err() {
            drop(ErrorStack::get());
        }
    }
}

impl std::fmt::Debug for DtlsEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DtlsEndpoint").field("status", &self.status).finish_non_exhaustive()
    }
}
