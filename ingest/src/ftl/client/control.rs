//! The control connection from the encoder's side: handshake, PING, codes. No sockets, no clock.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{
    error::{ClientError, Refusal},
    key::StreamKey,
};

/// How long the real client waits for each answer of the handshake.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);
/// `PING` is sent this often, counted from the end of the handshake.
const PING_EVERY: Duration = Duration::from_secs(5);
/// Without a `201` for this long the real client gives up.
const PONG_TIMEOUT: Duration = Duration::from_secs(30);
/// The real client's reply buffer; a longer reply would be written outside it.
const MAX_REPLY: usize = 255;
/// The same for the challenge.
const MAX_CHALLENGE_REPLY: usize = 1023;

/// What the client tells about itself and its media.
#[derive(Debug, Clone)]
pub struct Announce {
    /// Name of the program; at most 49 bytes are sent.
    pub vendor_name: String,
    /// Its version; at most 49 bytes are sent.
    pub vendor_version: String,
    /// Whether video will be sent (H.264, payload type 96).
    pub video: bool,
    /// Whether audio will be sent (Opus, payload type 97).
    pub audio: bool,
}

impl Default for Announce {
    fn default() -> Self {
        Self {
            vendor_name: "Heliograph".into(),
            vendor_version: env!("CARGO_PKG_VERSION").into(),
            video: true,
            audio: true,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    AwaitChallenge,
    AwaitWelcome,
    AwaitPort,
    Live { port: u16 },
    Over,
}

/// One control connection. Feed it bytes and deadlines, send what [`poll_send`](Self::poll_send) hands out, each
/// piece with one write.
#[derive(Debug)]
pub struct ClientControl {
    key: StreamKey,
    announce: Announce,
    step: Step,
    inbox: Vec<u8>,
    outbox: VecDeque<Vec<u8>>,
    reply_due: Option<Instant>,
    next_ping: Instant,
    last_pong: Instant,
}

impl ClientControl {
    /// Begins on a fresh connection: the request for a challenge is ready to be sent.
    pub fn begin(key: StreamKey, announce: Announce, now: Instant) -> Self {
        let mut control = Self {
            key,
            announce,
            step: Step::AwaitChallenge,
            inbox: Vec::new(),
            outbox: VecDeque::new(),
            reply_due: Some(now + REPLY_TIMEOUT),
            next_ping: now + PING_EVERY,
            last_pong: now,
        };
        control.say("HMAC");
        control
    }

    /// The UDP port the server told, once the handshake is done.
    pub fn media_port(&self) -> Option<u16> {
        match self.step {
            Step::Live { port } => Some(port),
            _ => None,
        }
    }

    /// Bytes arrived. Like the real client: a reply is complete when a chunk ends in a newline; only its first
    /// line counts and the rest is thrown away.
    pub fn on_bytes(&mut self, now: Instant, bytes: &[u8]) -> Result<(), ClientError> {
        if self.step == Step::Over {
            return Ok(());
        }
        let limit = if self.step == Step::AwaitChallenge { MAX_CHALLENGE_REPLY } else { MAX_REPLY };
        if self.inbox.len() + bytes.len() > limit {
            return Err(self.bad_reply("longer than the client's buffer"));
        }
        self.inbox.extend_from_slice(bytes);
        if self.inbox.last() != Some(&b'\n') {
            return Ok(());
        }
        let chunk = std::mem::take(&mut self.inbox);
        let line = chunk.split(|byte| *byte == b'\n').next().unwrap_or_default();
        self.on_line(now, line)
    }

    /// Tells the control connection that time has passed.
    pub fn on_deadline(&mut self, now: Instant) -> Result<(), ClientError> {
        if let Some(due) = self.reply_due
            && now >= due
        {
            self.step = Step::Over;
            return Err(ClientError::NoReply { command: self.command() });
        }
        if !matches!(self.step, Step::Live { .. }) {
            return Ok(());
        }
        if now >= self.last_pong + PONG_TIMEOUT {
            self.disconnect();
            return Err(ClientError::NoPong);
        }
        if now >= self.next_ping {
            self.next_ping = now + PING_EVERY;
            self.say(&format!("PING {}", self.key.signed_id()));
        }
        Ok(())
    }

    /// When [`on_deadline`](Self::on_deadline) is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        match self.step {
            Step::Live { .. } => Some(self.next_ping.min(self.last_pong + PONG_TIMEOUT)),
            Step::Over => None,
            _ => self.reply_due,
        }
    }

    /// The next command to write.
    pub fn poll_send(&mut self) -> Option<Vec<u8>> {
        self.outbox.pop_front()
    }

    /// Says goodbye; the caller closes the connection after writing it.
    pub fn disconnect(&mut self) {
        if matches!(self.step, Step::Live { .. }) {
            self.say("DISCONNECT");
        }
        self.step = Step::Over;
    }

    fn on_line(&mut self, now: Instant, line: &[u8]) -> Result<(), ClientError> {
        let code = leading_code(line);
        match self.step {
            Step::Over => Ok(()),
            Step::Live { .. } => match code {
                200 => Ok(()),
                201 => {
                    self.last_pong = now;
                    Ok(())
                }
                code => {
                    self.disconnect();
                    Err(ClientError::Ended(Refusal { code }))
                }
            },
            _ if code == 201 => Err(self.bad_reply("201 answers PING only")),
            _ if code != 200 => {
                self.step = Step::Over;
                Err(ClientError::Refused(Refusal { code }))
            }
            Step::AwaitChallenge => {
                let challenge = line.get(4..).and_then(|digits| hex::decode(digits).ok());
                let Some(challenge) = challenge else {
                    return Err(self.bad_reply("not an even number of hex digits before a single newline"));
                };
                let answer = self.key.answer(&challenge);
                self.say(&format!("CONNECT {} ${answer}", self.key.signed_id()));
                self.expect_reply(now, Step::AwaitWelcome);
                Ok(())
            }
            Step::AwaitWelcome => {
                self.say_metadata();
                self.expect_reply(now, Step::AwaitPort);
                Ok(())
            }
            Step::AwaitPort => {
                let Some(port) = told_port(line) else {
                    return Err(self.bad_reply("no `. Use UDP port N` in it"));
                };
                self.step = Step::Live { port };
                self.reply_due = None;
                self.last_pong = now;
                self.next_ping = now + PING_EVERY;
                Ok(())
            }
        }
    }

    fn expect_reply(&mut self, now: Instant, step: Step) {
        self.step = step;
        self.reply_due = Some(now + REPLY_TIMEOUT);
    }

    fn bad_reply(&mut self, what: &'static str) -> ClientError {
        let command = self.command();
        self.step = Step::Over;
        ClientError::BadReply { command, what }
    }

    fn command(&self) -> &'static str {
        match self.step {
            Step::AwaitChallenge => "HMAC",
            Step::AwaitWelcome => "CONNECT",
            Step::AwaitPort => "the metadata",
            Step::Live { .. } => "PING",
            Step::Over => "the last command",
        }
    }

    fn say(&mut self, command: &str) {
        self.outbox.push_back(format!("{command}\r\n\r\n").into_bytes());
    }

    fn say_metadata(&mut self) {
        let id = self.key.signed_id();
        let video_ssrc = id.wrapping_add(1);
        let Announce { vendor_name, vendor_version, video, audio } = self.announce.clone();
        self.say("ProtocolVersion: 0.9");
        self.say(&format!("VendorName: {}", one_line(&vendor_name)));
        self.say(&format!("VendorVersion: {}", one_line(&vendor_version)));
        self.say(&format!("Video: {video}"));
        self.say(if video { "VideoCodec: H264" } else { "VideoCodec: " });
        // The real client says 1280x720 whatever the picture is.
        self.say("VideoHeight: 720");
        self.say("VideoWidth: 1280");
        self.say("VideoPayloadType: 96");
        self.say(&format!("VideoIngestSSRC: {video_ssrc}"));
        self.say(&format!("Audio: {audio}"));
        self.say(if audio { "AudioCodec: OPUS" } else { "AudioCodec: " });
        self.say("AudioPayloadType: 97");
        self.say(&format!("AudioIngestSSRC: {id}"));
        self.say(".");
    }
}

/// At most 49 bytes without line breaks, cut at a character.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for character in text.chars().filter(|character| !character.is_control()) {
        if line.len() + character.len_utf8() > 49 {
            break;
        }
        line.push(character);
    }
    line
}

/// The leading decimal number: 0 for an empty line, -1 for anything that does not begin with a digit.
fn leading_code(line: &[u8]) -> i32 {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return 0;
    }
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&line[..digits]).ok().and_then(|digits| digits.parse().ok()).unwrap_or(-1)
}

/// At least one character without a dot, a dot, ` Use UDP port `, a number.
fn told_port(line: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(line).ok()?;
    let (before, after) = line.split_once('.')?;
    if before.is_empty() {
        return None;
    }
    let digits = after.trim_start().strip_prefix("Use UDP port")?.trim_start();
    let end = digits.find(|character: char| !character.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok().filter(|port| *port != 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const CHALLENGE: &[u8] = b"200 000102030405060708090a0b0c0d0e0f\n";

    fn begun(key: &str) -> (ClientControl, Instant) {
        let now = Instant::now();
        (ClientControl::begin(StreamKey::parse(key).unwrap(), Announce::default(), now), now)
    }

    fn sent(control: &mut ClientControl) -> Vec<String> {
        std::iter::from_fn(|| control.poll_send()).map(|bytes| String::from_utf8(bytes).unwrap()).collect()
    }

    fn live(key: &str) -> (ClientControl, Instant) {
        let (mut control, now) = begun(key);
        control.on_bytes(now, CHALLENGE).unwrap();
        control.on_bytes(now, b"200\n").unwrap();
        control.on_bytes(now, b"200 hi. Use UDP port 20123\n").unwrap();
        sent(&mut control);
        (control, now)
    }

    #[test]
    fn the_handshake_is_the_real_clients_byte_for_byte() {
        let (mut control, now) = begun("1234-exampleKey");
        assert_eq!(sent(&mut control), ["HMAC\r\n\r\n"]);
        control.on_bytes(now, CHALLENGE).unwrap();
        assert_eq!(
            sent(&mut control),
            [
                "CONNECT 1234 $8b71b822d4e3640c364174e031838e7d6473528d804a786d50edab487878a99bf35da041df43d556443387c130a6dbe12b1d1da5f0c68812c0a20bd0ef53ca24\r\n\r\n"
            ]
        );
        control.on_bytes(now, b"200\n").unwrap();
        let version = env!("CARGO_PKG_VERSION");
        let expected = [
            "ProtocolVersion: 0.9",
            "VendorName: Heliograph",
            &format!("VendorVersion: {version}"),
            "Video: true",
            "VideoCodec: H264",
            "VideoHeight: 720",
            "VideoWidth: 1280",
            "VideoPayloadType: 96",
            "VideoIngestSSRC: 1235",
            "Audio: true",
            "AudioCodec: OPUS",
            "AudioPayloadType: 97",
            "AudioIngestSSRC: 1234",
            ".",
        ]
        .map(|line| format!("{line}\r\n\r\n"));
        assert_eq!(sent(&mut control), expected);
        control.on_bytes(now, b"200 hi. Use UDP port 20123\n").unwrap();
        assert_eq!(control.media_port(), Some(20123));
    }

    #[test]
    fn ids_are_printed_signed() {
        let (mut control, now) = begun("3000000000-k");
        control.on_bytes(now, CHALLENGE).unwrap();
        control.on_bytes(now, b"200\n").unwrap();
        let lines = sent(&mut control).concat();
        for part in ["CONNECT -1294967296 $", "VideoIngestSSRC: -1294967295", "AudioIngestSSRC: -1294967296"]
        {
            assert!(lines.contains(part), "{part}");
        }
    }

    #[test]
    fn challenge_of_any_even_length_but_no_carriage_return() {
        for digits in [0, 2, 256, 1000] {
            let (mut control, now) = begun("1-k");
            let reply = format!("200 {}\n", "a".repeat(digits));
            control.on_bytes(now, reply.as_bytes()).unwrap();
            assert_eq!(sent(&mut control).len(), 2, "{digits} digits");
        }
        for reply in ["200 abc\n", "200 ab\r\n", "200 xy\n"] {
            let (mut control, now) = begun("1-k");
            let error = control.on_bytes(now, reply.as_bytes()).unwrap_err();
            assert!(matches!(error, ClientError::BadReply { command: "HMAC", .. }), "{reply:?}");
        }
    }

    #[test]
    fn port_lines_the_real_client_understands() {
        for (line, port) in [
            ("200 hi. Use UDP port 8123", Some(8123)),
            ("200. Use UDP port 40000", Some(40000)),
            ("200 hi. Use UDP port 8123\r", Some(8123)),
            ("200", None),
            ("200 hi. use udp port 8123", None),
            ("200 v1.2 ok. Use UDP port 8123", None),
            ("200 hi. Use UDP port 70000", None),
        ] {
            assert_eq!(told_port(line.as_bytes()), port, "{line}");
        }
    }

    #[test]
    fn codes_end_the_handshake_and_the_stream() {
        let (mut control, now) = begun("1-k");
        control.on_bytes(now, CHALLENGE).unwrap();
        let error = control.on_bytes(now, b"405 no\n").unwrap_err();
        assert!(matches!(error, ClientError::Refused(Refusal { code: 405 })));

        for (line, code) in [(&b"410 bye\n"[..], 410), (b"\n", 0), (b"hello\n", -1), (b"406\n201\n", 406)] {
            let (mut control, now) = live("1-k");
            let error = control.on_bytes(now, line).unwrap_err();
            assert!(matches!(error, ClientError::Ended(refusal) if refusal.code == code), "{line:?}");
            assert_eq!(sent(&mut control), ["DISCONNECT\r\n\r\n"]);
        }
    }

    #[test]
    fn only_the_first_line_of_a_chunk_counts() {
        let (mut control, now) = live("1-k");
        control.on_bytes(now, b"201\n410\n").unwrap();
        assert!(control.media_port().is_some());
    }

    #[test]
    fn pings_every_five_seconds_and_gives_up_after_thirty_without_an_answer() {
        let (mut control, start) = live("9-k");
        let mut pings = 0;
        let ended = loop {
            let now = control.next_deadline().unwrap();
            match control.on_deadline(now) {
                Ok(()) => pings += sent(&mut control).len(),
                Err(error) => break (error, now),
            }
        };
        assert!(matches!(ended.0, ClientError::NoPong));
        assert_eq!(ended.1 - start, PONG_TIMEOUT);
        assert_eq!(pings, 5);
    }

    #[test]
    fn a_silent_server_is_given_up_after_five_seconds() {
        let (mut control, now) = begun("1-k");
        assert_eq!(control.next_deadline(), Some(now + REPLY_TIMEOUT));
        let error = control.on_deadline(now + REPLY_TIMEOUT).unwrap_err();
        assert!(matches!(error, ClientError::NoReply { .. }));
    }

    #[test]
    fn replies_beyond_the_real_buffers_are_refused() {
        let (mut control, now) = live("1-k");
        assert!(control.on_bytes(now, &[b'2'; 256]).is_err());
        let (mut control, now) = begun("1-k");
        assert!(control.on_bytes(now, &[b'2'; 1024]).is_err());
    }
}
