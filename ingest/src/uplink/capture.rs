//! When a publisher captured what it sends: by its sender reports, whose wall clock is laid on ours.
//!
//! A report that takes the shortest time tells the most: the smallest difference between its arrival and what it says is
//! the difference of the clocks and half of the quickest round trip. Sound for publishers whose reports lay their wall clock
//! on the timestamps of what they capture (browsers do). Others (OBS with its libdatachannel, aiortc) write down when they sent
//! their newest packet: the two clocks then jump against each other from report to report, by as much as pictures leave the
//! encoder unevenly. Nothing is said of those.

use std::time::{Duration, Instant};

use heliograph_media::NtpTime;

/// A publisher's wall clock against ours.
#[derive(Debug, Default)]
pub(crate) struct CaptureClock {
    /// The first report: our time and theirs. All others are counted from there.
    origin: Option<(Instant, NtpTime)>,
    /// Smallest difference of arrival and report, nanoseconds, and when that was looked at last.
    quickest: Option<(i64, Instant)>,
    round_trip: Option<Duration>,
    /// Reports in a row that cannot be.
    strange: u32,
    /// How much speaks against reports that are about the capture.
    doubt: u32,
}

impl CaptureClock {
    /// A round trip was measured; the quickest one counts.
    pub(crate) fn on_round_trip(&mut self, sample: Duration) {
        self.round_trip = Some(self.round_trip.map_or(sample, |best| best.min(sample)));
    }

    /// A sender report about pictures has moved the publisher's wall clock so far against their timestamps.
    pub(crate) fn on_step(&mut self, step: Duration) {
        self.doubt =
            if step > STEADY { (self.doubt + DOUBT).min(MOST_DOUBT) } else { self.doubt.saturating_sub(1) };
    }

    /// A sender report that came just now: how long ago was what it speaks of? `None` until there is a round trip, and
    /// when such reports say something else.
    pub(crate) fn on_report(&mut self, now: Instant, ntp: NtpTime) -> Option<Duration> {
        let origin = *self.origin.get_or_insert((now, ntp));
        let took = nanoseconds(now.saturating_duration_since(origin.0)) - difference(ntp, origin.1);
        let quickest = match self.quickest {
            Some((before, at)) => {
                let leaked = before + nanoseconds(now.saturating_duration_since(at)) / LEAK;
                self.strange = if took > leaked + CLOCK_WAS_SET { self.strange + 1 } else { 0 };
                if self.strange >= BELIEVED_AFTER { took } else { leaked.min(took) }
            }
            None => took,
        };
        self.quickest = Some((quickest, now));
        let way = self.round_trip? / 2;
        if self.doubt > DOUBT {
            return None;
        }
        u64::try_from(took - quickest).ok().map(|later| way + Duration::from_nanos(later))
    }
}

fn nanoseconds(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX / 4)
}

/// Signed, and right across the wrap of 2036.
fn difference(a: NtpTime, b: NtpTime) -> i64 {
    match (a.since(b), b.since(a)) {
        (Some(later), _) => nanoseconds(later),
        (None, Some(earlier)) => -nanoseconds(earlier),
        (None, None) => 0,
    }
}

/// Rounding, and what a browser's clock is corrected by in a second.
const STEADY: Duration = Duration::from_millis(5);
/// Of one jump; a second one is too many: a clock may be set once.
const DOUBT: u32 = 20;
/// It takes as many steady reports until they are believed again.
const MOST_DOUBT: u32 = 60;
/// Clocks drift apart by less than a ten thousandth.
const LEAK: i64 = 10_000;
/// No network holds reports back for so long, nanoseconds ...
const CLOCK_WAS_SET: i64 = 2_000_000_000;
/// ... and certainly not so many in a row.
const BELIEVED_AFTER: u32 = 5;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// A publisher whose clock stands somewhere else, on a line of so many milliseconds.
    struct Sim {
        clock: CaptureClock,
        begun: Instant,
        theirs: Duration,
    }

    impl Sim {
        fn new() -> Self {
            let mut clock = CaptureClock::default();
            clock.on_round_trip(Duration::from_millis(80));
            Self { clock, begun: Instant::now(), theirs: Duration::from_secs(1_700_000_000) }
        }

        fn report(&mut self, sent_ms: u64, took_ms: u64) -> Option<u128> {
            let ntp = NtpTime::from_unix(self.theirs + Duration::from_millis(sent_ms));
            let came = self.begun + Duration::from_millis(sent_ms + took_ms);
            self.clock.on_report(came, ntp).map(|ago| (ago.as_micros() + 500) / 1_000)
        }
    }

    #[test]
    fn the_quickest_report_took_half_a_round_trip() {
        let mut sim = Sim::new();
        assert_eq!(sim.report(0, 70), Some(40), "nothing better is known");
        assert_eq!(sim.report(1_000, 40), Some(40));
        assert_eq!(sim.report(2_000, 140), Some(140), "a queue on the way shows");
        assert_eq!(sim.report(3_000, 45), Some(45));
    }

    #[test]
    fn without_a_round_trip_nothing_is_said() {
        let mut clock = CaptureClock::default();
        assert_eq!(clock.on_report(Instant::now(), NtpTime(1 << 40)), None);
    }

    #[test]
    fn drift_is_followed_and_a_queue_is_no_drift() {
        let mut sim = Sim::new();
        for second in 0..3_600 {
            // 50 ppm slower than ours.
            sim.theirs -= Duration::from_micros(50);
            sim.report(second * 1_000, 40);
        }
        assert_eq!(sim.report(3_600_000, 40), Some(40));
        let queued = sim.report(3_660_000, 540).unwrap();
        assert!((530..=540).contains(&queued), "{queued}");
    }

    #[test]
    fn the_time_of_sending_is_no_capture() {
        let mut sim = Sim::new();
        assert_eq!(sim.report(0, 40), Some(40));
        sim.clock.on_step(Duration::from_millis(9));
        assert_eq!(sim.report(1_000, 40), Some(40), "a clock that was set");
        sim.clock.on_step(Duration::from_millis(9));
        assert_eq!(sim.report(2_000, 90), None);
        for second in 3..100 {
            // Now and then pictures leave evenly.
            sim.clock.on_step(Duration::from_millis(if second % 4 == 0 { 30 } else { 1 }));
            assert_eq!(sim.report(second * 1_000, 40), None);
        }
        for _ in 0..60 {
            sim.clock.on_step(Duration::from_millis(2));
        }
        assert_eq!(sim.report(160_000, 40), Some(40));
    }

    #[test]
    fn a_clock_that_was_set_is_believed_after_a_while() {
        let mut sim = Sim::new();
        sim.report(0, 40);
        sim.theirs -= Duration::from_secs(3_600);
        for second in 1..5 {
            assert!(sim.report(second * 1_000, 40).unwrap() > 3_000_000);
        }
        assert_eq!(sim.report(5_000, 40), Some(40));
        sim.theirs += Duration::from_secs(7_200);
        assert_eq!(sim.report(6_000, 40), Some(40));
    }
}
