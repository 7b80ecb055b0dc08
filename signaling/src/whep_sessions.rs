//! The WHEP sessions: each a task that owns its viewer, found by an address that nobody can guess.

use std::{
    fmt,
    str::from_utf8,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::http::{StatusCode, header};
use dashmap::DashMap;
use futures_channel::mpsc;
use futures_util::{SinkExt as _, StreamExt as _};
use heliograph_edge::sdp::parse_candidate_fragment;
use heliograph_http::Refusal;
use heliograph_relay::{CloseReason, PlayoutDelay, StreamId, ViewerEvent, WatchError};
use rand::RngExt as _;
use tokio::sync::oneshot;
use tracing::{Instrument, debug, info, info_span};

use crate::{backend::Viewer, client::Client, inbound::Budget, messages::PlayoutRange, playout, whep};

/// The sessions that live. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct WhepSessions(Arc<DashMap<SessionId, Requests>>);

/// What a session is asked: one at a time by each request, which waits for the answer. Not tokio's channel: that weighs 800 bytes
/// before anything is in it, most sessions are never asked anything, and this one weighs 200.
type Requests = mpsc::Sender<Box<Command>>;

/// What makes a session's address unguessable: 128 random bits. Whoever knows them may end the session.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SessionId([u8; 16]);

/// What `If-Match` asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    None,
    /// `*`: whatever the ICE session is now. Used to restart ICE.
    Any,
    Tags(String),
}

/// What a `PATCH` did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Patched {
    Trickled,
    /// ICE was restarted: our new credentials, and the tag of the new ICE session.
    Restarted {
        fragment: String,
        tag: String,
    },
}

/// What a viewer says beside its negotiation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    /// A question that needs nothing of the session but that it is there.
    Nothing,
    /// How late it sees the stream.
    Delay(Duration),
    /// Which layer of the picture it wants; none: as the network permits.
    Layer(Option<String>),
    /// The playout delay it wants; none: what is usual.
    Playout(Option<PlayoutDelay>),
}

/// What the session has to say to a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) stream: StreamId,
    /// The playout delay in force, where that was the matter.
    pub(crate) playout: Option<PlayoutRange>,
}

enum Command {
    Patch { condition: Condition, fragment: String, reply: oneshot::Sender<Result<Patched, Refusal>> },
    Say { word: Word, reply: oneshot::Sender<Result<Heard, Refusal>> },
    End { reply: oneshot::Sender<()> },
}

impl WhepSessions {
    /// Starts the session's task; returns its id and the tag of its ICE session.
    pub(crate) fn start(
        &self,
        viewer: Box<dyn Viewer>,
        client: Client,
        stream: StreamId,
        offer: &str,
    ) -> (SessionId, String) {
        let id = SessionId::random();
        let tag = fresh_tag();
        let (sender, commands) = mpsc::channel(0);
        self.0.insert(id, sender);
        let ufrag = offer
            .lines()
            .find_map(|line| line.strip_prefix("a=ice-ufrag:"))
            .map(|name| name.trim().to_owned());
        let budget = Budget::new(tokio::time::Instant::now());
        let session = Session { viewer, stream, commands, budget, tag: tag.clone(), ufrag };
        let sessions = self.clone();
        let span = info_span!("viewer", whep = %id.shown(), stream = ?stream);
        tokio::spawn(
            async move {
                info!(remote = %client.ip, "session opened");
                let began = Instant::now();
                let why = session.live().await;
                sessions.0.remove(&id);
                info!(why, seconds = began.elapsed().as_secs(), "session closed");
            }
            .instrument(span),
        );
        (id, tag)
    }

    /// Hands a `PATCH` to its session; `None` when there is no such session.
    pub(crate) async fn patch(
        &self,
        id: SessionId,
        condition: Condition,
        fragment: String,
    ) -> Option<Result<Patched, Refusal>> {
        let (reply, answer) = oneshot::channel();
        let patch = Command::Patch { condition, fragment, reply };
        self.sender(id)?.send(Box::new(patch)).await.ok()?;
        answer.await.ok()
    }

    /// The viewer says something beside its negotiation. `None` when there is no such session.
    pub(crate) async fn say(&self, id: SessionId, word: Word) -> Option<Result<Heard, Refusal>> {
        let (reply, answer) = oneshot::channel();
        self.sender(id)?.send(Box::new(Command::Say { word, reply })).await.ok()?;
        answer.await.ok()
    }

    /// Ends a session; `None` when there is no such session.
    pub(crate) async fn end(&self, id: SessionId) -> Option<()> {
        let (reply, answer) = oneshot::channel();
        self.sender(id)?.send(Box::new(Command::End { reply })).await.ok()?;
        answer.await.ok()
    }

    fn sender(&self, id: SessionId) -> Option<Requests> {
        self.0.get(&id).map(|sender| sender.clone())
    }

    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

struct Session {
    viewer: Box<dyn Viewer>,
    stream: StreamId,
    commands: mpsc::Receiver<Box<Command>>,
    budget: Budget,
    tag: String,
    /// The viewer's ICE name: another one in a fragment restarts ICE.
    ufrag: Option<String>,
}

impl Session {
    /// Runs until the viewer leaves or the relay ends it; returns why.
    async fn live(mut self) -> &'static str {
        loop {
            tokio::select! {
                command = self.commands.next() => match command.map(|command| *command) {
                    Some(Command::Patch { condition, fragment, reply }) => {
                        // Whoever asked may be gone by now.
                        let _ = reply.send(self.patch(&condition, &fragment));
                    }
                    Some(Command::Say { word, reply }) => {
                        let _ = reply.send(self.say(&word));
                    }
                    Some(Command::End { reply }) => {
                        self.viewer.close(CloseReason::ViewerLeft);
                        let _ = reply.send(());
                        return CloseReason::ViewerLeft.code();
                    }
                    // The list holds a sender for as long as this runs.
                    None => return CloseReason::ViewerLeft.code(),
                },
                event = self.viewer.next_event() => match event {
                    Some(ViewerEvent::Ended(reason)) => return reason.code(),
                    None => return "internal",
                    Some(event) => debug!(?event, "viewer"),
                },
            }
        }
    }

    fn say(&mut self, word: &Word) -> Result<Heard, Refusal> {
        if !self.budget.take(tokio::time::Instant::now()) {
            return Err(Refusal::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_messages",
                "too many messages in a short time",
            )
            .header(header::RETRY_AFTER, "10"));
        }
        let mut heard = Heard { stream: self.stream, playout: None };
        match word {
            Word::Nothing => {}
            Word::Delay(delay) => self.viewer.report_delay(*delay),
            Word::Layer(rid) => self.viewer.pick_layer(rid.as_deref()),
            Word::Playout(wish) => heard.playout = Some(playout::apply(&mut *self.viewer, *wish)),
        }
        Ok(heard)
    }

    /// Without a restart there is nothing to do: candidates are read for their shape only, so a missing
    /// `If-Match` is forgiven then, as some clients leave it out.
    fn patch(&mut self, condition: &Condition, fragment: &str) -> Result<Patched, Refusal> {
        let fragment = parse_candidate_fragment(fragment)
            .map_err(|error| whep::refusal(&WatchError::BadSdp(error.to_string())))?;
        let new_name =
            fragment.ufrag.filter(|name| Some(name) != self.ufrag.as_ref() && fragment.pwd.is_some());
        match condition {
            Condition::None if new_name.is_some() => {
                return Err(Refusal::if_match_required());
            }
            Condition::Tags(tags) if !tags.split(',').any(|tag| tag.trim() == self.tag) => {
                return Err(Refusal::other_ice_session());
            }
            Condition::None | Condition::Any | Condition::Tags(_) => {}
        }
        let Some(name) = new_name else { return Ok(Patched::Trickled) };
        let fragment = self.viewer.restart(&name).map_err(|error| whep::refusal(&error))?;
        self.ufrag = Some(name);
        self.tag = fresh_tag();
        Ok(Patched::Restarted { fragment, tag: self.tag.clone() })
    }
}

/// A strong entity tag of 64 random bits.
fn fresh_tag() -> String {
    format!("\"{:016x}\"", rand::rng().random::<u64>())
}

impl SessionId {
    fn random() -> Self {
        Self(rand::rng().random())
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        if text.len() != 2 * bytes.len() || !text.is_ascii() {
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

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_the_address_and_never_repeat() {
        let id = SessionId::random();
        assert_eq!(SessionId::parse(&id.to_string()).map(|id| id.0), Some(id.0));
        assert_ne!(id.0, SessionId::random().0);
        for bad in ["", "12", &"g".repeat(32), &"+1".repeat(16), &"é".repeat(16), &"0".repeat(34)] {
            assert!(SessionId::parse(bad).is_none() || *bad == "+1".repeat(16), "{bad}");
        }
    }
}
