//! The publishers' sessions: each a task that owns its peer and its seat, found by an address that nobody can guess.

use std::{
    fmt,
    ops::ControlFlow,
    str::from_utf8,
    sync::Arc,
    time::{Duration, Instant},
};

use dashmap::DashMap;
use heliograph_edge::{
    ice::IceCredentials,
    sdp::{self, Incoming},
};
use heliograph_http::Refusal;
use heliograph_media::Codec;
use rand::RngExt as _;
use tokio::sync::{mpsc, oneshot};
use tracing::Instrument as _;

use super::{
    Shared,
    http::refusals,
    peer::{Outgoing, Peer, PeerEnd},
    port::{Datagram, Slot},
    reception::WhipHealth,
};
use crate::{
    auth::{EndReason, PublicationMetadata},
    house::{Seat, SeatEvent},
};

/// The sessions that live. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Sessions(Arc<DashMap<ResourceId, mpsc::Sender<Command>>>);

/// What makes a session's address unguessable: 128 random bits. Whoever knows them may end the session.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ResourceId([u8; 16]);

/// What `If-Match` asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    None,
    /// `*`: whatever the ICE session is now. Used to restart ICE.
    Any,
    Tags(String),
}

/// What a `PATCH` did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Patched {
    Trickled,
    /// ICE was restarted: our new credentials, and the tag of the new ICE session.
    Restarted {
        fragment: String,
        tag: String,
    },
}

enum Command {
    Patch { condition: Condition, fragment: String, reply: oneshot::Sender<Result<Patched, Refusal>> },
    End { reply: oneshot::Sender<()> },
}

/// What a session is made of.
pub(super) struct Parts {
    pub(super) peer: Peer,
    pub(super) seat: Seat,
    pub(super) slot: Slot,
    pub(super) datagrams: mpsc::Receiver<Datagram>,
    pub(super) incoming: Incoming,
    pub(super) vendor: String,
}

struct Session {
    shared: Arc<Shared>,
    parts: Parts,
    commands: mpsc::Receiver<Command>,
    tag: String,
    /// The publisher's ICE name: another one in a fragment restarts ICE.
    ufrag: String,
    next_tick: Instant,
    connected: bool,
}

impl Sessions {
    /// Starts the session's task; returns its id and the tag of its ICE session.
    pub(super) fn start(&self, shared: &Arc<Shared>, parts: Parts) -> (ResourceId, String) {
        let id = ResourceId::random();
        let tag = fresh_tag();
        let (sender, commands) = mpsc::channel(COMMANDS);
        self.0.insert(id, sender);
        let span = tracing::info_span!("publisher", whip = %id.shown(), channel = %parts.seat.channel());
        let session = Session {
            shared: Arc::clone(shared),
            ufrag: parts.incoming.remote_ufrag.clone(),
            parts,
            commands,
            tag: tag.clone(),
            next_tick: Instant::now() + TICK,
            connected: false,
        };
        let sessions = self.clone();
        let task = async move {
            session.live().await;
            sessions.0.remove(&id);
        };
        shared.house.sessions().spawn(task.instrument(span));
        (id, tag)
    }

    /// Hands a `PATCH` to its session; `None` when there is no such session.
    pub(super) async fn patch(
        &self,
        id: ResourceId,
        condition: Condition,
        fragment: String,
    ) -> Option<Result<Patched, Refusal>> {
        let (reply, answer) = oneshot::channel();
        self.sender(id)?.send(Command::Patch { condition, fragment, reply }).await.ok()?;
        answer.await.ok()
    }

    /// Ends a session; `None` when there is no such session.
    pub(super) async fn end(&self, id: ResourceId) -> Option<()> {
        let (reply, answer) = oneshot::channel();
        self.sender(id)?.send(Command::End { reply }).await.ok()?;
        answer.await.ok()
    }

    fn sender(&self, id: ResourceId) -> Option<mpsc::Sender<Command>> {
        self.0.get(&id).map(|sender| sender.clone())
    }
}

impl Session {
    async fn live(mut self) {
        let reason = loop {
            self.send();
            if let Some(end) = self.parts.peer.ended() {
                break end_reason(end);
            }
            match self.step().await {
                ControlFlow::Continue(()) => {}
                ControlFlow::Break(reason) => break reason,
            }
        };
        self.parts.peer.finish();
        self.send();
        let health = self.parts.peer.health(Instant::now());
        tracing::debug!(?health, "media at the end");
        self.parts.seat.end(reason, health.bytes());
    }

    /// Waits for one thing and does it.
    async fn step(&mut self) -> ControlFlow<EndReason> {
        let wake = self.parts.peer.deadline(Instant::now()).min(self.next_tick);
        tokio::select! {
            Some(datagram) = self.parts.datagrams.recv() => self.on_datagrams(datagram),
            event = self.parts.seat.event() => match event {
                SeatEvent::Readable => self.read_relay(),
                SeatEvent::End(reason) => return ControlFlow::Break(reason),
            },
            Some(command) = self.commands.recv() => return self.on_command(command).await,
            () = tokio::time::sleep_until(wake.into()) => return self.on_time(),
        }
        ControlFlow::Continue(())
    }

    /// What came together is worked on together, within bounds.
    fn on_datagrams(&mut self, first: Datagram) {
        let mut next = Some(first);
        let mut left = BATCH;
        while let Some(mut datagram) = next {
            let proven = self.parts.peer.on_datagram(datagram.at, datagram.path, &mut datagram.bytes);
            if let Some(address) = proven {
                self.parts.slot.own(address);
            }
            left -= 1;
            next = if left > 0 { self.parts.datagrams.try_recv().ok() } else { None };
        }
        if self.parts.peer.is_connected() && !self.connected {
            self.connected = true;
            tracing::info!("encrypted connection stands");
        }
        self.parts.seat.heard(self.parts.peer.last_media());
    }

    fn read_relay(&mut self) {
        let mut buffer = [0; MAX_DATAGRAM];
        for _ in 0..BATCH {
            let Some(length) = self.parts.seat.receive(&mut buffer) else { break };
            self.parts.peer.on_relay_datagram(Instant::now(), &buffer[..length]);
        }
    }

    async fn on_command(&mut self, command: Command) -> ControlFlow<EndReason> {
        match command {
            Command::Patch { condition, fragment, reply } => {
                let patched = self.patch(&condition, &fragment).await;
                // Whoever asked may be gone by now.
                let _ = reply.send(patched);
                ControlFlow::Continue(())
            }
            Command::End { reply } => {
                let _ = reply.send(());
                ControlFlow::Break(EndReason::Disconnected)
            }
        }
    }

    fn on_time(&mut self) -> ControlFlow<EndReason> {
        let now = Instant::now();
        self.parts.peer.on_deadline(now);
        if now < self.next_tick {
            return ControlFlow::Continue(());
        }
        self.next_tick = now + TICK;
        let silent = now.saturating_duration_since(self.parts.peer.last_media());
        if silent >= self.shared.settings.media_timeout {
            return ControlFlow::Break(EndReason::NoMedia);
        }
        let metadata = self.metadata(now);
        match self.parts.seat.tick(now, metadata) {
            Some(reason) => ControlFlow::Break(reason),
            None => ControlFlow::Continue(()),
        }
    }

    fn send(&mut self) {
        while let Some(outgoing) = self.parts.peer.next_outgoing() {
            match outgoing {
                Outgoing::Relay(datagram) => self.parts.seat.send(&datagram),
                Outgoing::Peer(path, datagram) => self.shared.port.send(path, &datagram),
            }
        }
    }

    /// Without a restart there is nothing to do: candidates are read for their shape only, so a missing
    /// `If-Match` is forgiven then, as some clients leave it out.
    async fn patch(&mut self, condition: &Condition, fragment: &str) -> Result<Patched, Refusal> {
        let fragment = sdp::parse_candidate_fragment(fragment).map_err(|error| refusals::sdp(&error))?;
        let new_name = fragment.ufrag.filter(|name| *name != self.ufrag && fragment.pwd.is_some());
        match condition {
            Condition::None if new_name.is_some() => return Err(Refusal::if_match_required()),
            Condition::Tags(tags) if !tags.split(',').any(|tag| tag.trim() == self.tag) => {
                return Err(Refusal::other_ice_session());
            }
            Condition::None | Condition::Any | Condition::Tags(_) => {}
        }
        let Some(name) = new_name else { return Ok(Patched::Trickled) };
        let credentials = IceCredentials::generate(self.parts.slot.route(), &mut rand::rng());
        let candidates = self.shared.port.candidates(None).await;
        self.parts.peer.restart(&credentials, &name);
        self.ufrag = name;
        self.tag = fresh_tag();
        let fragment = sdp::receive_restart_fragment(&credentials, &candidates, &self.parts.incoming);
        Ok(Patched::Restarted { fragment, tag: self.tag.clone() })
    }

    fn metadata(&self, now: Instant) -> PublicationMetadata {
        let health = self.parts.peer.health(now);
        let incoming = &self.parts.incoming;
        metadata(
            incoming,
            &self.parts.vendor,
            &health,
            now.saturating_duration_since(self.parts.seat.since()),
        )
    }
}

fn metadata(
    incoming: &Incoming,
    vendor: &str,
    health: &WhipHealth,
    stream_time: Duration,
) -> PublicationMetadata {
    let (video_width, video_height) = health.picture.unwrap_or_default();
    let (vendor_name, vendor_version) = vendor.split_once('/').unwrap_or((vendor, ""));
    PublicationMetadata {
        vendor_name: vendor_name.to_owned(),
        vendor_version: vendor_version.to_owned(),
        video_codec: incoming.video.as_ref().map_or("", |track| codec_word(track.codec)),
        audio_codec: incoming.audio.as_ref().map_or("", |track| codec_word(track.codec)),
        video_width,
        video_height,
        stream_time,
        packets: health.packets(),
        lost: health.lost(),
        nacks: health.nacks(),
        discarded: health.malformed,
        bitrate_bps: health.bitrate().as_bps(),
        round_trip: health.round_trip,
        jitter: health.jitter(),
        reencoded: false,
        tracks_left_out: 0,
        held: Duration::ZERO,
    }
}

/// As services know them since FTL.
const fn codec_word(codec: Codec) -> &'static str {
    match codec {
        Codec::H264 => "H264",
        Codec::H265 => "H265",
        Codec::Vp8 => "VP8",
        Codec::Vp9 => "VP9",
        Codec::Av1 => "AV1",
        Codec::Opus => "OPUS",
    }
}

fn end_reason(end: &PeerEnd) -> EndReason {
    match end {
        PeerEnd::HandshakeFailed(why) => {
            tracing::warn!(%why, "no encrypted connection");
            EndReason::ProtocolError
        }
        PeerEnd::HandshakeTimeout => EndReason::HandshakeTimeout,
        PeerEnd::Goodbye => EndReason::Disconnected,
        PeerEnd::Silent => EndReason::Silent,
    }
}

/// A strong entity tag of 64 random bits.
fn fresh_tag() -> String {
    format!("\"{:016x}\"", rand::rng().random::<u64>())
}

impl ResourceId {
    fn random() -> Self {
        Self(rand::rng().random())
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 2 * bytes.len() || !text.bytes().all(lower) {
            return None;
        }
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// Enough to find a session in a log, too little to end it.
    fn shown(self) -> String {
        format!("{:02x}{:02x}{:02x}", self.0[0], self.0[1], self.0[2])
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Requests that wait for one session. More of them wait in their own connections.
const COMMANDS: usize = 2;
const TICK: Duration = Duration::from_millis(500);
/// Datagrams that are worked on before anything else gets its turn.
const BATCH: usize = 64;
const MAX_DATAGRAM: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_the_address_and_never_repeat() {
        let id = ResourceId::random();
        assert_eq!(ResourceId::parse(&id.to_string()).map(|id| id.0), Some(id.0));
        assert_ne!(id.0, ResourceId::random().0);
        for bad in
            ["", "12", &"g".repeat(32), &"+1".repeat(16), &"é".repeat(16), &"0".repeat(34), &"A".repeat(32)]
        {
            assert!(ResourceId::parse(bad).is_none(), "{bad}");
        }
    }
}
