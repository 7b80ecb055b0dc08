//! One viewer's socket: from joining to the last word.
//!
//! A task of its own owns the socket and the viewer session in the relay, so a viewer that reads slowly delays
//! nobody. A viewer of a *stream* is offered it at once, and leaves with it. A viewer of a *channel* may come
//! while the channel is off the air; each time it goes on the air there is a new offer.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::extract::ws::{WebSocket, close_code};
use heliograph_relay::{
    ChannelName, CloseReason, PlayoutDelay, StreamId, ViewerEvent, WatchError, WatchRequest,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};
use tracing::{Instrument, debug, info, info_span, warn};

use crate::{
    admission::Admitted,
    app::App,
    backend::Viewer,
    client::Client,
    directory::{Brief, Listing},
    inbound::{Budget, Inbound, parse},
    messages::{ChannelState, Notice, SdpKind, ServerMessage, SessionDescription, StateChange, ViewerCount},
    playout,
    query::Target,
    wire::{End, Frame, Goodbye, Wire},
};

/// Time for the relay to make an offer.
const JOIN_LIMIT: Duration = Duration::from_secs(10);
/// How long a viewer is kept waiting when too many from its address join at once, before it is sent away.
const CROWD_LIMIT: Duration = Duration::from_secs(20);
/// Pause before the next attempt of such a viewer, in milliseconds; at random, so that a crowd spreads.
const CROWD_PAUSE_MS: std::ops::Range<u64> = 200..1000;
/// Pings that follow an offer, each after as long again, until it is answered: TCP notices a lost end of what was sent
/// when something comes after it; when nothing does, Linux waits for 200 ms and two round trips.
const FIRST_PING: Duration = Duration::from_millis(40);
/// So long after the offer all of it has come.
const PINGS_UNTIL: Duration = Duration::from_millis(300);

/// Runs until the viewer or we have had enough.
pub(crate) fn run(
    app: Arc<App>,
    socket: WebSocket,
    client: Client,
    target: Target,
    admitted: Admitted,
) -> impl Future<Output = ()> + Send {
    static SESSIONS: AtomicU64 = AtomicU64::new(1);
    let session = SESSIONS.fetch_add(1, Ordering::Relaxed);
    let span = match &target {
        Target::Stream(brief) => info_span!("viewer", session, port = brief.port),
        Target::Channel(channel) => info_span!("viewer", session, %channel),
    };
    let began = Instant::now();
    // Boxed: what a future takes over it has room for twice.
    let session = Box::new(Session::new(app, socket, client, target, admitted));
    async move {
        info!(remote = %client.ip, "socket opened");
        let end = session.live().await;
        let why = match &end {
            End::Say(goodbye) => goodbye.code,
            End::Gone(why) => why,
        };
        info!(why, seconds = began.elapsed().as_secs(), "socket closed");
    }
    .instrument(span)
}

struct Session {
    app: Arc<App>,
    wire: Wire,
    client: Client,
    target: Target,
    admitted: Admitted,
    listing: watch::Receiver<Arc<Listing>>,
    /// The `state` that the viewer knows of.
    told: Option<StateChange>,
    watching: Option<Watching>,
    /// The stream that ended under this viewer: not to be joined again while the listing still shows it.
    ended: Option<StreamId>,
    /// Too many from this address are joining: when to try again, and until when.
    crowd: Option<Crowd>,
    /// The viewer's wish for its playout delay, once it has one.
    playout: Option<Option<PlayoutDelay>>,
    /// The layer of the picture that it asked for.
    layer: Option<String>,
    budget: Budget,
    heard: Instant,
    ping_at: Instant,
}

/// A viewer session in the relay.
struct Watching {
    viewer: Box<dyn Viewer>,
    stream: StreamId,
    offered: Instant,
    answered: bool,
}

#[derive(Clone, Copy)]
struct Crowd {
    again: Instant,
    until: Instant,
}

/// What woke the session.
enum Wake {
    Frame(Result<Frame, End>),
    Viewer(Option<ViewerEvent>),
    Listing,
    Clock,
    Shutdown,
}

impl Session {
    fn new(app: Arc<App>, socket: WebSocket, client: Client, target: Target, admitted: Admitted) -> Self {
        let now = Instant::now();
        Self {
            wire: Wire::new(socket, app.settings.write_limit),
            listing: app.directory.subscribe(),
            client,
            target,
            admitted,
            told: None,
            watching: None,
            ended: None,
            crowd: None,
            playout: None,
            layer: None,
            budget: Budget::new(now),
            heard: now,
            ping_at: now + app.settings.ping_interval,
            app,
        }
    }

    async fn live(mut self: Box<Self>) -> End {
        let Err(end) = self.drive().await;
        if let Some(mut watching) = self.watching.take() {
            watching.viewer.close(match &end {
                End::Say(goodbye) if goodbye.code == CloseReason::ServerShutdown.code() => {
                    CloseReason::ServerShutdown
                }
                _ => CloseReason::ViewerLeft,
            });
        }
        if let End::Say(goodbye) = &end {
            Box::pin(self.wire.close(goodbye)).await;
        }
        end
    }

    /// What rarely happens is boxed, so that the room for it is not kept while nothing does.
    async fn drive(&mut self) -> Result<std::convert::Infallible, End> {
        Box::pin(self.look()).await?;
        loop {
            match self.wake().await {
                Wake::Frame(frame) => Box::pin(self.on_frame(frame?)).await?,
                Wake::Viewer(event) => Box::pin(self.on_viewer(event)).await?,
                Wake::Listing => Box::pin(self.on_listing()).await?,
                Wake::Clock => Box::pin(self.on_clock()).await?,
                Wake::Shutdown => return Err(End::Say(shutdown())),
            }
        }
    }

    async fn wake(&mut self) -> Wake {
        let clock = self.next_deadline();
        let event = async {
            match &mut self.watching {
                Some(watching) => watching.viewer.next_event().await,
                None => pending().await,
            }
        };
        tokio::select! {
            frame = self.wire.receive() => Wake::Frame(frame),
            event = event => Wake::Viewer(event),
            changed = self.listing.changed() => if changed.is_ok() { Wake::Listing } else { Wake::Shutdown },
            () = sleep_until(clock) => Wake::Clock,
            () = self.app.settings.shutdown.wait() => Wake::Shutdown,
        }
    }

    fn next_deadline(&self) -> Instant {
        let silent = self.heard + self.app.settings.silence_limit;
        [Some(silent), self.answer_by(), self.crowd.map(|crowd| crowd.again)]
            .into_iter()
            .flatten()
            .fold(self.ping_at, Instant::min)
    }

    fn answer_by(&self) -> Option<Instant> {
        let watching = self.watching.as_ref().filter(|watching| !watching.answered)?;
        Some(watching.offered + self.app.settings.answer_limit)
    }

    /// From a ping to the next one.
    fn ping_pause(&self, now: Instant) -> Duration {
        let unanswered = self.watching.as_ref().filter(|watching| !watching.answered);
        let age = unanswered.map(|watching| now - watching.offered).filter(|age| *age < PINGS_UNTIL);
        age.unwrap_or(Duration::MAX).min(self.app.settings.ping_interval)
    }

    async fn on_clock(&mut self) -> Result<(), End> {
        let now = Instant::now();
        if now >= self.heard + self.app.settings.silence_limit {
            return Err(End::Say(Goodbye::normal(
                "silent",
                "nothing was heard from the viewer for too long",
            )));
        }
        if self.answer_by().is_some_and(|by| now >= by) {
            return Err(End::Say(Goodbye::refused("answer_timeout", "the offer was not answered in time")));
        }
        if now >= self.ping_at {
            self.ping_at = now + self.ping_pause(now);
            self.wire.ping().await?;
        }
        if self.crowd.is_some_and(|crowd| now >= crowd.again) {
            self.look().await?;
        }
        Ok(())
    }

    async fn on_frame(&mut self, frame: Frame) -> Result<(), End> {
        let now = Instant::now();
        self.heard = now;
        if !self.budget.take(now) {
            return Err(End::Say(Goodbye::refused("too_many_messages", "too many messages in a short time")));
        }
        let Frame::Message(message) = frame else { return Ok(()) };
        let inbound = parse(&message)
            .map_err(|why| End::Say(Goodbye::refused("bad_message", why).status(close_code::INVALID)))?;
        if let Inbound::Playout(wish) = inbound {
            self.playout = Some(wish);
            return self.apply_playout().await;
        }
        if let Inbound::Layer(layer) = inbound {
            if let Some(watching) = &mut self.watching {
                watching.viewer.pick_layer(layer.as_deref());
            }
            self.layer = layer;
            return Ok(());
        }
        if let Inbound::Clock(client_us) = inbound {
            let stream = self.watching.as_ref().map(|watching| watching.stream);
            let answer = self.app.clock(client_us, stream);
            return self.wire.send(&ServerMessage::Clock(answer)).await;
        }
        // What belongs to a session that has just ended is late, not wrong.
        let Some(watching) = &mut self.watching else { return Ok(()) };
        match inbound {
            Inbound::Answer(_) if watching.answered => {
                Err(End::Say(Goodbye::refused("unexpected_answer", "the offer has been answered already")))
            }
            Inbound::Answer(sdp) => {
                watching.answered = true;
                watching.viewer.accept_answer(&sdp).map_err(|error| End::Say(refusal("bad_answer", &error)))
            }
            Inbound::Candidate(candidate) if candidate.is_empty() => Ok(()),
            Inbound::Candidate(candidate) => watching
                .viewer
                .remote_candidate(&candidate)
                .map_err(|error| End::Say(refusal("bad_candidate", &error))),
            Inbound::Delay(delay) => {
                watching.viewer.report_delay(delay);
                Ok(())
            }
            Inbound::Playout(_) | Inbound::Layer(_) | Inbound::Clock(_) | Inbound::Unknown => Ok(()),
        }
    }

    async fn on_viewer(&mut self, event: Option<ViewerEvent>) -> Result<(), End> {
        match event {
            Some(ViewerEvent::Connected) => {
                self.admitted.settle();
                if let Some(watching) = &self.watching {
                    debug!(milliseconds = watching.offered.elapsed().as_millis(), "connected");
                }
                Ok(())
            }
            Some(ViewerEvent::Count(no_connections)) => {
                self.wire.send(&ServerMessage::Info(ViewerCount { no_connections })).await
            }
            Some(ViewerEvent::MissingCodec(codec)) => {
                let message = format!("this viewer cannot decode {codec}");
                let notice = Notice { code: "missing_codec".to_owned(), message };
                self.wire.send(&ServerMessage::Error(notice)).await
            }
            Some(ViewerEvent::Ended(reason)) => self.on_ended(reason).await,
            // Newer relays may tell more than there is an event for.
            Some(_) => Ok(()),
            None => {
                self.on_ended(CloseReason::Internal("the viewer session ended without a reason".to_owned()))
                    .await
            }
        }
    }

    /// The relay has ended the viewer session.
    async fn on_ended(&mut self, reason: CloseReason) -> Result<(), End> {
        let stream = self.watching.take().map(|watching| watching.stream);
        let stream_is_over = matches!(reason, CloseReason::StreamEnded | CloseReason::PublisherGone);
        if stream_is_over && matches!(self.target, Target::Channel(_)) {
            self.ended = stream;
            self.admitted.unsettle();
            return self.look().await;
        }
        Err(End::Say(match reason {
            CloseReason::ServerShutdown => shutdown(),
            CloseReason::Internal(why) => {
                warn!(why, "viewer session failed");
                Goodbye::normal("internal", "the server made a mistake").status(close_code::ERROR)
            }
            reason => Goodbye::normal(reason.code(), reason.to_string()),
        }))
    }

    async fn on_listing(&mut self) -> Result<(), End> {
        let listed = {
            let listing = self.listing.borrow();
            match &self.target {
                Target::Stream(brief) => listing.by_port(brief.port).cloned(),
                Target::Channel(channel) => listing.by_channel(channel.as_str()).cloned(),
            }
        };
        self.follow(listed.as_deref()).await
    }

    /// Asks the relay itself, whose word is newer than the listing's.
    async fn look(&mut self) -> Result<(), End> {
        let snapshot = match &self.target {
            Target::Stream(brief) => self.app.backend.stream_by_port(brief.port),
            Target::Channel(channel) => self.app.backend.stream_by_channel(channel.as_str()),
        };
        let now = snapshot.as_ref().map(Brief::from);
        self.follow(now.as_ref()).await
    }

    /// Does what the state of the target asks for: tell it, join it, leave it.
    async fn follow(&mut self, now: Option<&Brief>) -> Result<(), End> {
        let now = now.filter(|brief| match &self.target {
            Target::Stream(asked) => brief.id == asked.id,
            Target::Channel(_) => Some(brief.id) != self.ended,
        });
        if let Some(watching) = &self.watching {
            // When its stream is over, the session says so itself, and why.
            return match now {
                Some(brief) if brief.id == watching.stream => self.tell(brief.change()).await,
                _ => Ok(()),
            };
        }
        let Some(brief) = now else {
            return match &self.target {
                Target::Stream(_) => Err(End::Say(stream_ended())),
                Target::Channel(channel) => {
                    self.crowd = None;
                    let offline = offline(channel);
                    self.tell(offline).await
                }
            };
        };
        self.tell(brief.change()).await?;
        let on_the_air = matches!(brief.state, ChannelState::Live | ChannelState::Away);
        // The old server offered its streams whether or not there was media, and the old page waits for it.
        if on_the_air || matches!(self.target, Target::Stream(_)) {
            self.join(brief.id).await?;
        }
        Ok(())
    }

    async fn tell(&mut self, change: StateChange) -> Result<(), End> {
        if self.told.as_ref() == Some(&change) {
            return Ok(());
        }
        self.told = Some(change.clone());
        self.wire.send(&ServerMessage::State(change)).await
    }

    async fn join(&mut self, stream: StreamId) -> Result<(), End> {
        let now = Instant::now();
        if self.crowd.is_some_and(|crowd| now < crowd.again) {
            return Ok(());
        }
        let request =
            WatchRequest { local_ip: self.client.local, remote: self.client.ip, transport: "websocket" };
        let joined = timeout(JOIN_LIMIT, self.app.backend.watch_offer(stream, request)).await;
        let joined = joined.unwrap_or_else(|_| Err(WatchError::Internal("no offer in time".to_owned())));
        match joined {
            Ok((mut viewer, sdp)) => {
                self.crowd = None;
                if self.layer.is_some() {
                    viewer.pick_layer(self.layer.as_deref());
                }
                self.watching = Some(Watching { viewer, stream, offered: Instant::now(), answered: false });
                self.wire
                    .send(&ServerMessage::Offer(SessionDescription { kind: SdpKind::Offer, sdp }))
                    .await?;
                self.ping_at = self.ping_at.min(Instant::now() + FIRST_PING);
                self.apply_playout().await
            }
            Err(WatchError::TooManyPending) => self.wait_for_the_crowd(now),
            Err(error) => match &self.target {
                // It ended a moment ago.
                Target::Channel(channel) if matches!(error, WatchError::UnknownStream) => {
                    let offline = offline(channel);
                    self.ended = Some(stream);
                    self.tell(offline).await
                }
                _ => Err(End::Say(refusal("internal", &error))),
            },
        }
    }

    /// Passes the viewer's wish, if any, to its session, if any, and says what is in force.
    async fn apply_playout(&mut self) -> Result<(), End> {
        let (Some(wish), Some(watching)) = (self.playout, &mut self.watching) else { return Ok(()) };
        let range = playout::apply(&mut *watching.viewer, wish);
        self.wire.send(&ServerMessage::Playout(range)).await
    }

    /// A crowd behind one address (a school, a reverse proxy) comes in one after the other.
    fn wait_for_the_crowd(&mut self, now: Instant) -> Result<(), End> {
        let until = self.crowd.map_or(now + CROWD_LIMIT, |crowd| crowd.until);
        if now >= until {
            return Err(End::Say(refusal("internal", &WatchError::TooManyPending)));
        }
        let pause = Duration::from_millis(rand::random_range(CROWD_PAUSE_MS));
        self.crowd = Some(Crowd { again: now + pause, until });
        Ok(())
    }
}

fn offline(channel: &ChannelName) -> StateChange {
    StateChange {
        state: ChannelState::Offline,
        channel: Some(channel.to_string()),
        port: None,
        name: None,
        layers: Vec::new(),
    }
}

fn shutdown() -> Goodbye {
    let reason = CloseReason::ServerShutdown;
    Goodbye::normal(reason.code(), reason.to_string()).status(close_code::AWAY)
}

fn stream_ended() -> Goodbye {
    let reason = CloseReason::StreamEnded;
    Goodbye::normal(reason.code(), reason.to_string())
}

/// The last words after the relay refused something; `bad` is the code when the viewer's input was at fault.
fn refusal(bad: &'static str, error: &WatchError) -> Goodbye {
    match error {
        WatchError::UnknownStream => stream_ended(),
        WatchError::Full | WatchError::Overloaded(_) => {
            Goodbye::refused("full", error.to_string()).status(close_code::AGAIN)
        }
        WatchError::TooManyPending => {
            Goodbye::refused("too_many_pending", "too many viewers from this address are joining")
                .status(close_code::AGAIN)
        }
        WatchError::BadSdp(why) => Goodbye::refused(bad, why.clone()),
        WatchError::CodecNotSupported(_) => Goodbye::refused("codec_not_supported", error.to_string()),
        WatchError::WrongState => Goodbye::refused(bad, error.to_string()),
        error => {
            warn!(%error, "viewer could not join");
            Goodbye::refused("internal", "the server made a mistake").status(close_code::ERROR)
        }
    }
}
