//! One publisher: its control connection, its media port, its seat in the house.

use std::{
    future::pending,
    io,
    net::SocketAddr,
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures_util::future::{BoxFuture, FutureExt as _};
use heliograph_media::{NtpTime, Ssrc};
use heliograph_relay::TrackDescription;
use rand::RngExt as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
    time::timeout,
};
use tracing::Instrument as _;

use super::{shared::Shared, sockets};
use crate::{
    auth::{Attempt, Door, EndReason, PublicationMetadata, SessionId},
    ftl::{
        control::{Announcement, Code, Control, ControlSettings, Step},
        media::{MediaHealth, MediaParameters, MediaSession, Transmit},
    },
    house::{Guest, Place, Refusal, Seat, SeatEvent},
    tcp,
    wait::{finished, sleep_until},
};

/// One control connection from its first byte to its end, with everything that belongs to it.
pub(super) struct Session {
    shared: Arc<Shared>,
    stream: TcpStream,
    remote: SocketAddr,
    local: SocketAddr,
    id: SessionId,
    control: Control,
    last_control: Instant,
    /// Until the key is proven.
    place: Option<Place>,
    checking: Option<BoxFuture<'static, Result<Guest, Refusal>>>,
    /// From the verdict until it has a seat.
    guest: Option<Guest>,
    opening: Option<BoxFuture<'static, Result<Opened, Refusal>>>,
    announcement: Option<Announcement>,
    media: Option<Media>,
    stopping: bool,
}

/// Set while the session is live.
struct Media {
    machine: MediaSession,
    port: MediaPort,
    seat: Seat,
    next_tick: Instant,
}

/// A media port that goes back to the pool when it is dropped.
struct MediaPort {
    shared: Arc<Shared>,
    port: u16,
    socket: UdpSocket,
    /// The publisher knows it, so stragglers may come.
    told: bool,
}

impl Drop for MediaPort {
    fn drop(&mut self) {
        self.shared.ports().give_back(Instant::now(), self.port, self.told);
    }
}

/// What a publisher needs to go live.
struct Opened {
    port: MediaPort,
    seat: Seat,
}

impl Session {
    pub(super) fn new(
        shared: Arc<Shared>,
        stream: TcpStream,
        remote: SocketAddr,
        place: Place,
    ) -> io::Result<Self> {
        tcp::prepare(&stream)?;
        let local = stream.local_addr()?;
        let now = Instant::now();
        let settings = ControlSettings {
            handshake_timeout: shared.settings.handshake_timeout,
            ping_timeout: shared.settings.ping_timeout,
        };
        let fresh_challenge = || rand::rng().random::<[u8; CHALLENGE_BYTES]>().to_vec();
        Ok(Self {
            shared,
            stream,
            remote,
            local,
            id: SessionId(rand::rng().random()),
            control: Control::new(now, settings, Box::new(fresh_challenge)),
            last_control: now,
            place: Some(place),
            checking: None,
            guest: None,
            opening: None,
            announcement: None,
            media: None,
            stopping: false,
        })
    }

    pub(super) async fn run(self) {
        let span = tracing::info_span!("publisher", session = %self.id, remote = %self.remote);
        self.serve().instrument(span).await;
    }

    async fn serve(mut self) {
        tracing::debug!("connected");
        while let ControlFlow::Continue(wake) = self.advance() {
            let shared = &self.shared;
            tokio::select! {
                () = shared.stop.cancelled(), if !self.stopping => {
                    self.stopping = true;
                    self.end(EndReason::ServerShutdown);
                }
                verdict = finished(&mut self.checking) => self.on_verdict(verdict),
                opened = finished(&mut self.opening) => self.on_opened(opened),
                ready = self.stream.readable() => match ready {
                    Ok(()) => self.read_control(),
                    Err(_) => self.control.on_eof(),
                },
                event = media_work(self.media.as_mut()) => match event {
                    SeatEvent::End(reason) => self.end(reason),
                    SeatEvent::Readable => self.read_media(),
                },
                () = sleep_until(wake) => self.on_time(),
            }
        }
        self.close().await;
    }

    /// Does everything that is due; returns when to wake up.
    fn advance(&mut self) -> ControlFlow<(), Option<Instant>> {
        let wait = loop {
            match self.control.next_step(Instant::now()) {
                Step::Send(line) => self.write(&line),
                Step::Check { channel_id, challenge, digest } => self.check(channel_id, challenge, digest),
                Step::Open(announcement) => self.open(announcement),
                Step::Ended(reason) => self.on_ended(reason),
                Step::Close => return ControlFlow::Break(()),
                Step::Wait(wait) => break wait,
            }
        };
        self.transmit();
        let media = self.media.as_ref();
        let moments = [
            wait.map(|(at, _)| at),
            media.and_then(|media| media.machine.deadline()),
            media.map(|media| media.next_tick),
        ];
        ControlFlow::Continue(moments.into_iter().flatten().min())
    }

    /// Replies are short and far apart, so they fit the socket's buffer, or the peer does not read at all.
    fn write(&mut self, line: &str) {
        match self.stream.try_write(line.as_bytes()) {
            Ok(written) if written == line.len() => {}
            _ => self.control.on_eof(),
        }
    }

    fn read_control(&mut self) {
        let mut buffer = [0; 2048];
        match self.stream.try_read(&mut buffer) {
            Ok(0) => self.control.on_eof(),
            Ok(length) => {
                self.last_control = Instant::now();
                self.control.on_bytes(self.last_control, &buffer[..length]);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.control.on_eof(),
        }
    }

    fn check(&mut self, channel_id: u32, challenge: Vec<u8>, digest: [u8; 64]) {
        let Some(place) = self.place.take() else { return self.end(EndReason::Internal) };
        let remote = self.remote;
        let attempt = Attempt { session: self.id, channel_id, door: Door::Ftl, challenge, digest, remote };
        let house = Arc::clone(&self.shared.house);
        self.checking = Some(async move { house.admit(attempt, place).await }.boxed());
    }

    fn on_verdict(&mut self, verdict: Result<Guest, Refusal>) {
        match verdict {
            Ok(guest) => {
                self.guest = Some(guest);
                self.control.on_accepted(Instant::now());
            }
            Err(refusal) => self.end(refusal.reason),
        }
    }

    fn open(&mut self, announcement: Announcement) {
        let Some(guest) = self.guest.take() else { return self.end(EndReason::Internal) };
        let tracks = describe(&announcement);
        self.announcement = Some(announcement);
        self.opening = Some(open(Arc::clone(&self.shared), guest, tracks, self.local).boxed());
    }

    fn on_opened(&mut self, opened: Result<Opened, Refusal>) {
        let Opened { mut port, seat } = match opened {
            Ok(opened) => opened,
            Err(refusal) => return self.end(refusal.reason),
        };
        let Some(announcement) = self.announcement.clone() else { return };
        let now = Instant::now();
        let machine = MediaSession::new(
            now,
            MediaParameters {
                announcement,
                control_ip: self.remote.ip(),
                hold: self.shared.settings.hold,
                nack: self.shared.settings.nack,
                round_trip: self.control.round_trip(),
                wall_clock: NtpTime::from_unix(
                    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
                ),
                fresh_ssrc: Box::new(|| Ssrc(rand::rng().random())),
            },
        );
        port.told = true;
        self.control.on_port(now, port.port);
        self.media = Some(Media { machine, port, seat, next_tick: now });
    }

    fn read_media(&mut self) {
        let Some(media) = &mut self.media else { return };
        let mut buffer = [0; MAX_DATAGRAM];
        for _ in 0..MAX_BATCH {
            match media.port.socket.try_recv_from(&mut buffer) {
                Ok((length, from)) => media.machine.on_datagram(Instant::now(), from, &buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // A port-unreachable for something we sent; the next datagram may be fine.
                Err(_) => {}
            }
        }
        for _ in 0..MAX_BATCH {
            let Some(length) = media.seat.receive(&mut buffer) else { break };
            media.machine.on_relay_datagram(&buffer[..length]);
        }
        media.seat.heard(media.machine.last_heard());
    }

    fn transmit(&mut self) {
        let Some(media) = &mut self.media else { return };
        while let Some(transmit) = media.machine.next_transmit() {
            match transmit {
                // A full buffer towards the publisher loses a ping or a NACK; both come again.
                Transmit::Publisher { to, datagram } => drop(media.port.socket.try_send_to(&datagram, to)),
                Transmit::Relay(datagram) => media.seat.send(&datagram),
            }
        }
    }

    fn on_time(&mut self) {
        let now = Instant::now();
        self.control.on_deadline(now);
        let Some(media) = &mut self.media else { return };
        media.machine.on_deadline(now);
        if now < media.next_tick {
            return;
        }
        media.next_tick = now + TICK;
        let settings = &self.shared.settings;
        let since = |then: Instant| now.saturating_duration_since(then);
        if since(media.machine.last_heard().max(self.last_control)) >= settings.silence_timeout {
            return self.end(EndReason::Silent);
        }
        if since(media.machine.last_media()) >= settings.media_timeout {
            return self.end(EndReason::NoMedia);
        }
        let health = media.machine.health(now);
        let stream_time = since(media.seat.since());
        let metadata = metadata(self.announcement.as_ref(), &health, stream_time);
        if let Some(reason) = media.seat.tick(now, metadata) {
            self.end(reason);
        }
    }

    /// Says goodbye with the numbered line that fits.
    fn end(&mut self, reason: EndReason) {
        let (code, words) = goodbye(reason);
        self.control.close(reason, code, words);
    }

    /// The session is over, though the last words are still to be sent.
    fn on_ended(&mut self, reason: EndReason) {
        // Whoever is still being checked or seated leaves by being dropped.
        (self.opening, self.checking) = (None, None);
        if let Some(guest) = self.guest.take() {
            guest.end(reason);
        }
        if let Some(media) = &mut self.media {
            media.machine.finish();
        }
        self.transmit();
        let Some(media) = self.media.take() else {
            tracing::debug!(%reason, "ended before it was live");
            return;
        };
        let health = media.machine.health(Instant::now());
        tracing::debug!(?health, "media at the end");
        media.seat.end(reason, health.bytes());
    }

    /// Sends FIN and reads what is still coming: closing over unread bytes would send a reset, which may overtake
    /// the last line.
    async fn close(mut self) {
        let _ = timeout(LINGER, async {
            self.stream.shutdown().await?;
            let mut buffer = [0; 2048];
            while self.stream.read(&mut buffer).await? > 0 {}
            io::Result::Ok(())
        })
        .await;
    }
}

/// Opens a media port, then takes the channel: in this order, so that a publisher who cannot go live does not end one
/// who is.
async fn open(
    shared: Arc<Shared>,
    guest: Guest,
    tracks: Vec<TrackDescription>,
    local: SocketAddr,
) -> Result<Opened, Refusal> {
    let receive_buffer = shared.settings.receive_buffer;
    let bound = shared.ports().take(Instant::now(), |port| sockets::bind_media(local, port, receive_buffer));
    let port = match bound {
        Ok((port, socket)) => MediaPort { shared: Arc::clone(&shared), port, socket, told: false },
        Err(error) => {
            tracing::error!(channel = %guest.channel(), %error, "no media port");
            guest.end(EndReason::NoMediaPort);
            return Err(Refusal { reason: EndReason::NoMediaPort, why: error.to_string() });
        }
    };
    let seat = guest.sit(tracks, Some(port.port)).await?;
    Ok(Opened { port, seat })
}

/// What FTL's clients understand of an end.
fn goodbye(reason: EndReason) -> (Code, &'static str) {
    match reason {
        EndReason::Denied => (Code::WrongKey, "wrong key or channel"),
        EndReason::NoVerdict => (Code::ServerTrouble, "cannot check the key now"),
        EndReason::ChannelInUse => (Code::ChannelInUse, "channel is live already"),
        EndReason::NoMediaPort => (Code::ServerTrouble, "no media port"),
        EndReason::RelayUnavailable => (Code::ServerTrouble, "no relay port"),
        EndReason::TakenOver => (Code::Terminated, "taken over by another publisher"),
        EndReason::ServerShutdown => (Code::Terminated, "server is shutting down"),
        EndReason::EndedByStreamer => {
            (Code::Terminated, "ended by the streamer; the channel is closed for a while")
        }
        EndReason::BitrateTooHigh => (Code::Terminated, "the bitrate is above the channel's limit"),
        EndReason::ForeignNetwork => (Code::WrongKey, "publishing is not allowed from this network"),
        EndReason::TooManyConnections => (Code::ServerTrouble, "too many connections"),
        EndReason::Silent => (Code::Timeout, "nothing heard for too long"),
        EndReason::NoMedia => (Code::Timeout, "no media for too long"),
        EndReason::Disconnected
        | EndReason::ConnectionLost
        | EndReason::PingTimeout
        | EndReason::ProtocolError
        | EndReason::HandshakeTimeout
        | EndReason::UnsupportedMedia
        | EndReason::Internal => (Code::ServerTrouble, "internal error"),
    }
}

fn describe(announcement: &Announcement) -> Vec<TrackDescription> {
    let video = announcement.video.map(|track| TrackDescription::h264(track.payload_type));
    let audio = announcement.audio.map(|track| TrackDescription::opus(track.payload_type));
    video.into_iter().chain(audio).collect()
}

fn metadata(
    announcement: Option<&Announcement>,
    health: &MediaHealth,
    stream_time: Duration,
) -> PublicationMetadata {
    let (video_width, video_height) = health.picture.unwrap_or_default();
    PublicationMetadata {
        vendor_name: announcement.map(|said| said.vendor_name.clone()).unwrap_or_default(),
        vendor_version: announcement.map(|said| said.vendor_version.clone()).unwrap_or_default(),
        video_codec: announcement.and_then(|said| said.video).map_or("", |_| "H264"),
        audio_codec: announcement.and_then(|said| said.audio).map_or("", |_| "OPUS"),
        video_width,
        video_height,
        stream_time,
        packets: health.packets(),
        lost: health.lost(),
        nacks: health.nacks(),
        discarded: health.speed_test_packets + health.foreign + health.malformed,
        bitrate_bps: health.bitrate().as_bps(),
        round_trip: health.round_trip,
        jitter: health.jitter(),
        reencoded: false,
        tracks_left_out: 0,
        held: Duration::ZERO,
    }
}

/// Waits until one of the UDP sockets has something, or until the session must end.
async fn media_work(media: Option<&mut Media>) -> SeatEvent {
    let Some(media) = media else { return pending().await };
    tokio::select! {
        _ = media.port.socket.readable() => SeatEvent::Readable,
        event = media.seat.event() => event,
    }
}

const CHALLENGE_BYTES: usize = 128;
/// More than any link on the way lets through; FTL's largest is 1404.
const MAX_DATAGRAM: usize = 2048;
/// Then the control connection gets its turn.
const MAX_BATCH: usize = 128;
const TICK: Duration = Duration::from_millis(500);
const LINGER: Duration = Duration::from_secs(1);
