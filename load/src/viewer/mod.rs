//! One viewer: a peer connection that makes the handshake and keeps the session alive, and counters for the media.
//!
//! An ordinary viewer is cheap: once it has reported reception for the first time its media is counted by header and never
//! decrypted. A probe, and with `--feedback` everybody, decrypts all.

mod header;
pub(crate) mod peer;
mod probe;
mod sequence;
mod start;
mod track;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::SmallRng};
use socket2::Socket;
use str0m::{
    Event, IceConnectionState, Input, Output, Rtc,
    net::{Protocol, Receive},
};

use self::{
    header::Kind,
    peer::{Format, Formats, Peer},
    probe::Probe,
    start::StartWatch,
    track::Track,
};
pub(crate) use self::{probe::ProbeFigures, track::Share};
use crate::{
    sys::{clock::Mono, socket::dropped},
    watched::{Medium, Phase, Tally, Watched},
};

/// Longest time from the begin of signaling to an encrypted connection.
pub(crate) const CONNECT_LIMIT: Duration = Duration::from_secs(15);
/// A cheap viewer's peer connection has nothing urgent to do any more.
const LAZY_TIMER: Duration = Duration::from_millis(250);

/// What a viewer does with what it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Counts by header.
    Counter,
    /// A complete receiver: decrypts, reports, asks for what is missing.
    Receiver,
    /// A complete receiver that also checks every payload.
    Probe,
}

/// Which way a viewer signaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Transport {
    Whep,
    WebSocket,
}

/// What makes a viewer.
pub(crate) struct Plan {
    pub(crate) id: usize,
    /// Index of the stream that it watches.
    pub(crate) stream: usize,
    pub(crate) role: Role,
    pub(crate) transport: Transport,
    /// Stops reading for stretches.
    pub(crate) slow: bool,
    /// Joined during the hold.
    pub(crate) late: bool,
    /// Part of received media packets that it drops, of 2^32.
    pub(crate) loss: u32,
    pub(crate) seed: u64,
    /// When its signaling began.
    pub(crate) began: Mono,
}

/// What a viewer has to tell at once.
#[derive(Debug)]
pub(crate) enum News {
    /// The encrypted connection is there, after so long.
    Connected(Duration),
    /// It is over, before it was connected or after.
    Lost(String),
}

/// A viewer that has signaled.
pub(crate) struct Viewer {
    pub(crate) plan: Plan,
    rtc: Rtc,
    formats: Formats,
    socket: Socket,
    local: SocketAddr,
    /// When the peer connection wants to be asked again.
    timer: Instant,
    /// Media goes into the peer connection, too.
    feeds_media: bool,
    video: Track,
    audio: Track,
    start: StartWatch,
    probe: Option<Box<Probe>>,
    chance: SmallRng,
    handshake: Option<Duration>,
    lost: Option<String>,
    rtx: u64,
    injected_drops: u64,
}

impl Viewer {
    pub(crate) fn new(plan: Plan, peer: Peer, socket: Socket, local: SocketAddr) -> Self {
        Self {
            rtc: peer.rtc,
            formats: peer.formats,
            socket,
            local,
            timer: Instant::now(),
            feeds_media: true,
            video: Track::new(Medium::Video),
            audio: Track::new(Medium::Audio),
            start: StartWatch::default(),
            probe: (plan.role == Role::Probe).then(Box::default),
            chance: SmallRng::seed_from_u64(plan.seed),
            handshake: None,
            lost: None,
            rtx: 0,
            injected_drops: 0,
            plan,
        }
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// When [`Viewer::on_time`] is due.
    pub(crate) fn timer(&self) -> Instant {
        self.timer
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.handshake.is_some() && self.lost.is_none()
    }

    /// Whether it had a clean start.
    pub(crate) fn is_clean(&self) -> bool {
        self.start.is_over()
    }

    /// See [`Track::missing`].
    pub(crate) fn missing(&self, watched: &Watched) -> u64 {
        self.video.missing(watched) + self.audio.missing(watched)
    }

    /// Takes one datagram.
    #[inline]
    pub(crate) fn on_datagram(
        &mut self,
        datagram: &[u8],
        from: Option<SocketAddr>,
        arrived: Mono,
        watched: &Watched,
        tally: &mut Tally,
    ) -> Option<News> {
        match Kind::of(datagram) {
            Kind::Media(header) => {
                if self.plan.loss > 0 && self.chance.random::<u32>() < self.plan.loss {
                    self.injected_drops += 1;
                    return None;
                }
                let format = self.formats.of(header.payload_type);
                if format == Format::Rtx {
                    self.rtx += 1;
                }
                if self.plan.role == Role::Counter {
                    match format {
                        Format::Media(Medium::Video) => {
                            let number =
                                self.video.add(header.seq, header.timestamp, arrived, watched, tally);
                            if let Some(number) = number
                                && !self.start.is_over()
                            {
                                self.start.add(number, header.marker, true, arrived);
                            }
                        }
                        Format::Media(Medium::Audio) => {
                            self.audio.add(header.seq, header.timestamp, arrived, watched, tally);
                        }
                        Format::Rtx | Format::Unknown => {}
                    }
                }
                if !self.feeds_media {
                    return None;
                }
            }
            Kind::Control => {}
            Kind::Other => return None,
        }
        self.feed(datagram, from?, arrived, watched, tally)
    }

    fn feed(
        &mut self,
        datagram: &[u8],
        from: SocketAddr,
        arrived: Mono,
        watched: &Watched,
        tally: &mut Tally,
    ) -> Option<News> {
        // What is none of STUN, DTLS, SRTP is not for this viewer.
        let receive = Receive::new(Protocol::Udp, from, self.local, datagram).ok()?;
        if let Err(error) = self.rtc.handle_input(Input::Receive(Instant::now(), receive)) {
            return self.lose(error.to_string());
        }
        self.drain(arrived, watched, tally)
    }

    /// Gives the peer connection the time; to be called when [`Viewer::timer`] has come.
    pub(crate) fn on_time(&mut self, now: Instant, watched: &Watched, tally: &mut Tally) -> Option<News> {
        if self.handshake.is_none() && Mono::now().since(self.plan.began) >= CONNECT_LIMIT {
            return self.lose(format!("no encrypted connection within {} s", CONNECT_LIMIT.as_secs()));
        }
        if let Err(error) = self.rtc.handle_input(Input::Timeout(now)) {
            return self.lose(error.to_string());
        }
        self.drain(Mono::now(), watched, tally)
    }

    /// Takes everything the peer connection has to say.
    fn drain(&mut self, arrived: Mono, watched: &Watched, tally: &mut Tally) -> Option<News> {
        let mut news = None;
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(at)) => {
                    let soonest = if self.feeds_media { Duration::ZERO } else { LAZY_TIMER };
                    self.timer = at.max(Instant::now() + soonest);
                    return news;
                }
                Ok(Output::Transmit(sent)) => {
                    let is_report = sent.contents.first().is_some_and(|first| *first >= 128);
                    if is_report && self.plan.role == Role::Counter {
                        // It has reported once, as any viewer does; from now on it only counts.
                        self.feeds_media = false;
                    }
                    // Lost like any datagram when the socket is full.
                    let _ = self.socket.send_to(&sent.contents, &sent.destination.into());
                }
                Ok(Output::Event(Event::Connected)) => {
                    let took = Mono::now().since(self.plan.began);
                    self.handshake = Some(took);
                    news = Some(News::Connected(took));
                }
                Ok(Output::Event(Event::RtpPacket(packet))) if self.plan.role != Role::Counter => {
                    self.on_packet(&packet, arrived, watched, tally);
                }
                Ok(Output::Event(Event::IceConnectionStateChange(IceConnectionState::Disconnected))) => {
                    return self.lose("the server stopped answering".to_owned());
                }
                Ok(Output::Event(Event::Closed)) => return self.lose("the server closed it".to_owned()),
                Ok(Output::Event(_)) => {}
                Err(error) => return self.lose(error.to_string()),
            }
        }
    }

    /// A decrypted packet.
    fn on_packet(
        &mut self,
        packet: &str0m::rtp::RtpPacket,
        arrived: Mono,
        watched: &Watched,
        tally: &mut Tally,
    ) {
        let header = &packet.header;
        let Format::Media(medium) = self.formats.of(*header.payload_type) else { return };
        let mut may_begin = medium == Medium::Video;
        if let Some(probe) = &mut self.probe {
            may_begin &= probe.add(medium, header.timestamp, &packet.payload, arrived, watched);
        }
        let track = match medium {
            Medium::Video => &mut self.video,
            Medium::Audio => &mut self.audio,
        };
        let number = track.add(header.sequence_number, header.timestamp, arrived, watched, tally);
        if let Some(number) = number
            && medium == Medium::Video
            && !self.start.is_over()
        {
            self.start.add(number, header.marker, may_begin, arrived);
        }
    }

    fn lose(&mut self, reason: String) -> Option<News> {
        if self.lost.is_some() {
            return None;
        }
        self.lost = Some(reason.clone());
        self.rtc.disconnect();
        Some(News::Lost(reason))
    }

    /// What is published from now on is not this viewer's any more.
    pub(crate) fn leave(&mut self, watched: &Watched) {
        self.video.leave(watched);
        self.audio.leave(watched);
    }

    /// All that it saw; see [`Track::share`] for when to ask.
    pub(crate) fn report(&self, watched: &Watched, left: bool) -> ViewerReport {
        let share = |phase| {
            let (video, audio) = (self.video.share(phase, watched), self.audio.share(phase, watched));
            Share {
                delivered: video.delivered + audio.delivered,
                owed: video.owed.zip(audio.owed).map(|(video, audio)| video + audio),
            }
        };
        let since_begin = |at: Option<Mono>| at.map(|at| at.since(self.plan.began));
        ViewerReport {
            stream: watched.index,
            role: self.plan.role,
            transport: self.plan.transport,
            slow: self.plan.slow,
            stayed: !left && !self.plan.late && self.lost.is_none(),
            handshake: self.handshake,
            first_picture: since_begin(self.start.picture),
            clean_start: since_begin(self.start.clean),
            repeated: self.video.sequence.repeated() + self.audio.sequence.repeated(),
            gaps: self.video.sequence.missing() + self.audio.sequence.missing(),
            missing: self.missing(watched),
            rtx: self.rtx,
            injected_drops: self.injected_drops,
            socket_drops: dropped(&self.socket),
            longest_pause: self.video.longest_pause,
            shares: Phase::BOTH.map(share),
            probe: self.probe.as_ref().map(|probe| probe.figures().clone()),
        }
    }
}

/// What one viewer saw, from join to end.
#[derive(Debug, Clone)]
pub(crate) struct ViewerReport {
    pub(crate) stream: usize,
    pub(crate) role: Role,
    pub(crate) transport: Transport,
    pub(crate) slow: bool,
    /// Was there for the whole hold.
    pub(crate) stayed: bool,
    /// From the begin of signaling to the encrypted connection.
    pub(crate) handshake: Option<Duration>,
    pub(crate) first_picture: Option<Duration>,
    pub(crate) clean_start: Option<Duration>,
    pub(crate) repeated: u64,
    /// In the sequence numbers.
    pub(crate) gaps: u64,
    /// See [`Track::missing`].
    pub(crate) missing: u64,
    pub(crate) rtx: u64,
    pub(crate) injected_drops: u64,
    pub(crate) socket_drops: u64,
    pub(crate) longest_pause: Duration,
    /// One for each [`Phase::BOTH`].
    pub(crate) shares: [Share; 2],
    pub(crate) probe: Option<ProbeFigures>,
}
