//! How late the stream's media is already when it gets here: the way from camera or encoder, as far as it can be known.
//!
//! Two things tell. An ingest that knows its publisher's clock says when something was captured; that is all of the way.
//! Any other says how long media takes at least, which is its quickest; how much later than at its quickest the media comes
//! now is seen here, where its clock is followed. What an encoder needs at its best is not in that.
//!
//! The delay is about the line that [`TrackClock`](crate::TrackClock) tells readers: what is said here and what a viewer
//! measures against the line add up to the whole. The line follows slowly; how late media comes now is said beside it.

use std::time::{Duration, Instant};

use crate::{Uplink, UplinkBasis};

#[derive(Debug, Default)]
pub(super) struct UplinkWatch {
    /// What an ingest said last: so long at least.
    least: Option<(Duration, Instant)>,
    best: Option<Best>,
    captured: Option<Captured>,
    /// How many nanoseconds after the line the quickest of the last seconds came.
    late: i64,
}

/// The quickest that media has come.
#[derive(Clone, Copy, Debug)]
struct Best {
    /// Nanoseconds after the line; before it when negative.
    late: i64,
    at: Instant,
    /// What had been said by then.
    least: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Captured {
    /// From the capture to the line, nanoseconds.
    before: i64,
    at: Instant,
    is_picture: bool,
}

impl UplinkWatch {
    /// Another publisher session.
    pub(super) fn begin(&mut self) {
        (self.best, self.captured, self.late) = (None, None, 0);
    }

    /// The source's clock jumped against ours: what was quickest before says nothing any more.
    pub(super) fn jumped(&mut self) {
        self.best = None;
    }

    /// An ingest says how long media takes at least.
    pub(super) fn least(&mut self, now: Instant, delay: Duration) {
        self.least = Some((delay, now));
        // What holds now need not have held when the quickest came.
        self.best = self.best.filter(|best| best.least.is_some());
    }

    /// An ingest says when something was captured: so many nanoseconds before it is due on the line.
    pub(super) fn captured(&mut self, now: Instant, before: i64, is_picture: bool) {
        let pictures_tell = self.captured.is_some_and(|last| last.is_picture && is_fresh(now, last.at));
        if is_picture || !pictures_tell {
            self.captured = Some(Captured { before, at: now, is_picture });
        }
    }

    /// The quickest of the last seconds came so many nanoseconds after the line.
    pub(super) fn came(&mut self, now: Instant, late: i64) {
        let least = self.least.map(|(delay, _)| delay);
        let leaked = self.best.map(|best| {
            let passed = i64::try_from(now.saturating_duration_since(best.at).as_nanos()).unwrap_or(i64::MAX);
            Best { late: best.late.saturating_add(passed / LEAK), at: now, ..best }
        });
        self.best = Some(leaked.filter(|best| best.late < late).unwrap_or(Best { late, at: now, least }));
        self.late = late;
    }

    /// The line was moved so many nanoseconds later.
    pub(super) fn moved(&mut self, by: i64) {
        self.late -= by;
        if let Some(best) = &mut self.best {
            best.late -= by;
        }
        if let Some(captured) = &mut self.captured {
            captured.before += by;
        }
    }

    /// What can be said now.
    pub(super) fn look(&self, now: Instant) -> Option<Uplink> {
        let least = self.least.filter(|(_, at)| is_fresh(now, *at)).map(|(delay, _)| delay);
        if let Some(captured) = self.captured.filter(|captured| is_fresh(now, captured.at)) {
            let least = least.unwrap_or_default();
            return say(captured.before, self.late, least, UplinkBasis::Capture);
        }
        let least = self.best.and_then(|best| best.least).filter(|_| least.is_some()).or(least)?;
        // The line may also be earlier than anything that comes now.
        let (best, late) = self.best.map_or((0, 0), |best| (best.late, self.late));
        let before = i64::try_from(least.as_nanos()).unwrap_or(i64::MAX).saturating_sub(best);
        say(before, late, Duration::ZERO, UplinkBasis::Network)
    }
}

/// `before`: from the capture to the line, `late`: from there until it came, nanoseconds. `least`: neither is less.
fn say(before: i64, late: i64, least: Duration, basis: UplinkBasis) -> Option<Uplink> {
    let duration =
        |nanoseconds: i64| Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0)).max(least);
    let (delay, on_arrival) = (duration(before), duration(before.saturating_add(late)));
    (delay.max(on_arrival) <= MOST).then_some(Uplink { delay, on_arrival, basis })
}

fn is_fresh(now: Instant, at: Instant) -> bool {
    now.saturating_duration_since(at) < FORGOTTEN
}

/// An ingest speaks at least every second.
const FORGOTTEN: Duration = Duration::from_secs(10);
/// The publisher's clock and ours drift apart by less than a ten thousandth.
const LEAK: i64 = 10_000;
/// More is no delay but a clock that was set.
const MOST: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const MS: i64 = 1_000_000;

    fn ms(uplink: Option<Uplink>) -> (u128, UplinkBasis) {
        let uplink = uplink.unwrap();
        ((uplink.delay.as_micros() + 500) / 1_000, uplink.basis)
    }

    fn arrival(uplink: Option<Uplink>) -> u128 {
        uplink.unwrap().on_arrival.as_millis()
    }

    #[test]
    fn half_a_round_trip_and_what_came_on_top_of_it() {
        let (mut watch, begin) = (UplinkWatch::default(), Instant::now());
        assert_eq!(watch.look(begin), None);
        watch.least(begin, Duration::from_millis(20));
        assert_eq!(ms(watch.look(begin)), (20, UplinkBasis::Network));
        watch.came(begin, 0);
        // A queue builds up on the way, and the line follows it.
        let later = begin + Duration::from_secs(2);
        watch.came(later, 100 * MS);
        assert_eq!(ms(watch.look(later)).0, 20, "the line has not moved: viewers see the rest");
        watch.moved(30 * MS);
        watch.least(later, Duration::from_millis(35));
        assert_eq!(ms(watch.look(later)).0, 50, "0.2 ms are taken for drift");
        // It is gone: the line is late until it has followed.
        watch.came(later, -30 * MS);
        assert_eq!(ms(watch.look(later)).0, 65);
        watch.moved(-30 * MS);
        assert_eq!(ms(watch.look(later)).0, 35);
    }

    #[test]
    fn a_clock_tells_all_of_the_way_but_never_less_than_the_network() {
        let (mut watch, begin) = (UplinkWatch::default(), Instant::now());
        watch.least(begin, Duration::from_millis(20));
        watch.captured(begin, 90 * MS, true);
        watch.captured(begin, 70 * MS, false);
        assert_eq!(ms(watch.look(begin)), (90, UplinkBasis::Capture));
        watch.came(begin, 30 * MS);
        assert_eq!(arrival(watch.look(begin)), 120);
        watch.moved(5 * MS);
        assert_eq!((ms(watch.look(begin)).0, arrival(watch.look(begin))), (95, 120));
        watch.captured(begin, -3 * MS, true);
        assert_eq!(ms(watch.look(begin)).0, 20);
        watch.begin();
        assert_eq!(ms(watch.look(begin)), (20, UplinkBasis::Network));
        assert_eq!(arrival(watch.look(begin)), 20);
    }

    #[test]
    fn media_ahead_of_the_line_is_here_sooner() {
        let (mut watch, begin) = (UplinkWatch::default(), Instant::now());
        watch.came(begin, -1_200 * MS);
        watch.least(begin, Duration::from_millis(20));
        // What was quickest before the first round trip says nothing.
        assert_eq!((ms(watch.look(begin)).0, arrival(watch.look(begin))), (20, 20));
        watch.came(begin, -1_200 * MS);
        assert_eq!((ms(watch.look(begin)).0, arrival(watch.look(begin))), (1_220, 20));
        watch.came(begin, -1_190 * MS);
        assert_eq!((ms(watch.look(begin)).0, arrival(watch.look(begin))), (1_220, 30));
    }

    #[test]
    fn what_nobody_says_any_more_is_forgotten_and_nonsense_is_not_said() {
        let (mut watch, begin) = (UplinkWatch::default(), Instant::now());
        watch.least(begin, Duration::from_millis(20));
        watch.came(begin, 0);
        assert_eq!(watch.look(begin + FORGOTTEN), None);
        watch.captured(begin, 61_000 * MS, true);
        assert_eq!(watch.look(begin), None);
    }
}
