//! What a viewer says over its socket, read with patience for what is new and none for what is broken.

use std::time::Duration;

use heliograph_relay::PlayoutDelay;
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::{
    messages::{ClockQuestion, DelayReport, IceCandidate, PlayoutWish, SdpKind, SessionDescription},
    playout,
};

/// A message from a viewer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Inbound {
    Answer(String),
    /// The `candidate` string; empty at the end of the candidates.
    Candidate(String),
    /// A wish for the playout delay; none: what is usual.
    Playout(Option<PlayoutDelay>),
    /// A wish for a layer of the picture, by name; none: as the network permits.
    Layer(Option<String>),
    /// Asks for our clock; the moment of asking on the viewer's own, in microseconds.
    Clock(u64),
    /// How late the viewer sees the broadcast.
    Delay(Duration),
    /// An event that we do not know: newer pages may say more than we understand.
    Unknown,
}

/// Reads one message.
///
/// # Errors
/// A sentence for the viewer, when it is not JSON of the documented shape.
pub(crate) fn parse(message: &[u8]) -> Result<Inbound, String> {
    let mut message: Map<String, Value> =
        serde_json::from_slice(message).map_err(|error| format!("the message is not understood: {error}"))?;
    let data = message.remove("data").unwrap_or_default();
    let event = match message.get("event") {
        Some(Value::String(event)) => event.as_str(),
        None => "",
        Some(_) => return Err("the message is not understood: event is no string".to_owned()),
    };
    match event {
        "answer" => match serde_json::from_value(data) {
            Ok(SessionDescription { kind: SdpKind::Answer, sdp }) => Ok(Inbound::Answer(sdp)),
            Ok(_) => Err("the server offers and the viewer answers, not the other way round".to_owned()),
            Err(error) => Err(format!("the answer is not understood: {error}")),
        },
        "candidate" => match serde_json::from_value::<Option<IceCandidate>>(data) {
            Ok(candidate) => Ok(Inbound::Candidate(candidate.unwrap_or_default().candidate)),
            Err(error) => Err(format!("the candidate is not understood: {error}")),
        },
        "playout" => match serde_json::from_value::<Option<PlayoutWish>>(data) {
            Ok(wish) => Ok(Inbound::Playout(wish.map(playout::checked).transpose()?)),
            Err(error) => Err(format!("the playout delay is not understood: {error}")),
        },
        "layer" => match serde_json::from_value::<Option<String>>(data) {
            // No stream has a name that is longer.
            Ok(layer) => Ok(Inbound::Layer(layer.filter(|rid| rid.len() <= MAX_RID))),
            Err(error) => Err(format!("the layer is not understood: {error}")),
        },
        "clock" => match serde_json::from_value(data) {
            Ok(ClockQuestion { client_us }) => Ok(Inbound::Clock(client_us)),
            Err(error) => Err(format!("the question for the clock is not understood: {error}")),
        },
        "delay" => match serde_json::from_value(data) {
            Ok(DelayReport { delay_ms }) if delay_ms <= MOST_DELAY_MS => {
                Ok(Inbound::Delay(Duration::from_millis(delay_ms.into())))
            }
            Ok(_) => Err(format!("the delay is not understood: delay_ms is {MOST_DELAY_MS} at most")),
            Err(error) => Err(format!("the delay is not understood: {error}")),
        },
        _ => Ok(Inbound::Unknown),
    }
}

/// Nobody watches live a minute later.
const MOST_DELAY_MS: u32 = 60_000;

/// Longest name of a layer, in bytes; the relay takes no longer ones.
pub(crate) const MAX_RID: usize = 32;

/// How many messages a viewer may send: a burst of candidates, then a trickle. Whoever says more wants to keep us
/// busy.
#[derive(Debug)]
pub(crate) struct Budget {
    left: u32,
    filled: Instant,
}

impl Budget {
    const BURST: u32 = 200;
    const REFILL: Duration = Duration::from_millis(100);

    pub(crate) fn new(now: Instant) -> Self {
        Self { left: Self::BURST, filled: now }
    }

    /// Takes one; `false` when none is left.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.filled);
        let earned = u32::try_from(elapsed.as_millis() / Self::REFILL.as_millis()).unwrap_or(u32::MAX);
        if earned > 0 {
            self.filled = now;
            self.left = self.left.saturating_add(earned).min(Self::BURST);
        }
        self.left.checked_sub(1).map(|left| self.left = left).is_some()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn messages_as_pages_send_them() {
        let delay = |min, max| PlayoutDelay::new(Duration::from_millis(min), Duration::from_millis(max));
        for (text, wanted) in [
            (r#"{"event":"answer","data":{"type":"answer","sdp":"v=0"}}"#, Inbound::Answer("v=0".into())),
            (
                r#"{"event":"candidate","data":{"candidate":"candidate:1 ...","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":"x"}}"#,
                Inbound::Candidate("candidate:1 ...".into()),
            ),
            (r#"{"event":"candidate","data":{"candidate":""}}"#, Inbound::Candidate(String::new())),
            (r#"{"event":"candidate","data":null}"#, Inbound::Candidate(String::new())),
            (r#"{"event":"candidate"}"#, Inbound::Candidate(String::new())),
            (r#"{"event":"layer","data":"h"}"#, Inbound::Layer(Some("h".into()))),
            (r#"{"event":"layer","data":null}"#, Inbound::Layer(None)),
            (r#"{"event":"playout","data":{"max_ms":2000}}"#, Inbound::Playout(Some(delay(0, 2000)))),
            (
                r#"{"event":"playout","data":{"min_ms":50,"max_ms":60}}"#,
                Inbound::Playout(Some(delay(50, 60))),
            ),
            (r#"{"event":"playout","data":null}"#, Inbound::Playout(None)),
            (r#"{"event":"clock","data":{"client_us":12345678}}"#, Inbound::Clock(12_345_678)),
            (r#"{"event":"delay","data":{"delay_ms":60000}}"#, Inbound::Delay(Duration::from_secs(60))),
            (r#"{"event":"applause","data":[1,2]}"#, Inbound::Unknown),
            (r#"{"data":{}}"#, Inbound::Unknown),
            ("{}", Inbound::Unknown),
        ] {
            assert_eq!(parse(text.as_bytes()).as_ref(), Ok(&wanted), "{text}");
        }
    }

    #[test]
    fn broken_messages_are_told_apart_from_unknown_ones() {
        for text in [
            "",
            "hello",
            "7",
            "[]",
            r#"{"event":7}"#,
            r#"{"event":"answer"}"#,
            r#"{"event":"answer","data":"v=0"}"#,
            r#"{"event":"answer","data":{"type":"offer","sdp":"v=0"}}"#,
            r#"{"event":"answer","data":{"type":"answer","sdp":7}}"#,
            r#"{"event":"candidate","data":"candidate:1"}"#,
            r#"{"event":"playout","data":{}}"#,
            r#"{"event":"playout","data":{"min_ms":2,"max_ms":1}}"#,
            r#"{"event":"playout","data":{"max_ms":40951}}"#,
            r#"{"event":"playout","data":{"max_ms":-1}}"#,
            r#"{"event":"playout","data":{"max_ms":0.5}}"#,
            r#"{"event":"candidate","data":{"candidate":7}}"#,
            r#"{"event":"delay"}"#,
            r#"{"event":"delay","data":{"delay_ms":60001}}"#,
            r#"{"event":"delay","data":{"delay_ms":-1}}"#,
            r#"{"event":"delay","data":{"delay_ms":1.5}}"#,
            r#"{"event":"clock"}"#,
            r#"{"event":"clock","data":{"client_us":-1}}"#,
            r#"{"event":"clock","data":{"client_us":"now"}}"#,
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        let deep = "[".repeat(60_000);
        assert!(parse(deep.as_bytes()).is_err());
    }

    #[test]
    fn a_budget_allows_a_burst_and_then_ten_a_second() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        assert_eq!((0..1000).filter(|_| budget.take(start)).count(), 200);
        let later = start + Duration::from_secs(1);
        assert_eq!((0..1000).filter(|_| budget.take(later)).count(), 10);
    }

    proptest! {
        #[test]
        fn nothing_that_a_viewer_says_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn nothing_that_looks_like_a_message_panics(event in "answer|candidate|playout|clock|delay|x", data in ".{0,80}") {
            let _ = parse(format!(r#"{{"event":"{event}","data":{data}}}"#).as_bytes());
        }
    }
}
