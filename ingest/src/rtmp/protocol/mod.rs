//! The server's side of RTMP as a machine without I/O: bytes and moments in, bytes and media out.
//!
//! Followed is Adobe's specification of 2012, and what encoders do where they differ. Not spoken: RTMPE, RTMPT, the
//! signed handshake of Flash, `play`, aggregate messages (no encoder sends them), AMF3 beyond the byte in front.

pub mod amf0;
pub mod chunks;
mod command;
mod handshake;
pub mod message;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    fmt,
    time::{Duration, Instant},
};

use bytes::Bytes;

use self::{
    amf0::{AmfError, Value, object},
    chunks::{ChunkError, ChunkReader},
    command::{Command, Level, Writer, information},
    handshake::{BadVersion, Handshake},
    message::{Message, MessageType},
};
use super::StreamKey;
use crate::auth::EndReason;

/// One connection.
#[derive(Debug)]
pub struct Protocol {
    settings: ProtocolSettings,
    begun: Instant,
    stage: Stage,
    reader: ChunkReader,
    writer: Writer,
    steps: VecDeque<Step>,
    application: String,
    /// The message stream that publishes.
    stream_id: u32,
    said_goodbye: bool,
    received: u64,
    acknowledged: u64,
    ack_window: u64,
    next_ping: Option<Instant>,
    /// The last few, newest first.
    round_trips: VecDeque<Duration>,
}

/// Times that the machine goes by.
#[derive(Clone, Copy, Debug)]
pub struct ProtocolSettings {
    /// From the first byte to `publish`.
    pub handshake_timeout: Duration,
    /// Fills our part of the handshake.
    pub random: [u8; 8],
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Write these bytes.
    Send(Vec<u8>),
    /// Find out whether this key may publish, then call [`Protocol::on_accepted`] or [`Protocol::close`]. Until then no
    /// more input is looked at.
    Check(StreamKey),
    /// A piece of the stream.
    Media(Tag),
    /// The publisher spoke of itself.
    Metadata(Metadata),
    /// The session is over. Follows at most once.
    Ended(EndReason),
    /// Write nothing more and close.
    Close,
    /// Nothing to do before more input, or before this moment.
    Wait(Option<Instant>),
}

/// The body of one FLV tag.
#[derive(Clone, PartialEq, Eq)]
pub struct Tag {
    /// Picture or sound.
    pub kind: TagKind,
    /// Milliseconds; wraps.
    pub timestamp: u32,
    /// See [`super::flv`].
    pub body: Bytes,
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({:?}, {} ms, {} bytes)", self.kind, self.timestamp, self.body.len())
    }
}

/// What a tag carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagKind {
    /// Sound.
    Audio,
    /// Picture.
    Video,
}

/// `onMetaData`, as far as anybody wants to know it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// Name and version of the program.
    pub encoder: String,
    /// Pixels; 0 when not said.
    pub width: u32,
    /// Pixels; 0 when not said.
    pub height: u32,
}

/// How far a connection has come.
#[derive(Debug)]
enum Stage {
    Handshake(Handshake),
    /// Commands, up to `publish`.
    Commands,
    Checking,
    Publishing,
    Over,
}

/// What a peer did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum ProtocolError {
    #[error(transparent)]
    Version(#[from] BadVersion),
    #[error(transparent)]
    Chunks(#[from] ChunkError),
    #[error(transparent)]
    Amf(#[from] AmfError),
}

impl Protocol {
    /// A connection that has just been accepted.
    #[must_use]
    pub fn new(now: Instant, settings: ProtocolSettings) -> Self {
        Self {
            settings,
            begun: now,
            stage: Stage::Handshake(Handshake::new(settings.random)),
            reader: ChunkReader::new(MAX_STRANGERS_MESSAGE),
            writer: Writer::default(),
            steps: VecDeque::new(),
            application: String::new(),
            stream_id: 0,
            said_goodbye: false,
            received: 0,
            acknowledged: 0,
            ack_window: OUR_WINDOW,
            next_ping: None,
            round_trips: VecDeque::with_capacity(ROUND_TRIPS),
        }
    }

    /// Whether bytes should be read from the connection: not while a key is being checked, so that what an impatient
    /// encoder sends in that time waits in the kernel.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        !matches!(self.stage, Stage::Checking | Stage::Over)
    }

    /// Bytes arrived. Drain [`Self::next_step`] before the next ones.
    pub fn on_bytes(&mut self, now: Instant, bytes: &[u8]) {
        if matches!(self.stage, Stage::Over) {
            return;
        }
        self.received += bytes.len() as u64;
        self.reader.push(bytes);
        if let Err(error) = self.advance(now) {
            // Says nothing of what the peer sent but numbers.
            tracing::debug!(%error, "cannot be understood");
            self.close(EndReason::ProtocolError, "this cannot be understood");
        }
    }

    /// The connection is at its end.
    pub fn on_eof(&mut self) {
        let reason = if self.said_goodbye { EndReason::Disconnected } else { EndReason::ConnectionLost };
        self.end(reason);
    }

    /// Time has passed.
    pub fn on_deadline(&mut self, now: Instant) {
        match self.stage {
            Stage::Handshake(_) | Stage::Commands if now >= self.handshake_deadline() => {
                self.close(EndReason::HandshakeTimeout, "too slow");
            }
            Stage::Publishing if self.next_ping.is_some_and(|at| now >= at) => {
                self.next_ping = Some(now + PING_EVERY);
                let stamp = self.stamp(now);
                self.writer.event(PING_REQUEST, stamp);
            }
            _ => {}
        }
    }

    /// The key was right and there is a place to send to.
    pub fn on_accepted(&mut self, now: Instant) {
        if !matches!(self.stage, Stage::Checking) {
            return;
        }
        self.stage = Stage::Publishing;
        self.reader.set_max_message(MAX_MESSAGE);
        self.next_ping = Some(now);
        self.writer.event(STREAM_BEGIN, self.stream_id);
        self.writer.status(self.stream_id, Level::Status, "NetStream.Publish.Start", "you are live");
        // What came behind `publish` in one piece.
        if let Err(error) = self.advance(now) {
            tracing::debug!(%error, "cannot be understood");
            self.close(EndReason::ProtocolError, "this cannot be understood");
        }
    }

    /// Ends the session; the publisher is told why, in `words` for people.
    pub fn close(&mut self, reason: EndReason, words: &str) {
        match self.stage {
            Stage::Over => return,
            Stage::Handshake(_) => {}
            Stage::Commands | Stage::Checking | Stage::Publishing => {
                let stream = self.stream_id;
                match status_code(reason) {
                    Some(code) => self.writer.status(stream, Level::Error, code, words),
                    None => self.writer.status(stream, Level::Status, "NetStream.Unpublish.Success", words),
                }
            }
        }
        self.end(reason);
    }

    /// Between us and the publisher, when it answers pings: the quickest of the last few. Publishers look at what they get
    /// only now and then, ffmpeg before each of its own messages, so single answers come late.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trips.iter().min().copied()
    }

    /// What to do now. Call until it says to wait or to close.
    pub fn next_step(&mut self) -> Step {
        if !self.writer.out.is_empty() {
            return Step::Send(std::mem::take(&mut self.writer.out));
        }
        if let Some(step) = self.steps.pop_front() {
            return step;
        }
        match self.stage {
            Stage::Over => Step::Close,
            Stage::Handshake(_) | Stage::Commands => Step::Wait(Some(self.handshake_deadline())),
            Stage::Checking => Step::Wait(None),
            Stage::Publishing => Step::Wait(self.next_ping),
        }
    }

    fn handshake_deadline(&self) -> Instant {
        self.begun + self.settings.handshake_timeout
    }

    fn end(&mut self, reason: EndReason) {
        if !matches!(self.stage, Stage::Over) {
            self.stage = Stage::Over;
            self.steps.push_back(Step::Ended(reason));
        }
    }

    fn advance(&mut self, now: Instant) -> Result<(), ProtocolError> {
        if let Stage::Handshake(handshake) = &mut self.stage {
            if !handshake.advance(self.reader.buffer(), &mut self.writer.out)? {
                return Ok(());
            }
            self.stage = Stage::Commands;
        }
        while matches!(self.stage, Stage::Commands | Stage::Publishing) {
            let Some(message) = self.reader.next_message()? else { break };
            self.on_message(now, &message)?;
        }
        if self.received - self.acknowledged >= self.ack_window / 2 {
            self.acknowledged = self.received;
            #[expect(clippy::cast_possible_truncation, reason = "the counter on the wire wraps")]
            let count = self.received as u32;
            self.writer.control(MessageType::ACKNOWLEDGEMENT, &count.to_be_bytes());
        }
        Ok(())
    }

    fn on_message(&mut self, now: Instant, message: &Message) -> Result<(), ProtocolError> {
        match message.kind {
            MessageType::COMMAND => self.on_command(&Command::read(&message.body)?, message.stream_id),
            MessageType::COMMAND_AMF3 => {
                let body = message.body.get(1..).unwrap_or_default();
                self.on_command(&Command::read(body)?, message.stream_id);
            }
            MessageType::WINDOW_ACK_SIZE => {
                if let Some(&[a, b, c, d]) = message.body.get(..4) {
                    self.ack_window = u64::from(u32::from_be_bytes([a, b, c, d])).max(SMALLEST_WINDOW);
                }
            }
            MessageType::USER_CONTROL => self.on_event(now, &message.body),
            MessageType::AUDIO => self.on_tag(TagKind::Audio, message),
            MessageType::VIDEO => self.on_tag(TagKind::Video, message),
            MessageType::DATA => self.on_data(&message.body),
            MessageType::DATA_AMF3 => self.on_data(message.body.get(1..).unwrap_or_default()),
            // Acknowledgements, bandwidth, shared objects: nothing to do.
            _ => {}
        }
        Ok(())
    }

    fn on_tag(&mut self, kind: TagKind, message: &Message) {
        if matches!(self.stage, Stage::Publishing) && !message.body.is_empty() {
            let (timestamp, body) = (message.timestamp, message.body.clone());
            self.steps.push_back(Step::Media(Tag { kind, timestamp, body }));
        }
    }

    /// What cannot be read is no reason to end a stream: only people look at it.
    fn on_data(&mut self, body: &[u8]) {
        let Ok(values) = amf0::read(body) else { return };
        let Some(said) = values.iter().find(|value| matches!(value, Value::Object(_))) else { return };
        if !matches!(self.stage, Stage::Publishing) {
            return;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let pixels = |name| said.get(name).and_then(Value::as_f64).map_or(0, |pixels| pixels as u32);
        let encoder = said.get("encoder").and_then(Value::as_str).unwrap_or_default();
        self.steps.push_back(Step::Metadata(Metadata {
            encoder: encoder.chars().filter(|char| !char.is_control()).take(MAX_ENCODER_NAME).collect(),
            width: pixels("width"),
            height: pixels("height"),
        }));
    }

    fn on_event(&mut self, now: Instant, body: &[u8]) {
        let Some(&[high, low, a, b, c, d]) = body.get(..6) else { return };
        let value = u32::from_be_bytes([a, b, c, d]);
        match u16::from_be_bytes([high, low]) {
            PING_REQUEST => self.writer.event(PING_RESPONSE, value),
            PING_RESPONSE => {
                let millis = self.stamp(now).wrapping_sub(value);
                if millis < 60_000 {
                    self.round_trips.truncate(ROUND_TRIPS - 1);
                    self.round_trips.push_front(Duration::from_millis(millis.into()));
                }
            }
            _ => {}
        }
    }

    /// Milliseconds since the beginning; what a ping carries.
    fn stamp(&self, now: Instant) -> u32 {
        let millis = now.saturating_duration_since(self.begun).as_millis();
        u32::try_from(millis & u128::from(u32::MAX)).unwrap_or(0)
    }

    fn on_command(&mut self, command: &Command, stream_id: u32) {
        match command.name.as_str() {
            "connect" => self.on_connect(command),
            // Some encoders wait for these answers.
            "releaseStream" | "_checkbw" => self.writer.result(command.transaction, &[Value::Null]),
            "FCPublish" => {
                self.writer.result(command.transaction, &[Value::Null]);
                let status = information(Level::Status, "NetStream.Publish.Start", "go on");
                self.writer.command(0, "onFCPublish", 0.0, &[Value::Null, status]);
            }
            "createStream" => {
                self.writer.result(command.transaction, &[Value::Null, Value::Number(1.0)]);
            }
            "publish" => self.on_publish(command, stream_id),
            "FCUnpublish" => {
                self.said_goodbye = true;
                self.writer.command(0, "onFCUnpublish", 0.0, &[Value::Null]);
            }
            "deleteStream" | "closeStream" => {
                self.said_goodbye = true;
                if matches!(self.stage, Stage::Publishing) {
                    self.close(EndReason::Disconnected, "bye");
                }
            }
            "play" | "play2" => {
                let words = "this door takes publishers; viewers use the web page";
                self.writer.status(stream_id, Level::Error, "NetStream.Play.Failed", words);
                self.end(EndReason::ProtocolError);
            }
            // Answers, and calls that nobody waits for.
            _ => {}
        }
    }

    fn on_connect(&mut self, command: &Command) {
        let said = command.arguments.first();
        let text = |name| said.and_then(|said| said.get(name)).and_then(Value::as_str);
        text("app").unwrap_or_default().clone_into(&mut self.application);
        self.writer.control(MessageType::WINDOW_ACK_SIZE, &OUR_WINDOW_ON_WIRE);
        let mut bandwidth = OUR_WINDOW_ON_WIRE.to_vec();
        bandwidth.push(DYNAMIC);
        self.writer.control(MessageType::SET_PEER_BANDWIDTH, &bandwidth);
        let server = object([("fmsVer", "FMS/3,0,1,123".into()), ("capabilities", Value::Number(31.0))]);
        let mut status = information(Level::Status, "NetConnection.Connect.Success", "Connection succeeded.");
        if let Value::Object(members) = &mut status {
            members.push(("objectEncoding".into(), Value::Number(0.0)));
            // Enhanced RTMP: what is named here is what an encoder may send. Only to those who ask.
            if said.is_some_and(|said| said.get("fourCcList").is_some() || said.get("capsEx").is_some()) {
                let list = FOURCCS.iter().map(|&fourcc| fourcc.into()).collect();
                members.push(("fourCcList".into(), Value::Array(list)));
                members.push(("capsEx".into(), Value::Number(CAPABILITIES)));
            }
        }
        self.writer.result(command.transaction, &[server, status]);
    }

    fn on_publish(&mut self, command: &Command, stream_id: u32) {
        if !matches!(self.stage, Stage::Commands) {
            return;
        }
        self.stream_id = stream_id;
        let key = StreamKey::parse(&self.application, command.text(1).unwrap_or_default());
        self.stage = Stage::Checking;
        self.steps.push_back(Step::Check(key));
    }
}

/// What an encoder shows its user. Each reason has one code; OBS and ffmpeg know `BadName` as a key that does not work.
fn status_code(reason: EndReason) -> Option<&'static str> {
    match reason {
        EndReason::Disconnected => None,
        EndReason::Denied | EndReason::ForeignNetwork | EndReason::ChannelInUse | EndReason::TakenOver => {
            Some("NetStream.Publish.BadName")
        }
        EndReason::ProtocolError => Some("NetStream.Publish.Rejected"),
        EndReason::HandshakeTimeout => Some("NetConnection.Connect.Rejected"),
        EndReason::Silent | EndReason::NoMedia => Some("NetStream.Publish.Idle"),
        EndReason::ServerShutdown => Some("NetConnection.Connect.AppShutdown"),
        _ => Some("NetStream.Publish.Failed"),
    }
}

/// The longest message before the key is proven: `connect` has less than a kilobyte.
const MAX_STRANGERS_MESSAGE: usize = 16 << 10;
/// A keyframe of 4K at 100 Mbit/s has about 2 MB.
const MAX_MESSAGE: usize = 8 << 20;
const MAX_ENCODER_NAME: usize = 100;
const OUR_WINDOW: u64 = 2_500_000;
const OUR_WINDOW_ON_WIRE: [u8; 4] = 2_500_000_u32.to_be_bytes();
const SMALLEST_WINDOW: u64 = 1_000;
const DYNAMIC: u8 = 2;
const PING_EVERY: Duration = Duration::from_secs(5);
const ROUND_TRIPS: usize = 6;
const STREAM_BEGIN: u16 = 0;
const PING_REQUEST: u16 = 6;
const PING_RESPONSE: u16 = 7;
/// Codecs that reach viewers.
const FOURCCS: [&str; 5] = ["avc1", "hvc1", "av01", "mp4a", "Opus"];
/// Multitrack and modifiers are understood (Enhanced RTMP v2, `capsEx`: 0x02 and 0x04).
const CAPABILITIES: f64 = 6.0;
