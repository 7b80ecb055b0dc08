//! Timestamps of a replay: the past, squeezed into the time in which it is sent.
//!
//! A replay runs `times` faster than live. With the timestamps of the pictures a receiver sees seconds of media in
//! a tenth of the time. That shows well, because pictures are shown as they come. But what libwebrtc learns from it is
//! wrong for many seconds: its line from timestamps to local time (`TimestampExtrapolator`, a least-squares fit that
//! forgets nothing) leans towards "late", and its jitter estimate begins at 50 ms, not near zero. Both matter as
//! soon as pictures have to wait for sound. `StreamSynchronization` believed that pictures were held back by that
//! jitter, and when it or the page asked for a delay, pictures were due before they came and were shown at once: sound
//! stayed 40 to 90 ms behind them (measured in Chromium 156; a delay of 60 ms that was asked for gave none for 11 s).
//!
//! Squeezed, the first picture of a replay has the timestamp of the moment in which it is sent, and the last one its
//! own: for the receiver the stream was live from the first packet. Sender reports and sound need no change.

/// How the timestamps of one replay move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Squeeze {
    /// What lies before this goes out at once.
    head: u64,
    /// From here on timestamps are what they are: the place on the timeline where the replay is expected to meet
    /// the present.
    edge: u64,
    /// What `head` itself becomes.
    begun: u64,
    /// How much faster than the pictures were taken they are sent in between, in percent; 100 changes nothing.
    percent: u32,
}

impl Squeeze {
    /// Timestamps as they are.
    pub(crate) const NONE: Self = Self { head: 0, edge: 0, begun: 0, percent: 100 };
    /// Pictures must keep timestamps of their own, also at a hundred a second: 900 ticks by this.
    const MOST: u32 = 100;
    /// Slower than this the timestamps do not follow.
    const LEAST_PERCENT: u32 = 20;

    /// For a replay from the timestamp `from` up to the present: at once as far as `head`, then at `percent` of the
    /// stream's own speed. At less than that, on a line that does not carry the stream, they never meet, and timestamps are
    /// stretched instead: until the next replay, which has to begin soon. `present`: the newest timestamp there is, or the last one that was sent, if that is
    /// later; the replay's first one follows it.
    pub(crate) fn new(from: u64, head: u64, present: u64, percent: u32) -> Self {
        let percent = percent.min(100 * Self::MOST);
        if percent == 100 {
            return Self::NONE;
        }
        let head = head.clamp(from, present.max(from));
        let begun = present + (head - from) / u64::from(Self::MOST) + 1;
        if percent < 100 {
            return Self { head, edge: u64::MAX, begun, percent: percent.max(Self::LEAST_PERCENT) };
        }
        // While the past is being sent the present moves on.
        let edge = begun + (100 * (begun - head)).div_ceil(u64::from(percent - 100));
        Self { head, edge, begun, percent }
    }

    /// The speed that it is for.
    pub(crate) const fn percent(self) -> u32 {
        self.percent
    }

    /// What a packet with this timestamp says.
    pub(crate) fn apply(self, timestamp: u64) -> u64 {
        if timestamp >= self.edge {
            return timestamp;
        }
        if self.percent < 100 {
            let behind = timestamp.saturating_sub(self.head) * 100 / u64::from(self.percent);
            return self.begun + behind - self.head.saturating_sub(timestamp) / u64::from(Self::MOST);
        }
        let paced = self.edge - (self.edge - timestamp.max(self.head)) * 100 / u64::from(self.percent);
        paced - self.head.saturating_sub(timestamp) / u64::from(Self::MOST)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn two_seconds_begin_now_and_end_as_they_are() {
        // A fifth of a second goes out at once, 1.8 s at ten times the speed take 200 ms.
        let squeeze = Squeeze::new(1_000_000, 1_018_000, 1_180_000, 1_000);
        for (timestamp, expected) in [
            (1_000_000, 1_180_002),
            (1_003_000, 1_180_032),
            (1_018_000, 1_180_182),
            (1_021_000, 1_180_482),
            (1_198_202, 1_198_202),
            (1_203_000, 1_203_000),
        ] {
            assert_eq!(squeeze.apply(timestamp), expected, "{timestamp}");
        }
    }

    #[test]
    fn what_is_not_faster_changes_nothing() {
        for squeeze in [Squeeze::NONE, Squeeze::new(50, 60, 90_000, 100), Squeeze::new(50, 50, 60, 100)] {
            for timestamp in [0, 50, 60, 3_050, u64::MAX] {
                assert_eq!(squeeze.apply(timestamp), timestamp, "{squeeze:?}");
            }
        }
    }

    #[test]
    fn a_line_that_is_hardly_faster_than_the_stream() {
        // One second at a fifth more than the stream's speed meets the present after five.
        let squeeze = Squeeze::new(1_000_000, 1_000_000, 1_089_999, 120);
        for (timestamp, expected) in
            [(1_000_000, 1_090_000), (1_054_000, 1_135_000), (1_540_000, 1_540_000), (1_600_000, 1_600_000)]
        {
            assert_eq!(squeeze.apply(timestamp), expected, "{timestamp}");
        }
    }

    #[test]
    fn a_line_that_is_narrower_than_the_stream() {
        let squeeze = Squeeze::new(1_000_000, 1_000_000, 1_089_999, 50);
        for (timestamp, expected) in [(1_000_000, 1_090_000), (1_003_000, 1_096_000), (1_090_000, 1_270_000)]
        {
            assert_eq!(squeeze.apply(timestamp), expected, "{timestamp}");
        }
        let crawls = Squeeze::new(1_000_000, 1_000_000, 1_089_999, 0);
        assert_eq!(crawls.apply(1_003_000), 1_105_000);
    }

    proptest! {
        #[test]
        fn pictures_stay_in_order_and_apart_and_follow_what_was_sent(
            from in 0_u64..1 << 40, age in 0_u64..2_000_000, at_once in 0_u64..3_000_000, percent in proptest::prop_oneof![20_u32..100, 101_u32..100_000],
            step in 900_u64..9000,
        ) {
            let present = from + age;
            let squeeze = Squeeze::new(from, from + at_once, present, percent);
            let mut last = present;
            for timestamp in (0..age / step + 200).map(|picture| from + picture * step) {
                let moved = squeeze.apply(timestamp);
                prop_assert!(last < moved, "{last} {moved}");
                prop_assert!(timestamp <= moved && moved <= timestamp.max(squeeze.edge));
                last = moved;
            }
            if percent > 100 {
                prop_assert_eq!(squeeze.apply(squeeze.edge), squeeze.edge);
            }
        }
    }
}
