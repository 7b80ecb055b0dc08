//! How much a publisher may send.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use heliograph_media::Bitrate;
use heliograph_relay::ChannelName;

/// The most that channels may send, and how long one may send more before it is cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BitrateLimits {
    /// For channels without a limit of their own; `None` for no limit.
    pub usual: Option<Bitrate>,
    /// Limits of single channels.
    pub channels: HashMap<ChannelName, Bitrate>,
    /// Bursts are no offence: so long a publisher may send too much.
    pub patience: Duration,
}

impl BitrateLimits {
    /// The limit of a channel, if it has one.
    #[must_use]
    pub fn of(&self, channel: &ChannelName) -> Option<Bitrate> {
        self.channels.get(channel).copied().or(self.usual)
    }
}

/// Watches one publisher.
#[derive(Debug)]
pub(super) struct Ceiling {
    limit: Option<Bitrate>,
    patience: Duration,
    over_since: Option<Instant>,
}

/// What a look at a publisher's bitrate calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Fine,
    /// It sends too much: the relay is to be told.
    Over(Bitrate),
    /// It went on for too long.
    Cut,
}

impl Ceiling {
    pub(super) fn new(limits: &BitrateLimits, channel: &ChannelName) -> Self {
        Self { limit: limits.of(channel), patience: limits.patience, over_since: None }
    }

    pub(super) fn look(&mut self, now: Instant, sends: Bitrate) -> Finding {
        let Some(limit) = self.limit.filter(|limit| sends > *limit) else {
            self.over_since = None;
            return Finding::Fine;
        };
        match self.over_since {
            Some(since) if now.saturating_duration_since(since) >= self.patience => Finding::Cut,
            since => {
                self.over_since = since.or(Some(now));
                Finding::Over(limit)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_burst_is_forgiven_and_a_flood_is_cut() {
        let den: ChannelName = "den".parse().unwrap();
        let limits = BitrateLimits {
            usual: Some(Bitrate::kbps(8_000)),
            channels: HashMap::from([("hut".parse().unwrap(), Bitrate::kbps(1_000))]),
            patience: Duration::from_secs(10),
        };
        let begin = Instant::now();
        let mut ceiling = Ceiling::new(&limits, &den);
        let mut look = |second, kbps| ceiling.look(begin + Duration::from_secs(second), Bitrate::kbps(kbps));
        assert_eq!(look(0, 8_000), Finding::Fine);
        assert_eq!(look(1, 9_000), Finding::Over(Bitrate::kbps(8_000)));
        assert_eq!(look(9, 9_000), Finding::Over(Bitrate::kbps(8_000)));
        assert_eq!(look(10, 7_000), Finding::Fine);
        assert_eq!(look(12, 9_000), Finding::Over(Bitrate::kbps(8_000)));
        assert_eq!(look(22, 9_000), Finding::Cut);
        assert_eq!(limits.of(&"hut".parse().unwrap()), Some(Bitrate::kbps(1_000)));
        let mut free = Ceiling::new(&BitrateLimits::default(), &den);
        assert_eq!(free.look(begin, Bitrate::kbps(1_000_000)), Finding::Fine);
    }
}
