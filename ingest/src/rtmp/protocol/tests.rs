#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

/// A publisher and the machine, without a network between them.
struct Sim {
    protocol: Protocol,
    now: Instant,
    /// What the machine sent, as messages.
    heard: ChunkReader,
    handshake_left: usize,
    steps: Vec<Step>,
}

impl Sim {
    fn new() -> Self {
        let now = Instant::now();
        let settings = ProtocolSettings { handshake_timeout: Duration::from_secs(10), random: [1; 8] };
        Self {
            protocol: Protocol::new(now, settings),
            now,
            heard: ChunkReader::new(1 << 20),
            handshake_left: 1 + 2 * 1536,
            steps: Vec::new(),
        }
    }

    fn shaken() -> Self {
        let mut sim = Self::new();
        let mut bytes = vec![3];
        bytes.extend([5; 2 * 1536]);
        sim.send(&bytes);
        sim
    }

    fn publishing() -> Self {
        let mut sim = Self::shaken();
        sim.command(0, "connect", 1.0, &[object([("app", "live".into())])]);
        sim.command(0, "createStream", 2.0, &[Value::Null]);
        sim.command(1, "publish", 3.0, &[Value::Null, "7-secret".into(), "live".into()]);
        sim.protocol.on_accepted(sim.now);
        sim.drain();
        sim.steps.clear();
        sim.said();
        sim
    }

    fn send(&mut self, bytes: &[u8]) {
        self.protocol.on_bytes(self.now, bytes);
        self.drain();
    }

    fn drain(&mut self) {
        loop {
            match self.protocol.next_step() {
                Step::Send(bytes) => {
                    let skip = self.handshake_left.min(bytes.len());
                    self.handshake_left -= skip;
                    self.heard.push(&bytes[skip..]);
                }
                Step::Wait(_) => break,
                Step::Close => {
                    self.steps.push(Step::Close);
                    break;
                }
                step => self.steps.push(step),
            }
        }
    }

    fn message(&mut self, kind: MessageType, stream_id: u32, timestamp: u32, body: &[u8]) {
        let mut bytes = Vec::new();
        let message = Message { kind, stream_id, timestamp, body: body.to_vec().into() };
        chunks::write_message(&mut bytes, 4, &message);
        self.send(&bytes);
    }

    fn command(&mut self, stream_id: u32, name: &str, transaction: f64, arguments: &[Value]) {
        let mut writer = Writer::default();
        writer.command(stream_id, name, transaction, arguments);
        let bytes = std::mem::take(&mut writer.out);
        self.send(&bytes);
    }

    /// Names and codes of the commands heard, and the numbers of other messages.
    fn said(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        while let Some(message) = self.heard.next_message().unwrap() {
            if message.kind == MessageType::COMMAND {
                let command = Command::read(&message.body).unwrap();
                let code = command.arguments.get(1).and_then(|info| info.get("code")).and_then(Value::as_str);
                said.push(code.map_or(command.name.clone(), |code| format!("{} {code}", command.name)));
            } else {
                said.push(message.kind.0.to_string());
            }
        }
        said
    }
}

#[test]
fn as_obs_and_ffmpeg_do_it() {
    let mut sim = Sim::shaken();
    sim.command(0, "connect", 1.0, &[object([("app", "live".into()), ("type", "nonprivate".into())])]);
    assert_eq!(sim.said(), ["5", "6", "_result NetConnection.Connect.Success"]);
    sim.command(0, "releaseStream", 2.0, &[Value::Null, "7-secret".into()]);
    sim.command(0, "FCPublish", 3.0, &[Value::Null, "7-secret".into()]);
    sim.command(0, "createStream", 4.0, &[Value::Null]);
    assert_eq!(sim.said(), ["_result", "_result", "onFCPublish NetStream.Publish.Start", "_result"]);
    sim.command(1, "publish", 5.0, &[Value::Null, "7-secret".into(), "live".into()]);
    assert_eq!(sim.steps, [Step::Check(StreamKey::parse("live", "7-secret"))]);
    assert!(!sim.protocol.wants_input());
    sim.steps.clear();
    sim.protocol.on_accepted(sim.now);
    sim.drain();
    assert!(sim.protocol.wants_input());
    assert_eq!(sim.said(), ["4", "onStatus NetStream.Publish.Start"]);
    let metadata = object([("width", 1280.0.into()), ("height", 720.0.into()), ("encoder", "obs\n".into())]);
    let mut body = Vec::new();
    amf0::write(&mut body, &["@setDataFrame".into(), "onMetaData".into(), metadata]);
    sim.message(MessageType::DATA, 1, 0, &body);
    sim.message(MessageType::VIDEO, 1, 40, &[0x17, 1, 0, 0, 0]);
    sim.message(MessageType::AUDIO, 1, 41, &[0xaf, 1]);
    let tag = |kind, timestamp, body: &[u8]| {
        Step::Media(Tag { kind, timestamp, body: Bytes::copy_from_slice(body) })
    };
    assert_eq!(
        sim.steps,
        [
            Step::Metadata(Metadata { encoder: "obs".into(), width: 1280, height: 720 }),
            tag(TagKind::Video, 40, &[0x17, 1, 0, 0, 0]),
            tag(TagKind::Audio, 41, &[0xaf, 1]),
        ]
    );
    sim.steps.clear();
    sim.command(0, "FCUnpublish", 6.0, &[Value::Null, "7-secret".into()]);
    sim.command(0, "deleteStream", 7.0, &[Value::Null, Value::Number(1.0)]);
    assert_eq!(sim.steps, [Step::Ended(EndReason::Disconnected), Step::Close]);
}

#[test]
fn media_behind_publish_in_one_piece_is_kept_until_the_verdict() {
    let mut sim = Sim::shaken();
    let mut writer = Writer::default();
    writer.command(0, "connect", 1.0, &[object([("app", "live".into())])]);
    writer.command(1, "publish", 5.0, &[Value::Null, "k".into()]);
    let body = Bytes::from_static(&[0x17, 0]);
    let tag = Message { kind: MessageType::VIDEO, stream_id: 1, timestamp: 0, body };
    chunks::write_message(&mut writer.out, 6, &tag);
    let bytes = writer.out.clone();
    sim.send(&bytes);
    assert!(matches!(sim.steps[..], [Step::Check(_)]));
    sim.protocol.on_accepted(sim.now);
    sim.drain();
    assert!(matches!(sim.steps[..], [Step::Check(_), Step::Media(_)]));
}

#[test]
fn media_without_a_key_is_nothing() {
    let mut sim = Sim::shaken();
    sim.message(MessageType::VIDEO, 1, 0, &[0x17, 0]);
    assert_eq!(sim.steps, []);
}

#[test]
fn each_end_has_its_word() {
    for (reason, expected) in [
        (EndReason::Denied, "onStatus NetStream.Publish.BadName"),
        (EndReason::ChannelInUse, "onStatus NetStream.Publish.BadName"),
        (EndReason::NoMedia, "onStatus NetStream.Publish.Idle"),
        (EndReason::ServerShutdown, "onStatus NetConnection.Connect.AppShutdown"),
        (EndReason::NoVerdict, "onStatus NetStream.Publish.Failed"),
    ] {
        let mut sim = Sim::publishing();
        sim.protocol.close(reason, "for people");
        sim.drain();
        assert_eq!(sim.said(), [expected]);
        assert_eq!(sim.steps, [Step::Ended(reason), Step::Close]);
        // Nothing moves it any more.
        sim.send(&[0; 100]);
        sim.protocol.on_eof();
        sim.drain();
        assert_eq!(sim.steps[1..], [Step::Close, Step::Close, Step::Close]);
    }
}

#[test]
fn a_slow_or_broken_handshake() {
    let mut sim = Sim::new();
    sim.send(&[3, 0, 0]);
    assert_eq!(sim.protocol.next_step(), Step::Wait(Some(sim.now + Duration::from_secs(10))));
    sim.now += Duration::from_secs(10);
    sim.protocol.on_deadline(sim.now);
    sim.drain();
    assert_eq!(sim.steps, [Step::Ended(EndReason::HandshakeTimeout), Step::Close]);
    let mut sim = Sim::new();
    sim.send(b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(sim.steps, [Step::Ended(EndReason::ProtocolError), Step::Close]);
}

#[test]
fn a_stranger_cannot_make_us_hold_much() {
    let mut sim = Sim::shaken();
    // A command of 16 KiB and one byte.
    sim.send(&hex::decode("0400000000400114000000").unwrap());
    sim.send(&[0]);
    assert_eq!(sim.steps, [Step::Ended(EndReason::ProtocolError), Step::Close]);
    assert_eq!(sim.said(), ["onStatus NetStream.Publish.Rejected"]);
}

#[test]
fn pings_both_ways() {
    let mut sim = Sim::publishing();
    assert_eq!(sim.protocol.next_step(), Step::Wait(Some(sim.now)));
    sim.now += Duration::from_millis(100);
    sim.protocol.on_deadline(sim.now);
    sim.drain();
    assert_eq!(sim.said(), ["4"]);
    sim.now += Duration::from_millis(42);
    sim.message(MessageType::USER_CONTROL, 0, 0, &[0, 7, 0, 0, 0, 100]);
    assert_eq!(sim.protocol.round_trip(), Some(Duration::from_millis(42)));
    // It looks at what it gets only now and then: the quickest answer is the nearest to the truth.
    sim.now += Duration::from_millis(60);
    sim.message(MessageType::USER_CONTROL, 0, 0, &[0, 7, 0, 0, 0, 100]);
    assert_eq!(sim.protocol.round_trip(), Some(Duration::from_millis(42)));
    sim.message(MessageType::USER_CONTROL, 0, 0, &[0, 6, 1, 2, 3, 4]);
    let answer = sim.heard.next_message().unwrap().unwrap();
    assert_eq!(answer.body[..], [0, 7, 1, 2, 3, 4]);
}

#[test]
fn what_arrives_is_acknowledged() {
    let mut sim = Sim::publishing();
    sim.message(MessageType::WINDOW_ACK_SIZE, 0, 0, &10_000_u32.to_be_bytes());
    for _ in 0..50 {
        sim.message(MessageType::AUDIO, 1, 0, &[0xaf; 120]);
    }
    let said = sim.said();
    assert!((1..=2).contains(&said.len()) && said.iter().all(|kind| kind == "3"), "{said:?}");
}

#[test]
fn enhanced_encoders_hear_what_is_understood() {
    let mut sim = Sim::shaken();
    let list = Value::Array(vec!["avc1".into(), "hvc1".into()]);
    sim.command(0, "connect", 1.0, &[object([("app", "live".into()), ("fourCcList", list)])]);
    while let Some(message) = sim.heard.next_message().unwrap() {
        if message.kind == MessageType::COMMAND {
            let result = Command::read(&message.body).unwrap();
            let list = result.arguments[1].get("fourCcList").unwrap();
            let all = ["avc1", "hvc1", "av01", "mp4a", "Opus"].map(Value::from);
            assert_eq!(list, &Value::Array(all.into()));
            return;
        }
    }
    panic!("no answer");
}

#[test]
fn players_are_sent_to_the_page() {
    let mut sim = Sim::shaken();
    sim.command(1, "play", 4.0, &[Value::Null, "studio".into()]);
    assert_eq!(sim.said(), ["onStatus NetStream.Play.Failed"]);
    assert_eq!(sim.steps, [Step::Ended(EndReason::ProtocolError), Step::Close]);
}
