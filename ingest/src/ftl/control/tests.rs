#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

const SETTINGS: ControlSettings =
    ControlSettings { handshake_timeout: Duration::from_secs(10), ping_timeout: Duration::from_secs(30) };

/// The worked example of the protocol notes: key `1234-exampleKey`, challenge bytes 00 to 0f.
const EXAMPLE_DIGEST: &str = "8b71b822d4e3640c364174e031838e7d6473528d804a786d50edab487878a99b\
                              f35da041df43d556443387c130a6dbe12b1d1da5f0c68812c0a20bd0ef53ca24";

const EXAMPLE_METADATA: &str = "ProtocolVersion: 0.9\r\n\r\nVendorName: OBS Studio\r\n\r\nVendorVersion: 29.0.2\r\n\r\n\
    Video: true\r\n\r\nVideoCodec: H264\r\n\r\nVideoHeight: 720\r\n\r\nVideoWidth: 1280\r\n\r\nVideoPayloadType: 96\r\n\r\n\
    VideoIngestSSRC: 1235\r\n\r\nAudio: true\r\n\r\nAudioCodec: OPUS\r\n\r\nAudioPayloadType: 97\r\n\r\n\
    AudioIngestSSRC: 1234\r\n\r\n";

fn example_connect() -> String {
    format!("CONNECT 1234 ${EXAMPLE_DIGEST}\r\n\r\n")
}

/// Everything a client says from the first byte to the dot.
fn whole_handshake() -> String {
    format!("HMAC\r\n\r\n{}{EXAMPLE_METADATA}.\r\n\r\n", example_connect())
}

/// A client, an authoriser that says yes and a relay with port 20123, all in virtual time.
struct Sim {
    control: Control,
    now: Instant,
    start: Instant,
    /// Line and moment of each write.
    sent: Vec<(String, Duration)>,
    checked: Vec<(u32, Vec<u8>, [u8; DIGEST_BYTES])>,
    opened: Vec<Announcement>,
    ended: Vec<EndReason>,
    closed: bool,
    /// What the authoriser and the relay answer; `None` keeps them silent.
    accepts: Option<bool>,
}

impl Sim {
    fn new() -> Self {
        let start = Instant::now();
        let challenge = || (0..16).collect();
        Self {
            control: Control::new(start, SETTINGS, Box::new(challenge)),
            now: start,
            start,
            sent: Vec::new(),
            checked: Vec::new(),
            opened: Vec::new(),
            ended: Vec::new(),
            closed: false,
            accepts: Some(true),
        }
    }

    fn live() -> Self {
        let mut sim = Self::new();
        for part in ["HMAC\r\n\r\n", &example_connect(), EXAMPLE_METADATA, ".\r\n\r\n"] {
            sim.say(part);
        }
        assert_eq!(sim.sent.last().unwrap().0, "200 hi. Use UDP port 20123\n");
        sim
    }

    /// Does everything that is due now; returns what the machine waits for.
    fn settle(&mut self) -> Option<(Instant, Why)> {
        loop {
            match self.control.next_step(self.now) {
                Step::Send(line) => self.sent.push((line, self.now - self.start)),
                Step::Check { channel_id, challenge, digest } => {
                    self.checked.push((channel_id, challenge, digest));
                    match self.accepts {
                        Some(true) => self.control.on_accepted(self.now),
                        Some(false) => self.control.close(EndReason::Internal, Code::WrongKey, "wrong key"),
                        None => {}
                    }
                }
                Step::Open(announcement) => {
                    self.opened.push(announcement);
                    self.control.on_port(self.now, 20_123);
                }
                Step::Ended(reason) => self.ended.push(reason),
                Step::Close => self.closed = true,
                Step::Wait(wait) => return wait,
            }
        }
    }

    /// Lets time go by, stopping wherever the machine wants to.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            match self.settle() {
                Some((at, _)) if at <= until => {
                    self.now = self.now.max(at);
                    self.control.on_deadline(self.now);
                }
                _ => break,
            }
        }
        self.now = until;
        self.control.on_deadline(self.now);
        self.settle();
    }

    /// The peer says this in one piece, then waits a second.
    fn say(&mut self, text: &str) {
        self.control.on_bytes(self.now, text.as_bytes());
        self.pass(Duration::from_secs(1));
    }

    fn lines(&self) -> Vec<&str> {
        self.sent.iter().map(|(line, _)| line.as_str()).collect()
    }
}

#[test]
fn worked_example_byte_for_byte() {
    let mut sim = Sim::new();
    sim.say("HMAC\r\n\r\n");
    assert_eq!(sim.lines(), ["200 000102030405060708090a0b0c0d0e0f\n"]);
    sim.say(&example_connect());
    let digest: [u8; 64] = hex::decode(EXAMPLE_DIGEST).unwrap().try_into().unwrap();
    assert_eq!(sim.checked, [(1234, (0..16).collect(), digest)]);
    assert_eq!(sim.lines()[1..], ["200\n"]);
    for line in EXAMPLE_METADATA.split_inclusive("\r\n\r\n") {
        sim.control.on_bytes(sim.now, line.as_bytes());
        sim.pass(Duration::from_millis(40));
    }
    assert_eq!(sim.sent.len(), 2, "metadata is never answered");
    sim.say(".\r\n\r\n");
    assert_eq!(sim.lines()[2..], ["200 hi. Use UDP port 20123\n"]);
    assert_eq!(sim.opened.len(), 1);
    assert_eq!(sim.opened[0].vendor_name, "OBS Studio");
    assert_eq!(sim.opened[0].video.unwrap().ssrc.unwrap().0, 1235);
    for _ in 0..3 {
        sim.pass(Duration::from_secs(4));
        sim.say("PING 1234\r\n\r\n");
    }
    assert_eq!(sim.lines()[3..], ["201\n"; 3]);
    sim.say("DISCONNECT\r\n\r\n");
    assert_eq!(sim.sent.len(), 6, "nobody reads an answer to DISCONNECT");
    assert_eq!(sim.ended, [EndReason::Disconnected]);
    assert!(sim.closed);
}

/// The digest in the example is the right one for its key.
#[test]
fn worked_example_proves_its_key() {
    let digest: [u8; 64] = hex::decode(EXAMPLE_DIGEST).unwrap().try_into().unwrap();
    let secret = crate::Secret::new("exampleKey").unwrap();
    let challenge: Vec<u8> = (0..16).collect();
    assert!(crate::auth::digest::proves(&secret, &challenge, &digest));
}

#[test]
fn every_cut_of_the_whole_handshake() {
    let text = whole_handshake();
    for ending in ["\r\n\r\n", "\r\n", "\n"] {
        let text = text.replace("\r\n\r\n", ending);
        for cut in 0..=text.len() {
            let mut sim = Sim::new();
            sim.control.on_bytes(sim.now, &text.as_bytes()[..cut]);
            sim.pass(Duration::from_millis(500));
            sim.control.on_bytes(sim.now, &text.as_bytes()[cut..]);
            sim.pass(Duration::from_secs(1));
            let expected =
                ["200 000102030405060708090a0b0c0d0e0f\n", "200\n", "200 hi. Use UDP port 20123\n"];
            assert_eq!(sim.lines(), expected, "cut at {cut}");
            assert_eq!(sim.opened.len(), 1);
        }
    }
}

#[test]
fn byte_by_byte() {
    let mut sim = Sim::new();
    for byte in whole_handshake().bytes() {
        sim.control.on_bytes(sim.now, &[byte]);
        sim.pass(Duration::from_millis(1));
    }
    sim.pass(Duration::from_secs(1));
    assert_eq!(sim.lines().len(), 3);
    assert_eq!(sim.lines()[2], "200 hi. Use UDP port 20123\n");
}

#[test]
fn replies_keep_their_distance() {
    let mut sim = Sim::new();
    // Everything at once, and a code right behind.
    sim.say(&format!("{}PING 1234\r\n\r\nPING 1234\r\n\r\n", whole_handshake()));
    sim.control.close(EndReason::ServerShutdown, Code::Terminated, "server is shutting down");
    sim.pass(Duration::from_secs(2));
    let lines = sim.lines();
    assert_eq!(
        &lines[1..],
        ["200\n", "200 hi. Use UDP port 20123\n", "201\n", "410 server is shutting down\n"]
    );
    let times: Vec<Duration> = sim.sent.iter().map(|(_, at)| *at).collect();
    assert!(times[1] - times[0] >= HANDSHAKE_GAP && times[2] - times[1] >= HANDSHAKE_GAP);
    assert!(times[3] - times[2] >= LIVE_GAP && times[4] - times[3] >= LIVE_GAP, "{times:?}");
}

#[test]
fn a_flood_of_pings_is_answered_slowly() {
    let mut sim = Sim::live();
    let before = sim.sent.len();
    for _ in 0..1000 {
        sim.control.on_bytes(sim.now, b"PING 1234\r\n\r\n");
        sim.pass(Duration::from_millis(3));
    }
    let pongs = sim.sent.len() - before;
    assert!((4..=6).contains(&pongs), "{pongs} in 3 s");
}

#[test]
fn no_201_during_the_handshake() {
    let mut sim = Sim::new();
    for part in
        ["PING 1234\r\n\r\n", "HMAC\r\n\r\n", "PING 1234\r\n\r\n", &example_connect(), "PING 1234\r\n\r\n"]
    {
        sim.say(part);
    }
    sim.say(EXAMPLE_METADATA);
    sim.say("PING 1234\r\n\r\n.\r\n\r\n");
    assert!(sim.lines().iter().all(|line| !line.starts_with("201")), "{:?}", sim.lines());
    assert_eq!(sim.lines().last(), Some(&"200 hi. Use UDP port 20123\n"));
}

#[test]
fn wrong_key_is_405() {
    let mut sim = Sim::new();
    sim.accepts = Some(false);
    sim.say("HMAC\r\n\r\n");
    sim.say(&example_connect());
    assert_eq!(sim.lines()[1..], ["405 wrong key\n"]);
    assert!(sim.closed);
}

#[test]
fn out_of_order_and_garbage_get_400_before_the_close() {
    let hmac_then = |text: &str| format!("HMAC\n{text}\n");
    let connected_then = |text: &str| format!("HMAC\n{}{text}\n", example_connect());
    for text in [
        ".\n".to_owned(),
        "Video: true\n".to_owned(),
        example_connect(),
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "\u{0}\u{1}\u{2}\n".to_owned(),
        hmac_then("."),
        hmac_then("Video: true"),
        hmac_then("CONNECT"),
        hmac_then("CONNECT 1234"),
        hmac_then("CONNECT 1234 $12"),
        connected_then("HMAC"),
        connected_then("Video: maybe\n"),
        connected_then("VideoCodec: VP8\n."),
        connected_then("Video: false\nAudio: false\n."),
        connected_then(&example_connect()),
        "HMAC\n".repeat(9),
        "x".repeat(1025),
        "x".repeat(20_000),
        format!("HMAC\n{}", "y".repeat(3000)),
        format!("{}BANANA\n", whole_handshake()),
    ] {
        let mut sim = Sim::new();
        sim.say(&text);
        sim.pass(Duration::from_secs(1));
        let shown = &text[..text.len().min(60)];
        assert!(
            sim.lines().last().is_some_and(|line| line.starts_with("400 ")),
            "{shown:?}: {:?}",
            sim.lines()
        );
        assert_eq!(sim.ended, [EndReason::ProtocolError], "{shown:?}");
        assert!(sim.closed, "{shown:?}");
    }
}

#[test]
fn blank_lines_say_nothing() {
    let mut sim = Sim::new();
    sim.say("\r\n\r\n\n\n\r\n");
    assert!(sim.sent.is_empty());
    sim.say("\nHMAC\n\n");
    assert_eq!(sim.sent.len(), 1);
}

#[test]
fn a_flood_of_blank_lines_is_ended() {
    let mut sim = Sim::live();
    for _ in 0..10 {
        sim.control.on_bytes(sim.now, &[b'\n'; 8192]);
        sim.settle();
    }
    sim.pass(Duration::from_secs(1));
    assert_eq!(sim.lines().last(), Some(&"400 too much at once\n"));
}

#[test]
fn keys_of_all_kinds_of_ids() {
    for (id, expected) in [("0", 0), ("-1294967296", 3_000_000_000)] {
        let mut sim = Sim::new();
        sim.say("HMAC\r\n\r\n");
        sim.say(&format!("CONNECT {id} ${EXAMPLE_DIGEST}\r\n\r\n"));
        assert_eq!(sim.checked[0].0, expected);
    }
}

#[test]
fn itg_fault_16_silence_is_noticed_in_every_phase() {
    // before the key
    let mut sim = Sim::new();
    sim.pass(Duration::from_secs(11));
    assert_eq!(sim.lines(), ["408 handshake took too long\n"]);
    assert_eq!(sim.ended, [EndReason::HandshakeTimeout]);
    assert_eq!(sim.sent[0].1, Duration::from_secs(10));
    // a byte now and then does not help
    let mut sim = Sim::new();
    for _ in 0..11 {
        sim.say("\n");
    }
    assert!(sim.closed);
    // after the key
    let mut sim = Sim::new();
    sim.say("HMAC\r\n\r\n");
    sim.say(&example_connect());
    sim.pass(Duration::from_secs(11));
    assert_eq!(sim.lines().last(), Some(&"408 handshake took too long\n"));
    // live
    let mut sim = Sim::live();
    sim.pass(Duration::from_secs(28));
    assert!(!sim.closed);
    sim.say("PING 1234\r\n\r\n");
    sim.pass(Duration::from_secs(28));
    assert!(!sim.closed);
    sim.pass(Duration::from_secs(3));
    assert_eq!(sim.lines().last(), Some(&"408 no ping\n"));
    assert_eq!(sim.ended, [EndReason::PingTimeout]);
    assert!(sim.closed);
}

#[test]
fn a_silent_authoriser_is_500_before_the_encoder_gives_up() {
    let mut sim = Sim::new();
    sim.accepts = None;
    sim.say("HMAC\r\n\r\n");
    let asked = sim.now - sim.start;
    sim.say(&example_connect());
    sim.pass(Duration::from_secs(5));
    let (line, at) = sim.sent.last().unwrap();
    assert_eq!(line, "500 no decision in time\n");
    assert!(*at - asked < Duration::from_secs(5));
}

#[test]
fn eof_ends_without_a_word() {
    for setup in [Sim::new, Sim::live] {
        let mut sim = setup();
        let before = sim.sent.len();
        sim.control.on_eof();
        sim.pass(Duration::from_secs(1));
        assert_eq!(sim.ended, [EndReason::ConnectionLost]);
        assert_eq!(sim.sent.len(), before);
        assert!(sim.closed);
    }
}

#[test]
fn disconnect_with_arguments_is_answered() {
    let mut sim = Sim::live();
    sim.say(&format!("DISCONNECT 1234 ${EXAMPLE_DIGEST}\r\n\r\n"));
    assert_eq!(sim.lines()[3..], ["200\n"]);
    assert_eq!(sim.ended, [EndReason::Disconnected]);
    assert!(sim.closed);
}

#[test]
fn each_end_is_told_once() {
    let mut sim = Sim::live();
    sim.control.close(EndReason::TakenOver, Code::Terminated, "taken over");
    sim.control.close(EndReason::NoMedia, Code::Timeout, "no media");
    sim.control.on_eof();
    sim.say("DISCONNECT\r\n\r\n");
    assert_eq!(sim.ended, [EndReason::TakenOver]);
    assert_eq!(sim.lines().iter().filter(|line| line.starts_with('4')).count(), 1);
}

#[test]
fn round_trip_is_the_quickest_answer() {
    let mut sim = Sim::new();
    sim.say("HMAC\r\n\r\n"); // answered after 1 s
    sim.control.on_bytes(sim.now, example_connect().as_bytes());
    sim.pass(Duration::from_millis(40));
    sim.control.on_bytes(sim.now, b"ProtocolVersion: 0.9\r\n\r\n");
    assert_eq!(sim.control.round_trip(), Some(Duration::from_millis(40)));
}

fn arbitrary_input() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let fragment = prop_oneof![
        Just("HMAC\r\n\r\n".to_owned().into_bytes()),
        Just(example_connect().into_bytes()),
        Just(EXAMPLE_METADATA.to_owned().into_bytes()),
        Just(b".\n".to_vec()),
        Just(b"PING 1\r\n\r\n".to_vec()),
        Just(b"DISCONNECT\n".to_vec()),
        Just(b"Video: x\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..200),
        proptest::collection::vec(any::<u8>(), 2000..3000),
    ];
    proptest::collection::vec(fragment, 0..20)
}

proptest! {
    #[test]
    fn garbage_is_survived_and_answered(pieces in arbitrary_input()) {
        let mut sim = Sim::new();
        for piece in &pieces {
            sim.control.on_bytes(sim.now, piece);
            sim.pass(Duration::from_millis(700));
        }
        sim.control.on_eof();
        sim.pass(Duration::from_secs(2));
        prop_assert!(sim.closed);
        prop_assert_eq!(sim.ended.len(), 1);
        for (line, _) in &sim.sent {
            prop_assert!(line.len() < 256 && line.ends_with('\n') && line.matches('\n').count() == 1);
            prop_assert!(line.starts_with(|c: char| c.is_ascii_digit()));
        }
        // A connection that we ended has its number.
        if sim.ended[0] == EndReason::ProtocolError {
            prop_assert!(sim.sent.last().unwrap().0.starts_with("400 "));
        }
    }

    #[test]
    fn any_segmentation_is_the_same(cuts in proptest::collection::vec(1usize..60, 0..40)) {
        let text = whole_handshake();
        let mut rest = text.as_bytes();
        let mut sim = Sim::new();
        for cut in cuts {
            let (head, tail) = rest.split_at(cut.min(rest.len()));
            sim.control.on_bytes(sim.now, head);
            sim.pass(Duration::from_millis(60));
            rest = tail;
        }
        sim.control.on_bytes(sim.now, rest);
        sim.pass(Duration::from_secs(1));
        prop_assert_eq!(sim.lines().len(), 3);
        prop_assert_eq!(sim.lines()[2], "200 hi. Use UDP port 20123\n");
    }
}
