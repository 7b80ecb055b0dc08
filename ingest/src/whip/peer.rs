//! One publisher's transport as a machine without sockets: ICE-lite, DTLS, SRTP, and behind them its media.

use std::{
    collections::VecDeque,
    fmt,
    net::SocketAddr,
    time::{Duration, Instant},
};

use heliograph_edge::{
    dtls::{self, DtlsContext, DtlsEndpoint, DtlsError, DtlsStatus, Identity},
    ice::{CheckOutcome, IceCredentials, IceLite},
    path::{Path, UdpPath},
    sdp::Incoming,
    srtp::{RtcpOpener, RtcpSealer, RtpOpener, SrtpError, SrtpKeys},
};
use heliograph_media::rtcp;

use super::reception::{Reception, Transmit, WhipHealth};

/// One publisher behind its datagrams.
pub(super) struct Peer {
    ice: IceLite,
    dtls: DtlsEndpoint,
    keys: Option<Srtp>,
    flight: Flight,
    reception: Reception,
    began: Instant,
    out: VecDeque<Outgoing>,
    ended: Option<PeerEnd>,
    /// Not authentic, or of nobody.
    rejected: u64,
}

/// What both directions are sealed with.
struct Srtp {
    rtp: RtpOpener,
    rtcp: RtcpOpener,
    sealer: RtcpSealer,
}

/// A datagram to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outgoing {
    /// To the publisher.
    Peer(UdpPath, Vec<u8>),
    /// To the relay's port for this channel.
    Relay(Vec<u8>),
}

/// Why a publisher's transport is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PeerEnd {
    /// The handshake broke; the words are for logs.
    HandshakeFailed(String),
    /// No encrypted connection in time.
    HandshakeTimeout,
    /// An authentic goodbye.
    Goodbye,
    /// No authenticated check for too long (RFC 7675).
    Silent,
}

impl Peer {
    /// Waits for the checks of the publisher whose offer was `incoming`.
    ///
    /// # Errors
    /// When OpenSSL cannot make the connection object.
    pub(super) fn new(
        now: Instant,
        credentials: &IceCredentials,
        incoming: &Incoming,
        context: &DtlsContext,
        identity: &Identity,
        reception: Reception,
    ) -> Result<Self, DtlsError> {
        let mut ice = IceLite::new(credentials);
        ice.set_remote(&incoming.remote_ufrag);
        Ok(Self {
            ice,
            dtls: DtlsEndpoint::new(context, identity, incoming.fingerprints.clone(), incoming.role)?,
            keys: None,
            flight: Flight::default(),
            reception,
            began: now,
            out: VecDeque::new(),
            ended: None,
            rejected: 0,
        })
    }

    /// A datagram that arrived at our port. Returns the sender's address when it has just proven itself: datagrams
    /// from there are this publisher's from now on.
    pub(super) fn on_datagram(
        &mut self,
        now: Instant,
        path: UdpPath,
        bytes: &mut [u8],
    ) -> Option<SocketAddr> {
        match bytes.first() {
            Some(0..=3) => return self.on_stun(now, path, bytes),
            Some(20..=63) => self.on_dtls(now, path, bytes),
            Some(128..=191) => self.on_srtp(now, bytes),
            _ => self.rejected += 1,
        }
        self.transmit();
        None
    }

    /// RTCP from the relay.
    pub(super) fn on_relay_datagram(&mut self, now: Instant, bytes: &[u8]) {
        self.reception.on_relay_datagram(now, bytes);
        self.transmit();
    }

    /// The moment of [`Self::deadline`] has come.
    pub(super) fn on_deadline(&mut self, now: Instant) {
        if self.keys.is_none() {
            if self.dtls.next_timeout().is_some_and(|left| left.is_zero()) {
                self.dtls.handle_timeout();
                self.after_dtls();
            }
            if now >= self.began + HANDSHAKE_LIMIT {
                self.end(PeerEnd::HandshakeTimeout);
            }
        } else {
            if now >= self.silence_limit() {
                self.end(PeerEnd::Silent);
            }
            self.reception.on_deadline(now);
        }
        self.transmit();
    }

    /// When to call [`Self::on_deadline`].
    pub(super) fn deadline(&self, now: Instant) -> Instant {
        if self.keys.is_none() {
            let limit = self.began + HANDSHAKE_LIMIT;
            return self.dtls.next_timeout().map_or(limit, |left| limit.min(now + left));
        }
        self.reception.deadline(now).min(self.silence_limit())
    }

    /// The next datagram to send. Call until there is none.
    pub(super) fn next_outgoing(&mut self) -> Option<Outgoing> {
        self.out.pop_front()
    }

    /// Why it is over, when it is.
    pub(super) fn ended(&self) -> Option<&PeerEnd> {
        self.ended.as_ref()
    }

    /// The encrypted connection stands.
    pub(super) fn is_connected(&self) -> bool {
        self.keys.is_some()
    }

    /// ICE restart: the publisher checks under new names from now on.
    pub(super) fn restart(&mut self, credentials: &IceCredentials, remote_ufrag: &str) {
        self.ice.restart(credentials, remote_ufrag);
    }

    /// Tells the relay that the media ends and the publisher that the connection does.
    pub(super) fn finish(&mut self) {
        self.reception.finish();
        self.dtls.close();
        let _ = self.send_dtls();
        self.transmit();
    }

    /// The last time media came; before the first, when the session began.
    pub(super) fn last_media(&self) -> Instant {
        self.reception.last_media()
    }

    /// How it goes.
    pub(super) fn health(&self, now: Instant) -> WhipHealth {
        let mut health = self.reception.health(now);
        health.malformed += self.rejected;
        health
    }

    fn silence_limit(&self) -> Instant {
        self.ice.last_check().unwrap_or(self.began) + SILENCE_LIMIT
    }

    fn on_stun(&mut self, now: Instant, path: UdpPath, bytes: &[u8]) -> Option<SocketAddr> {
        let mut answer = Vec::new();
        let outcome = self.ice.on_datagram(now, Path::Udp(path), bytes, &mut answer);
        let CheckOutcome::Answered { fresh, .. } = outcome else {
            self.rejected += 1;
            return None;
        };
        if !answer.is_empty() {
            self.out.push_back(Outgoing::Peer(path, answer));
        }
        if self.keys.is_none() && self.ice.selected().is_some() {
            self.dtls.start();
            self.after_dtls();
        }
        fresh.then_some(path.remote)
    }

    fn on_dtls(&mut self, now: Instant, path: UdpPath, bytes: &[u8]) {
        if !self.ice.validated(Path::Udp(path)) {
            return self.rejected += 1;
        }
        if let Some(round_trip) = self.flight.answered(now) {
            self.reception.on_handshake(round_trip);
        }
        self.dtls.handle_datagram(bytes);
        if self.after_dtls() {
            self.flight.sent(now);
        }
    }

    /// Whether there was something to send.
    fn after_dtls(&mut self) -> bool {
        let sent = self.send_dtls();
        match self.dtls.status() {
            DtlsStatus::Handshaking => {}
            DtlsStatus::Connected(keys) if self.keys.is_none() => match Srtp::new(&keys) {
                Ok(srtp) => self.keys = Some(srtp),
                Err(error) => self.end(PeerEnd::HandshakeFailed(error.to_string())),
            },
            DtlsStatus::Connected(_) => {}
            DtlsStatus::AlertReceived => self.end(PeerEnd::Goodbye),
            DtlsStatus::Failed(error) => self.end(PeerEnd::HandshakeFailed(error.to_string())),
        }
        sent
    }

    /// Whether there was something to send.
    fn send_dtls(&mut self) -> bool {
        let mut sent = false;
        while let Some(datagram) = self.dtls.poll_transmit() {
            if let Some(Path::Udp(path)) = self.ice.selected() {
                self.out.push_back(Outgoing::Peer(path, datagram));
                sent = true;
            }
        }
        sent
    }

    fn on_srtp(&mut self, now: Instant, bytes: &mut [u8]) {
        let Some(keys) = &mut self.keys else { return self.rejected += 1 };
        if rtcp::is_rtcp(bytes) {
            match keys.rtcp.open(bytes) {
                Ok(plain) => self.reception.on_rtcp(now, plain),
                Err(_) => self.rejected += 1,
            }
        } else {
            match keys.rtp.open(bytes) {
                Ok((_, length)) => self.reception.on_rtp(now, &bytes[..length]),
                // A packet that came twice is nobody's fault.
                Err(SrtpError::Replayed) => {}
                Err(_) => self.rejected += 1,
            }
        }
    }

    /// Passes on what the reception has to say.
    fn transmit(&mut self) {
        while let Some(transmit) = self.reception.next_transmit() {
            match transmit {
                Transmit::Relay(datagram) => self.out.push_back(Outgoing::Relay(datagram)),
                Transmit::Publisher(plain) => {
                    let (Some(keys), Some(Path::Udp(path))) = (&mut self.keys, self.ice.selected()) else {
                        continue;
                    };
                    let mut sealed = Vec::with_capacity(plain.len() + SEALED_OVERHEAD);
                    match keys.sealer.seal(&plain, &mut sealed) {
                        Ok(()) => self.out.push_back(Outgoing::Peer(path, sealed)),
                        Err(error) => tracing::debug!(%error, "RTCP to a publisher cannot be sealed"),
                    }
                }
            }
        }
    }

    fn end(&mut self, end: PeerEnd) {
        self.ended.get_or_insert(end);
    }
}

/// The round trip of the handshake: from our flight to the publisher's answer. A hello of ours does not count, because the
/// publisher may not be listening yet. Our first timeout is short, so that on a long
/// way the flight goes out again before the first one can be answered: it is the first that counts. Where that got lost it is
/// too long, until a retransmission of media measures better.
#[derive(Debug, Default)]
enum Flight {
    #[default]
    None,
    Sent(Instant),
    Over,
}

impl Flight {
    fn sent(&mut self, now: Instant) {
        if matches!(self, Self::None) {
            *self = Self::Sent(now);
        }
    }

    fn answered(&mut self, now: Instant) -> Option<Duration> {
        let Self::Sent(sent) = *self else { return None };
        *self = Self::Over;
        Some(now.saturating_duration_since(sent))
    }
}

impl Srtp {
    fn new(keys: &SrtpKeys) -> Result<Self, SrtpError> {
        Ok(Self {
            rtp: RtpOpener::new(&keys.remote)?,
            rtcp: RtcpOpener::new(&keys.remote)?,
            sealer: RtcpSealer::new(&keys.local)?,
        })
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("reception", &self.reception).finish_non_exhaustive()
    }
}

/// Whether a datagram may be a publisher's at all (RFC 7983): STUN, DTLS, or RTP and RTCP.
pub(super) fn is_ours(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(0..=3 | 128..=191)) || dtls::is_dtls(bytes)
}

/// From the answer to an encrypted connection.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(15);
/// RFC 7675: consent is asked for every 5 s and good for 30 s.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);
const SEALED_OVERHEAD: usize = 4 + 16;
