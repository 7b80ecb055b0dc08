//! An FTL control connection from its first byte to its last: commands in any pieces, verdicts, ports, silence.
//!
//! Records of two bytes (what happens, length) and text; see [`happen`].
#![no_main]

use std::time::{Duration, Instant};

use heliograph_ingest::{
    auth::EndReason,
    ftl::control::{Code, Control, ControlSettings, HANDSHAKE_GAP, Step},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut now = Instant::now();
    let settings =
        ControlSettings { handshake_timeout: Duration::from_secs(10), ping_timeout: Duration::from_secs(30) };
    let mut control = Control::new(now, settings, Box::new(|| vec![0xab; 128]));
    let mut watch = Watch::default();
    let mut rest = data;
    while let [what, length, behind @ ..] = rest {
        let (text, behind) = behind.split_at(usize::from(*length).min(behind.len()));
        rest = behind;
        now += Duration::from_millis([0, 10, 700, 6_000][usize::from(what & 3)]);
        happen(&mut control, now, what >> 2 & 7, text);
        control.on_deadline(now);
        watch.drain(&mut control, now);
    }
    // Whoever stops talking is gone after a while.
    for _ in 0..1_000 {
        let Some(at) = watch.drain(&mut control, now) else { break };
        assert!(at > now, "a wait that is over already");
        now = at;
        control.on_deadline(now);
    }
    assert!(watch.closed, "a silent client never ends");
    happen(&mut control, now, 0, b"HMAC\r\n\r\n");
    assert_eq!(control.next_step(now), Step::Wait(None));
});

fn happen(control: &mut Control, now: Instant, what: u8, text: &[u8]) {
    match what {
        4 => control.on_accepted(now),
        5 => control.on_port(now, 8_100),
        6 if text.len() > 7 => control.on_eof(),
        7 if text.len() > 7 => {
            control.close(EndReason::ServerShutdown, Code::Terminated, &String::from_utf8_lossy(text));
        }
        _ => control.on_bytes(now, text),
    }
}

/// What clients rely on.
#[derive(Default)]
struct Watch {
    last_sent: Option<Instant>,
    live: bool,
    ended: bool,
    closed: bool,
}

impl Watch {
    /// Follows every step up to a wait, and says until when; `None` without end.
    fn drain(&mut self, control: &mut Control, now: Instant) -> Option<Instant> {
        for _ in 0..64 {
            match control.next_step(now) {
                Step::Wait(until) => return until.map(|(at, _)| at),
                Step::Send(line) => self.on_line(now, &line),
                Step::Check { .. } | Step::Open(_) => assert!(!self.ended),
                Step::Ended(_) => {
                    assert!(!self.ended, "it ends once");
                    self.ended = true;
                }
                Step::Close => {
                    assert!(self.ended && !self.closed);
                    self.closed = true;
                }
            }
        }
        panic!("steps without end");
    }

    fn on_line(&mut self, now: Instant, line: &str) {
        assert!(!self.closed);
        // Clients read one line of what arrived and throw the rest away.
        assert!(line.ends_with('\n') && line.matches('\n').count() == 1, "{line:?}");
        assert!(self.last_sent.is_none_or(|sent| now - sent >= HANDSHAKE_GAP), "two replies at once");
        self.last_sent = Some(now);
        // They write outside their buffer for 256 bytes and more; a challenge has 1023.
        assert!(line.len() <= if line.starts_with("200 ab") { 1_023 } else { 255 }, "{line:?}");
        let number: u16 = line[..3].parse().expect("three digits");
        assert!(line[3..].starts_with([' ', '\n']), "{line:?}");
        self.live |= line.contains(". Use UDP port ");
        // Before the stream this would be taken for the answer to CONNECT.
        assert!(number != 201 || self.live, "pong before the stream");
    }
}
