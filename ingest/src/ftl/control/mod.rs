//! The control connection as a machine without sockets and without a clock.
//!
//! Bytes, verdicts and moments go in; [`Step`]s come out. After every input, call [`Control::next_step`] until it
//! says [`Step::Wait`].
//!
//! What clients force on us, and what is therefore kept here:
//! - They look only at the first line of whatever arrives together, and during a stream they look twice a second. So
//!   each reply is one write, and replies keep a distance ([`HANDSHAKE_GAP`], [`LIVE_GAP`]).
//! - What they read next is the answer to what they said last: metadata gets no reply, and `201` never comes before
//!   the stream is live.
//! - They do not notice a closed connection, so a numbered line goes before every close of ours.

mod command;
mod line;
mod metadata;
mod reply;

use std::{
    collections::VecDeque,
    fmt,
    time::{Duration, Instant},
};

pub use metadata::{AnnouncedTrack, Announcement};
pub use reply::Code;

use crate::auth::{DIGEST_BYTES, EndReason};
use command::Command;
use line::LineReader;
use metadata::Metadata;

/// One control connection.
pub struct Control {
    settings: ControlSettings,
    new_challenge: NewChallenge,
    input: LineReader,
    /// Beginning of a stretch of [`FLOOD_WINDOW`], and bytes in it.
    flood: (Instant, usize),
    phase: Phase,
    challenges_given: u8,
    steps: VecDeque<Step>,
    replies: VecDeque<String>,
    pong_due: bool,
    last_sent: Option<Instant>,
    /// How long after it the next reply may go out.
    gap: Duration,
    /// By when the present phase must be over.
    deadline: Option<Instant>,
    /// Set when a reply went out to which clients answer at once.
    answer_expected_since: Option<Instant>,
    round_trip: Option<Duration>,
}

/// The limits of a control connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlSettings {
    /// For each half of the handshake: proving the key, and the rest.
    pub handshake_timeout: Duration,
    /// Longest time without `PING` while live.
    pub ping_timeout: Duration,
}

/// Where fresh challenges come from: 128 random bytes each, except in tests.
pub type NewChallenge = Box<dyn FnMut() -> Vec<u8> + Send>;

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write this, in one piece.
    Send(String),
    /// Ask the authoriser; then call [`Control::on_accepted`] or [`Control::close`].
    Check {
        /// As in `CONNECT`.
        channel_id: u32,
        /// What we sent.
        challenge: Vec<u8>,
        /// What came back.
        digest: [u8; DIGEST_BYTES],
    },
    /// Get a port; then call [`Control::on_port`] or [`Control::close`].
    Open(Announcement),
    /// The session is over. Comes exactly once, before the last words are sent: stop media now.
    Ended(EndReason),
    /// Close the connection, after reading what the peer may still be sending. Comes last.
    Close,
    /// Nothing, until more input or this moment; then call [`Control::on_deadline`].
    Wait(Option<(Instant, Why)>),
}

/// What a wait is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The next reply keeps its distance to the last.
    ReplyGap,
    /// The handshake, or the next `PING`, must come by then.
    Deadline,
}

#[derive(Debug)]
enum Phase {
    /// No `HMAC` yet.
    Fresh,
    Challenged {
        challenge: Vec<u8>,
    },
    /// The authoriser thinks.
    Checking,
    /// Metadata comes in.
    Describing(Metadata),
    /// The port is being opened.
    Opening,
    Live,
    /// Over; what waits in `replies` still goes out.
    Over,
    Closed,
}

impl Control {
    /// A connection that was just accepted.
    #[must_use]
    pub fn new(now: Instant, settings: ControlSettings, new_challenge: NewChallenge) -> Self {
        Self {
            settings,
            new_challenge,
            input: LineReader::default(),
            flood: (now, 0),
            phase: Phase::Fresh,
            challenges_given: 0,
            steps: VecDeque::new(),
            replies: VecDeque::new(),
            pong_due: false,
            last_sent: None,
            gap: HANDSHAKE_GAP,
            deadline: Some(now + settings.handshake_timeout),
            answer_expected_since: None,
            round_trip: None,
        }
    }

    /// Bytes from the peer, in whatever pieces.
    pub fn on_bytes(&mut self, now: Instant, bytes: &[u8]) {
        if self.is_over() {
            return;
        }
        if now.saturating_duration_since(self.flood.0) >= FLOOD_WINDOW {
            self.flood = (now, 0);
        }
        self.flood.1 += bytes.len();
        if self.flood.1 > FLOOD_BYTES || !self.input.push(bytes) {
            return self.end(EndReason::ProtocolError, Code::BadRequest, "too much at once");
        }
        if let Some(asked) = self.answer_expected_since.take() {
            let sample = now.saturating_duration_since(asked);
            self.round_trip = Some(self.round_trip.map_or(sample, |best| best.min(sample)));
        }
        self.read_lines(now);
    }

    /// The peer closed its side.
    pub fn on_eof(&mut self) {
        if !self.is_over() {
            self.end_silently(EndReason::ConnectionLost);
        }
    }

    /// The authoriser let the publisher in.
    pub fn on_accepted(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Checking) {
            self.phase = Phase::Describing(Metadata::default());
            self.deadline = Some(now + self.settings.handshake_timeout);
            self.replies.push_back(reply::accepted());
            self.read_lines(now);
        }
    }

    /// The port that the publisher asked for with `.` is open.
    pub fn on_port(&mut self, now: Instant, port: u16) {
        if matches!(self.phase, Phase::Opening) {
            self.phase = Phase::Live;
            self.deadline = Some(now + self.settings.ping_timeout);
            self.replies.push_back(reply::port(port));
            self.read_lines(now);
        }
    }

    /// Ends the session from our side with a number and a few words.
    pub fn close(&mut self, reason: EndReason, code: Code, words: &str) {
        if !self.is_over() {
            self.end(reason, code, words);
        }
    }

    /// The moment of a [`Step::Wait`] has come.
    pub fn on_deadline(&mut self, now: Instant) {
        if self.is_over() || self.deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        match self.phase {
            Phase::Live => self.end(EndReason::PingTimeout, Code::Timeout, "no ping"),
            Phase::Checking | Phase::Opening => {
                self.end(EndReason::Internal, Code::ServerTrouble, "no decision in time");
            }
            _ => self.end(EndReason::HandshakeTimeout, Code::Timeout, "handshake took too long"),
        }
    }

    /// What to do next; ends with [`Step::Wait`] or [`Step::Close`].
    pub fn next_step(&mut self, now: Instant) -> Step {
        if let Some(step) = self.steps.pop_front() {
            return step;
        }
        if matches!(self.phase, Phase::Closed) {
            return Step::Wait(None);
        }
        if self.replies.is_empty() && matches!(self.phase, Phase::Over) {
            self.phase = Phase::Closed;
            return Step::Close;
        }
        let reply_due = self.pong_due || !self.replies.is_empty();
        let may_send_at = self.last_sent.map_or(now, |sent| sent + self.gap);
        if reply_due && may_send_at <= now {
            self.last_sent = Some(now);
            let line = self.replies.pop_front();
            if matches!(self.phase, Phase::Live) && self.replies.is_empty() {
                self.gap = LIVE_GAP;
            }
            if let Some(line) = line {
                let answered_at_once = matches!(self.phase, Phase::Challenged { .. } | Phase::Describing(_));
                self.answer_expected_since = answered_at_once.then_some(now);
                return Step::Send(line);
            }
            self.pong_due = false;
            return Step::Send(reply::pong());
        }
        let gap = reply_due.then_some((may_send_at, Why::ReplyGap));
        let deadline = self.deadline.map(|deadline| (deadline, Why::Deadline));
        Step::Wait(gap.into_iter().chain(deadline).min_by_key(|(at, _)| *at))
    }

    /// Time from a reply to the command that clients send on reading it; the smallest seen.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// Whether the peer has proven a key.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        matches!(self.phase, Phase::Describing(_) | Phase::Opening | Phase::Live)
    }

    fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over | Phase::Closed)
    }

    /// Works through what came in, until there is nothing left or somebody else has to decide first.
    fn read_lines(&mut self, now: Instant) {
        while !matches!(self.phase, Phase::Checking | Phase::Opening | Phase::Over | Phase::Closed) {
            match self.input.next_line() {
                Ok(None) => return,
                Ok(Some(line)) => self.on_line(now, &line),
                Err(line::TooLong) => self.end(EndReason::ProtocolError, Code::BadRequest, "line too long"),
            }
        }
    }

    fn on_line(&mut self, now: Instant, line: &str) {
        let command = match Command::parse(line) {
            Ok(command) => command,
            Err(error) => return self.bad_request(&error.to_string()),
        };
        match (command, &mut self.phase) {
            (Command::Hmac, Phase::Fresh | Phase::Challenged { .. }) => {
                self.challenges_given += 1;
                if self.challenges_given > MAX_CHALLENGES {
                    return self.bad_request("too many challenges");
                }
                let challenge = (self.new_challenge)();
                self.replies.push_back(reply::challenge(&challenge));
                self.phase = Phase::Challenged { challenge };
            }
            (Command::Connect { channel_id, digest }, Phase::Challenged { challenge }) => {
                let challenge = std::mem::take(challenge);
                self.phase = Phase::Checking;
                self.deadline = Some(now + DECISION_DEADLINE);
                self.steps.push_back(Step::Check { channel_id, challenge, digest });
            }
            (Command::Metadata { key, value }, Phase::Describing(metadata)) => {
                if let Err(error) = metadata.take(&key, &value) {
                    self.bad_request(&error.to_string());
                }
            }
            (Command::Dot, Phase::Describing(metadata)) => match std::mem::take(metadata).finish() {
                Ok(announcement) => {
                    self.phase = Phase::Opening;
                    self.deadline = Some(now + DECISION_DEADLINE);
                    self.steps.push_back(Step::Open(announcement));
                }
                Err(error) => self.bad_request(&error.to_string()),
            },
            (Command::Ping, Phase::Live) => {
                self.deadline = Some(now + self.settings.ping_timeout);
                self.pong_due = true;
            }
            // Before the stream a 201 would be read as the answer to CONNECT; later metadata changes nothing.
            (Command::Ping, _) | (Command::Metadata { .. }, Phase::Live) => {}
            (Command::Disconnect { wants_reply }, _) => {
                self.end_silently(EndReason::Disconnected);
                if wants_reply {
                    self.replies.push_back(reply::accepted());
                }
            }
            (Command::Hmac | Command::Connect { .. } | Command::Dot | Command::Metadata { .. }, _) => {
                self.bad_request("not now");
            }
        }
    }

    fn bad_request(&mut self, words: &str) {
        self.end(EndReason::ProtocolError, Code::BadRequest, words);
    }

    fn end(&mut self, reason: EndReason, code: Code, words: &str) {
        self.end_silently(reason);
        self.replies.push_back(reply::refusal(code, words));
    }

    fn end_silently(&mut self, reason: EndReason) {
        self.phase = Phase::Over;
        self.deadline = None;
        self.input.clear();
        self.pong_due = false;
        self.replies.clear();
        self.steps.push_back(Step::Ended(reason));
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("phase", &self.phase).finish_non_exhaustive()
    }
}

/// Between replies of the handshake: clients wait for each of these, and one that does not is no real client.
pub const HANDSHAKE_GAP: Duration = Duration::from_millis(50);
/// Between replies of a running stream: clients look at their socket every 500 ms and drop all but the first line.
pub const LIVE_GAP: Duration = Duration::from_millis(600);
/// Encoders give up after 5 s without an answer, so nobody may take longer to decide.
const DECISION_DEADLINE: Duration = Duration::from_millis(4_900);
/// A whole handshake is under 1 KiB, a minute of pings under 300 bytes. Blank lines cost us work, too.
const FLOOD_BYTES: usize = 64 * 1024;
const FLOOD_WINDOW: Duration = Duration::from_secs(10);
/// Real clients ask once.
const MAX_CHALLENGES: u8 = 8;

#[cfg(test)]
mod tests;
