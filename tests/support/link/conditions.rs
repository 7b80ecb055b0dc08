//! What a network does to packets on one of its two ways.

use std::time::Duration;

use serde::Deserialize;

/// The state of one way. Everything that is left out is as on a perfect wire.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Conditions {
    /// From one end to the other, for every packet.
    pub delay_ms: f64,
    /// Up to so much more, another amount every [`Conditions::jitter_hold_ms`]. Packets stay in order, so a smaller
    /// amount after a larger one lets them arrive in a heap, as on a wireless network.
    pub jitter_ms: f64,
    /// How long an amount of jitter stays.
    pub jitter_hold_ms: f64,
    /// Share of packets that vanish, each by its own luck: 0 to 1.
    pub loss: f64,
    /// Losses that come together.
    pub bursts: Option<Bursts>,
    /// Share of packets that are overtaken: 0 to 1.
    pub reorder: f64,
    /// By how much an overtaken packet is late.
    pub reorder_ms: f64,
    /// Bits (of IP packets) per second that the narrowest place lets through; none is no limit.
    pub rate_kbit: Option<f64>,
    /// Bytes that may wait before the narrowest place. What comes then is dropped.
    pub queue_bytes: usize,
    /// Nothing passes; what is already on its way arrives.
    pub cut: bool,
}

/// Gilbert-Elliott: a good and a bad state, changed by a draw for each packet.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bursts {
    /// Chance that a packet in the good state begins a burst.
    pub enter: f64,
    /// Chance that a packet in the bad state ends it; the mean length of a burst is `1 / leave`.
    pub leave: f64,
    /// Share of packets that vanish in the bad state.
    #[serde(default = "all")]
    pub loss: f64,
}

/// A home router's buffer: a quarter of a second at 4 Mbit/s.
const USUAL_QUEUE: usize = 125_000;

impl Default for Conditions {
    fn default() -> Self {
        Self {
            delay_ms: 0.0,
            jitter_ms: 0.0,
            jitter_hold_ms: 50.0,
            loss: 0.0,
            bursts: None,
            reorder: 0.0,
            reorder_ms: 0.0,
            rate_kbit: None,
            queue_bytes: USUAL_QUEUE,
            cut: false,
        }
    }
}

impl Conditions {
    /// What is wrong with these figures, if anything is.
    ///
    /// # Errors
    /// The name of the figure.
    pub fn check(&self) -> Result<(), String> {
        let shares = [("loss", self.loss), ("reorder", self.reorder)];
        let bursts = self.bursts.map(|bursts| {
            [("bursts.enter", bursts.enter), ("bursts.leave", bursts.leave), ("bursts.loss", bursts.loss)]
        });
        for (name, share) in shares.into_iter().chain(bursts.into_iter().flatten()) {
            if !(0.0..=1.0).contains(&share) {
                return Err(format!("{name}: {share} is not between 0 and 1"));
            }
        }
        let times = [
            ("delayMs", self.delay_ms),
            ("jitterMs", self.jitter_ms),
            ("jitterHoldMs", self.jitter_hold_ms),
            ("reorderMs", self.reorder_ms),
        ];
        for (name, time) in times {
            if !(0.0..=LONGEST_MS).contains(&time) {
                return Err(format!("{name}: {time} is not between 0 and {LONGEST_MS}"));
            }
        }
        match self.rate_kbit {
            Some(rate) if !(1.0..=1e8).contains(&rate) => {
                Err(format!("rateKbit: {rate} is not between 1 and 1e8"))
            }
            _ => Ok(()),
        }
    }

    /// How long the narrowest place is busy with a packet.
    pub(super) fn serialisation(&self, bytes: usize) -> Duration {
        self.rate_kbit.map_or(Duration::ZERO, |rate| millis(bytes as f64 * 8.0 / rate))
    }
}

/// No packet is under way for longer than that, three times.
const LONGEST_MS: f64 = 60_000.0;

pub(super) fn millis(ms: f64) -> Duration {
    Duration::from_secs_f64(ms / 1000.0)
}

const fn all() -> f64 {
    1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_from_json() {
        let read = |text| serde_json::from_str::<Conditions>(text);
        let usual = Conditions::default();
        assert_eq!(read("{}").unwrap(), usual);
        assert_eq!(
            read(r#"{"delayMs":20,"loss":0.05,"bursts":{"enter":0.01,"leave":0.25}}"#).unwrap(),
            Conditions {
                delay_ms: 20.0,
                loss: 0.05,
                bursts: Some(Bursts { enter: 0.01, leave: 0.25, loss: 1.0 }),
                ..usual
            }
        );
        assert!(read(r#"{"delay":20}"#).is_err(), "a misspelt name is no wish");
    }

    #[test]
    fn figures_without_sense_are_refused() {
        let usual = Conditions::default();
        assert_eq!(usual.check(), Ok(()));
        for (bad, name) in [
            (Conditions { loss: 5.0, ..usual.clone() }, "loss"),
            (Conditions { delay_ms: -1.0, ..usual.clone() }, "delayMs"),
            (Conditions { jitter_ms: f64::NAN, ..usual.clone() }, "jitterMs"),
            (Conditions { rate_kbit: Some(0.0), ..usual.clone() }, "rateKbit"),
            (
                Conditions { bursts: Some(Bursts { enter: 0.1, leave: 2.0, loss: 1.0 }), ..usual.clone() },
                "bursts.leave",
            ),
        ] {
            assert!(bad.check().unwrap_err().starts_with(name), "{name}");
        }
    }
}
