//! One publisher: its control connection, its media port, its way to the relay.

use std::{
    future::pending,
    io,
    net::SocketAddr,
    ops::ControlFlow,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures_util::future::{BoxFuture, FutureExt as _};
use heliograph_media::{NtpTime, Ssrc};
use heliograph_relay::{AllocateError, ChannelName, StreamRequest, TrackDescription};
use rand::RngExt as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
    sync::mpsc,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{
    SessionSnapshot,
    channels::Claim,
    reports::Reports,
    shared::{Handle, Heard, Order, Place, RelayLink, Shared},
    sockets,
};
use crate::{
    auth::{
        Attempt, CHECK_DEADLINE, Door, EndReason, Ending, Publication, PublicationMetadata, SessionId,
        Verdict,
    },
    ftl::{
        control::{Announcement, Code, Control, ControlSettings, Step},
        media::{MediaHealth, MediaParameters, MediaSession, Transmit},
    },
};

/// One control connection from its first byte to its end, with everything that belongs to it.
pub(super) struct Session {
    shared: Arc<Shared>,
    stream: TcpStream,
    local: SocketAddr,
    id: SessionId,
    control: Control,
    last_control: Instant,
    /// Until the key is proven.
    place: Option<Place>,
    handle: Handle,
    orders: mpsc::Receiver<Order>,
    checking: Option<BoxFuture<'static, (Attempt, Verdict)>>,
    opening: Option<BoxFuture<'static, Result<Opened, Refusal>>>,
    publisher: Option<Publisher>,
    media: Option<Media>,
    stopping: bool,
}

/// Set when the authoriser has let the session in.
struct Publisher {
    publication: Publication,
    title: Option<String>,
    announcement: Option<Announcement>,
    reports: Reports,
}

/// Set while the session is live.
struct Media {
    machine: MediaSession,
    port: MediaPort,
    link: RelayLink,
    request: StreamRequest,
    since: Instant,
    since_wall: SystemTime,
    next_tick: Instant,
    next_metadata: Instant,
    trouble: Option<RelayTrouble>,
    relinking: Option<BoxFuture<'static, Result<RelayLink, AllocateError>>>,
}

/// The relay's port answers that nobody is there.
struct RelayTrouble {
    since: Instant,
    last: Instant,
    last_try: Option<Instant>,
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
    link: RelayLink,
    request: StreamRequest,
}

/// Why it cannot.
struct Refusal {
    reason: EndReason,
    code: Code,
    words: &'static str,
}

impl Session {
    pub(super) fn new(
        shared: Arc<Shared>,
        stream: TcpStream,
        remote: SocketAddr,
        place: Place,
    ) -> io::Result<Self> {
        sockets::prepare_control(&stream)?;
        let local = stream.local_addr()?;
        let now = Instant::now();
        let settings = ControlSettings {
            handshake_timeout: shared.settings.handshake_timeout,
            ping_timeout: shared.settings.ping_timeout,
        };
        let fresh_challenge = || rand::rng().random::<[u8; CHALLENGE_BYTES]>().to_vec();
        let (sender, orders) = mpsc::channel(4);
        let handle = Handle {
            remote,
            heard: Heard::new(now),
            orders: sender,
            snapshot: Arc::new(Mutex::new(None)),
            stopped: CancellationToken::new(),
        };
        Ok(Self {
            shared,
            stream,
            local,
            id: SessionId(rand::rng().random()),
            control: Control::new(now, settings, Box::new(fresh_challenge)),
            last_control: now,
            place: Some(place),
            handle,
            orders,
            checking: None,
            opening: None,
            publisher: None,
            media: None,
            stopping: false,
        })
    }

    pub(super) async fn run(self) {
        let span = tracing::info_span!("publisher", session = %self.id, remote = %self.handle.remote);
        self.serve().instrument(span).await;
    }

    async fn serve(mut self) {
        tracing::debug!("connected");
        while let ControlFlow::Continue(wake) = self.advance() {
            let shared = &self.shared;
            tokio::select! {
                () = shared.stop.cancelled(), if !self.stopping => {
                    self.stopping = true;
                    self.control.close(EndReason::ServerShutdown, Code::Terminated, "server is shutting down");
                }
                Some(order) = self.orders.recv() => self.control.close(order.reason, order.code, order.words),
                (attempt, verdict) = finished(&mut self.checking) => self.on_verdict(&attempt, verdict),
                opened = finished(&mut self.opening) => self.on_opened(opened),
                ready = self.stream.readable() => match ready {
                    Ok(()) => self.read_control(),
                    Err(_) => self.control.on_eof(),
                },
                relinked = media_work(self.media.as_mut()) => match relinked {
                    Some(relinked) => self.on_relinked(relinked),
                    None => self.read_media(),
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
        let shared = Arc::clone(&self.shared);
        let group = self.place.as_ref().map(|place| place.group);
        let remote = self.handle.remote;
        let attempt = Attempt { session: self.id, channel_id, door: Door::Ftl, challenge, digest, remote };
        self.checking = Some(
            async move {
                let asked = timeout(CHECK_DEADLINE, shared.authoriser.check(attempt.clone()));
                let verdict = asked.await.unwrap_or_else(|_| Verdict::unavailable("no verdict in time"));
                if let (Verdict::Deny { .. }, Some(group)) = (&verdict, group) {
                    let wait = shared.doorkeeper().wrong_key(Instant::now(), group);
                    tokio::time::sleep(wait).await;
                }
                (attempt, verdict)
            }
            .boxed(),
        );
    }

    fn on_verdict(&mut self, attempt: &Attempt, verdict: Verdict) {
        let channel_id = attempt.channel_id;
        match verdict {
            Verdict::Allow { channel, name } => {
                tracing::info!(%channel, channel_id, "publisher let in");
                self.place = None;
                self.publisher = Some(Publisher {
                    publication: publication(attempt, channel),
                    title: name,
                    announcement: None,
                    reports: Reports::start(&self.shared.events, Arc::clone(&self.shared.authoriser)),
                });
                self.control.on_accepted(Instant::now());
            }
            Verdict::Deny { reason } => {
                tracing::warn!(channel_id, %reason, "publisher refused");
                self.control.close(EndReason::Denied, Code::WrongKey, "wrong key or channel");
            }
            Verdict::Unavailable { reason } => {
                tracing::error!(channel_id, %reason, "no verdict on a publisher");
                self.control.close(EndReason::NoVerdict, Code::ServerTrouble, "cannot check the key now");
            }
        }
    }

    fn open(&mut self, announcement: Announcement) {
        let Some(publisher) = &mut self.publisher else {
            return self.control.close(EndReason::Internal, Code::ServerTrouble, "internal error");
        };
        let channel = publisher.publication.channel.clone();
        let request = StreamRequest {
            channel: Some(channel.clone()),
            name: publisher.title.clone(),
            tracks: describe(&announcement),
            port: None,
        };
        publisher.announcement = Some(announcement);
        self.handle.heard.set(Instant::now());
        let opening =
            open(Arc::clone(&self.shared), channel, self.id, self.handle.clone(), request, self.local);
        self.opening = Some(opening.boxed());
    }

    fn on_opened(&mut self, opened: Result<Opened, Refusal>) {
        let Opened { mut port, link, request } = match opened {
            Ok(opened) => opened,
            Err(refusal) => return self.control.close(refusal.reason, refusal.code, refusal.words),
        };
        let Some(publisher) = &mut self.publisher else { return };
        let Some(announcement) = publisher.announcement.clone() else { return };
        let now = Instant::now();
        let since_wall = SystemTime::now();
        let machine = MediaSession::new(
            now,
            MediaParameters {
                announcement,
                control_ip: self.handle.remote.ip(),
                hold: self.shared.settings.hold,
                nack: self.shared.settings.nack,
                round_trip: self.control.round_trip(),
                wall_clock: NtpTime::from_unix(since_wall.duration_since(UNIX_EPOCH).unwrap_or_default()),
                fresh_ssrc: Box::new(|| Ssrc(rand::rng().random())),
            },
        );
        self.handle.heard.set(now);
        port.told = true;
        publisher.publication.port = Some(port.port);
        publisher.publication.relay_port = Some(link.port);
        tracing::info!(
            channel = %publisher.publication.channel,
            port = port.port,
            relay_port = link.port,
            "publisher is live"
        );
        publisher.reports.started(publisher.publication.clone());
        self.control.on_port(now, port.port);
        self.media = Some(Media {
            machine,
            port,
            link,
            request,
            since: now,
            since_wall,
            next_tick: now,
            next_metadata: now + self.shared.settings.metadata_interval,
            trouble: None,
            relinking: None,
        });
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
            match media.link.socket.try_recv(&mut buffer) {
                Ok(length) => media.machine.on_relay_datagram(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => media.note_trouble(),
            }
        }
        self.handle.heard.set(media.machine.last_heard());
    }

    fn transmit(&mut self) {
        let Some(media) = &mut self.media else { return };
        while let Some(transmit) = media.machine.next_transmit() {
            match transmit {
                // A full buffer towards the publisher loses a ping or a NACK; both come again.
                Transmit::Publisher { to, datagram } => drop(media.port.socket.try_send_to(&datagram, to)),
                Transmit::Relay(datagram) => {
                    if let Err(error) = media.link.socket.try_send(&datagram)
                        && error.kind() == io::ErrorKind::ConnectionRefused
                    {
                        media.note_trouble();
                        // The error was about an earlier datagram; this one was not sent.
                        drop(media.link.socket.try_send(&datagram));
                    }
                }
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
            return self.control.close(EndReason::Silent, Code::Timeout, "nothing heard for too long");
        }
        if since(media.machine.last_media()) >= settings.media_timeout {
            return self.control.close(EndReason::NoMedia, Code::Timeout, "no media for too long");
        }
        self.mind_the_relay(now);
        self.report(now);
    }

    /// A relay that was restarted knows nothing of us: ask it for the port again.
    fn mind_the_relay(&mut self, now: Instant) {
        let Some(media) = &mut self.media else { return };
        let Some(trouble) = &mut media.trouble else { return };
        let since = |then: Instant| now.saturating_duration_since(then);
        if since(trouble.last) > RELAY_RECOVERED_AFTER {
            media.trouble = None;
        } else if since(trouble.since) > RELAY_GIVEN_UP_AFTER {
            self.control.close(EndReason::RelayUnavailable, Code::ServerTrouble, "the relay is gone");
        } else if media.relinking.is_none()
            && since(trouble.since) > RELAY_GONE_AFTER
            && trouble.last_try.is_none_or(|last| since(last) > RELAY_TRY_EVERY)
        {
            tracing::warn!(relay_port = media.link.port, "the relay's port is closed; asking for it again");
            trouble.last_try = Some(now);
            let (shared, request, link) =
                (Arc::clone(&self.shared), media.request.clone(), media.link.clone());
            media.relinking = Some(async move { shared.link(request, Some(link)).await }.boxed());
        }
    }

    fn on_relinked(&mut self, relinked: Result<RelayLink, AllocateError>) {
        let (Some(media), Some(publisher)) = (&mut self.media, &mut self.publisher) else { return };
        match relinked {
            Ok(link) => {
                self.shared.channels().set_link(&publisher.publication.channel, self.id, link.clone());
                publisher.publication.relay_port = Some(link.port);
                media.link = link;
            }
            Err(error) => tracing::warn!(%error, "the relay gives no port"),
        }
    }

    fn report(&mut self, now: Instant) {
        let (Some(media), Some(publisher)) = (&mut self.media, &mut self.publisher) else { return };
        let health = media.machine.health(now);
        let announcement = publisher.announcement.as_ref();
        let snapshot = SessionSnapshot {
            session: self.id,
            channel: publisher.publication.channel.clone(),
            remote: self.handle.remote,
            since: media.since_wall,
            port: media.port.port,
            relay_port: media.link.port,
            vendor: announcement.map_or_else(String::new, |said| {
                format!("{} {}", said.vendor_name, said.vendor_version).trim().to_owned()
            }),
            health,
        };
        if now >= media.next_metadata {
            media.next_metadata = now + self.shared.settings.metadata_interval;
            let metadata =
                metadata(announcement, &snapshot.health, now.saturating_duration_since(media.since));
            publisher.reports.metadata(publisher.publication.clone(), metadata);
        }
        *self.handle.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = Some(snapshot);
    }

    /// The session is over, though the last words are still to be sent.
    fn on_ended(&mut self, reason: EndReason) {
        let now = Instant::now();
        self.opening = None;
        if let Some(checking) = self.checking.take() {
            self.shared.events.spawn(retract(Arc::clone(&self.shared), checking, reason));
        }
        let (mut bytes, mut duration) = (0, Duration::ZERO);
        if let Some(media) = &mut self.media {
            media.machine.finish();
            let health = media.machine.health(now);
            (bytes, duration) = (health.bytes(), now.saturating_duration_since(media.since));
            tracing::debug!(?health, "media at the end");
        }
        self.transmit();
        self.media = None;
        *self.handle.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.handle.stopped.cancel();
        let Some(publisher) = self.publisher.take() else {
            tracing::debug!(%reason, "ended before it was let in");
            return;
        };
        let channel = &publisher.publication.channel;
        tracing::info!(%channel, %reason, seconds = duration.as_secs(), bytes, "publisher is gone");
        if let Some(generation) = self.shared.channels().leave(channel, self.id) {
            let (shared, channel) = (Arc::clone(&self.shared), channel.clone());
            self.shared.sessions.spawn(async move { shared.release_after_grace(&channel, generation).await });
        }
        publisher.reports.ended(publisher.publication, Ending { reason, duration, bytes });
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

impl Media {
    fn note_trouble(&mut self) {
        let now = Instant::now();
        let trouble = self.trouble.get_or_insert(RelayTrouble { since: now, last: now, last_try: None });
        trouble.last = now;
    }
}

/// Opens a media port, takes the channel, gets the relay's port for it. In this order, so that a publisher who cannot
/// go live does not end one who is.
async fn open(
    shared: Arc<Shared>,
    channel: ChannelName,
    id: SessionId,
    handle: Handle,
    request: StreamRequest,
    local: SocketAddr,
) -> Result<Opened, Refusal> {
    let receive_buffer = shared.settings.receive_buffer;
    let bound = shared.ports().take(Instant::now(), |port| sockets::bind_media(local, port, receive_buffer));
    let port = match bound {
        Ok((port, socket)) => MediaPort { shared: Arc::clone(&shared), port, socket, told: false },
        Err(error) => {
            tracing::error!(%channel, %error, "no media port");
            let words = "no media port";
            return Err(Refusal { reason: EndReason::NoMediaPort, code: Code::ServerTrouble, words });
        }
    };
    let in_use = Refusal {
        reason: EndReason::ChannelInUse,
        code: Code::ChannelInUse,
        words: "channel is live already",
    };
    let claim = shared.channels().claim(Instant::now(), &channel, id, handle);
    let Claim::Granted { ousted, link } = claim else { return Err(in_use) };
    if let Some(old) = ousted {
        tracing::info!(%channel, from = %old.remote, "takes the channel over");
        let words = "taken over by another publisher";
        let _ = old.orders.try_send(Order { reason: EndReason::TakenOver, code: Code::Terminated, words });
        // Two senders must not share the way to the relay; one that hangs will be told apart by its SSRC.
        let _ = timeout(OUST_WAIT, old.stopped.cancelled()).await;
    }
    let link = {
        let gate = shared.channels().gate(&channel);
        let _gate = gate.lock().await;
        shared.link(request.clone(), link).await.map_err(|error| {
            tracing::error!(%channel, %error, "the relay gives no port");
            let words = "no relay port";
            Refusal { reason: EndReason::RelayUnavailable, code: Code::ServerTrouble, words }
        })?
    };
    if !shared.channels().set_link(&channel, id, link.clone()) {
        return Err(in_use); // taken over meanwhile
    }
    Ok(Opened { port, link, request })
}

/// A publisher left while its key was being checked: whoever let it in must hear that it is gone.
async fn retract(shared: Arc<Shared>, checking: BoxFuture<'static, (Attempt, Verdict)>, reason: EndReason) {
    if let (attempt, Verdict::Allow { channel, .. }) = checking.await {
        let ending = Ending { reason, duration: Duration::ZERO, bytes: 0 };
        shared.authoriser.ended(publication(&attempt, channel), ending).await;
    }
}

fn publication(attempt: &Attempt, channel: ChannelName) -> Publication {
    Publication {
        session: attempt.session,
        channel_id: attempt.channel_id,
        channel,
        door: attempt.door,
        digest: attempt.digest,
        remote: attempt.remote,
        port: None,
        relay_port: None,
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
        bitrate_bps: health.bitrate().as_bps(),
        round_trip: health.round_trip,
    }
}

/// Waits for a future that may not be there; when it is done, it is not there any more.
async fn finished<T>(future: &mut Option<BoxFuture<'static, T>>) -> T {
    let Some(running) = future else { return pending().await };
    let result = running.await;
    *future = None;
    result
}

/// Waits until one of the UDP sockets has something, or until the relay was asked again.
async fn media_work(media: Option<&mut Media>) -> Option<Result<RelayLink, AllocateError>> {
    let Some(media) = media else { return pending().await };
    tokio::select! {
        _ = media.port.socket.readable() => None,
        _ = media.link.socket.readable() => None,
        relinked = finished(&mut media.relinking) => Some(relinked),
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => pending().await,
    }
}

const CHALLENGE_BYTES: usize = 128;
/// More than any link on the way lets through; FTL's largest is 1404.
const MAX_DATAGRAM: usize = 2048;
/// Then the control connection gets its turn.
const MAX_BATCH: usize = 128;
const TICK: Duration = Duration::from_millis(500);
const LINGER: Duration = Duration::from_secs(1);
const OUST_WAIT: Duration = Duration::from_millis(300);
const RELAY_GONE_AFTER: Duration = Duration::from_secs(1);
const RELAY_RECOVERED_AFTER: Duration = Duration::from_secs(2);
const RELAY_TRY_EVERY: Duration = Duration::from_secs(2);
const RELAY_GIVEN_UP_AFTER: Duration = Duration::from_secs(15);
