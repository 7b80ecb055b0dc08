//! When a viewer gets parity packets: where packets get lost on a long way one by one, and not where they get lost
//! because the line is too narrow, or many in a row.

use std::time::{Duration, Instant};

use heliograph_media::WireSeq;

/// Of the fractions in here, beyond the 1/256 in which reports count.
const SCALE: u32 = 16;
/// Losses that are worth it: 0.4 %.
const WORTH_IT: u32 = SCALE;
/// And that are not worth it any more.
const NOTHING: u32 = SCALE / 4;
/// So many are lost where a line is too narrow.
const NARROW: u32 = 40 * SCALE;
/// Parity packets for a hundred packets, by what gets lost: below 1 %, below 3 %, and above.
const PERCENT: [(u32, u8); 3] = [(3 * SCALE, 20), (8 * SCALE, 30), (u32::MAX, 40)];
/// Below this a packet that is asked for again comes soon enough.
const LONG_WAY: Duration = Duration::from_millis(70);
/// Round trips longer than the shortest one by this have waited in a queue, if all of the last ones are.
const QUEUE: Duration = Duration::from_millis(80);
const LAST_TRIPS: usize = 3;
/// Losses count for about so long. Some reports are about a few packets only.
const MEMORY: Duration = Duration::from_secs(4);
/// So much more than before is lost where parity packets are too much for a line: 5 % and as much again as there was.
const WORSE: u32 = 13 * SCALE;
/// It goes on for so long without losses.
const HOLD: Duration = Duration::from_secs(30);
/// So many packets lost in a row are more than parity packets mend.
const BURST: u32 = 4;
/// That often within [`BURSTS_WITHIN`], and it is of no use.
const BURSTS: u32 = 2;
const BURSTS_WITHIN: Duration = Duration::from_secs(10);
/// Where it is of no use, or made things worse, it is not tried for so long; each time for twice as long.
const NOT_AGAIN: Duration = Duration::from_secs(60);
const MOST_DOUBLINGS: u32 = 4;

/// Watches what a viewer reports and asks for.
#[derive(Debug, Default)]
pub(super) struct FecChoice {
    least_trip: Option<Duration>,
    /// The newest first.
    trips: [Option<Duration>; LAST_TRIPS],
    /// Smoothed, and when that was.
    loss: Option<(u32, Instant)>,
    /// What it was when parity packets began.
    before: u32,
    on: bool,
    /// What the last report looked like.
    narrow: bool,
    lost_at: Option<Instant>,
    /// The bursts that were seen lately, from when on.
    bursts: (u32, Option<Instant>),
    not_before: Option<Instant>,
    given_up: u32,
    /// There was a report.
    reported: bool,
}

impl FecChoice {
    /// The handshake showed that the way there and back takes so long, or less.
    pub(super) const fn on_way(&mut self, trip: Duration) {
        self.least_trip = Some(trip);
    }

    /// Packets queued while the viewer caught up: the line is hardly wider than the stream, if at all, and its round trips
    /// are long because of that.
    pub(super) fn on_queue(&mut self, now: Instant) {
        self.on = false;
        self.not_before = self.not_before.max(Some(now + NOT_AGAIN));
    }

    /// The viewer asks for packets before its first report is in, which takes a second and more. `lost` is what its
    /// requests amount to, in 1/256.
    pub(super) fn on_early_loss(&mut self, now: Instant, lost: u32) {
        let loss = lost.min(256) * SCALE;
        let may = !self.reported && !self.on && self.bursts.0 == 0 && !self.is_barred(now);
        let long = self.least_trip.is_some_and(|least| least >= LONG_WAY);
        if may && long && (WORTH_IT..=NARROW).contains(&loss) {
            self.on = true;
            self.before = loss;
            self.loss = Some((loss, now));
            self.lost_at = Some(now);
        }
    }

    /// Takes a report: the part of the packets that were lost, in 1/256 (the reported one, or what requests amount to), and
    /// the round trip.
    pub(super) fn on_report(&mut self, now: Instant, lost: u32, trip: Option<Duration>) {
        if let Some(trip) = trip {
            self.least_trip = Some(self.least_trip.map_or(trip, |least| least.min(trip)));
            self.trips.rotate_right(1);
            self.trips[0] = Some(trip);
        }
        let loss = self.smooth(now, lost.min(256) * SCALE);
        self.loss = Some((loss, now));
        if loss >= WORTH_IT {
            self.lost_at = Some(now);
        }
        if !std::mem::replace(&mut self.reported, true) {
            // A few requests told little.
            self.before = self.before.max(lost.min(256) * SCALE);
        }
        let Some(least) = self.least_trip else { return };
        let queues = self.trips.iter().all(|trip| trip.is_some_and(|trip| trip > least + QUEUE));
        self.narrow = queues || loss > NARROW;
        if self.on {
            let quiet = self.lost_at.is_none_or(|at| now.saturating_duration_since(at) >= HOLD);
            if self.narrow || loss > self.before * 2 + WORSE {
                self.give_up(now);
            } else if loss < NOTHING && quiet || least < LONG_WAY {
                self.on = false;
            }
        } else if !self.is_barred(now) && !self.narrow && loss >= WORTH_IT && least >= LONG_WAY {
            self.on = true;
            self.before = loss;
        }
    }

    /// The viewer asks for packets again, in the order of their numbers.
    pub(super) fn on_request(&mut self, now: Instant, lost: &[WireSeq]) {
        let mut run = 0;
        let mut longest = 0;
        let mut last = None;
        for wire in lost {
            run = if last.is_some_and(|last: u16| last.wrapping_add(1) == wire.0) { run + 1 } else { 1 };
            longest = longest.max(run);
            last = Some(wire.0);
        }
        if longest < BURST {
            return;
        }
        let (count, since) = &mut self.bursts;
        if since.is_none_or(|at| now.saturating_duration_since(at) >= BURSTS_WITHIN) {
            (*count, *since) = (0, Some(now));
        }
        *count += 1;
        if *count >= BURSTS && !self.is_barred(now) {
            self.give_up(now);
        }
    }

    fn smooth(&self, now: Instant, lost: u32) -> u32 {
        let Some((smooth, at)) = self.loss else { return lost };
        let memory = MEMORY.as_millis() as u32;
        let share = (now.saturating_duration_since(at).as_millis() as u32).min(memory / 2);
        (smooth * (memory - share) + lost * share) / memory
    }

    fn give_up(&mut self, now: Instant) {
        self.on = false;
        self.not_before = Some(now + NOT_AGAIN * (1 << self.given_up.min(MOST_DOUBLINGS)));
        self.given_up += 1;
    }

    fn is_barred(&self, now: Instant) -> bool {
        self.not_before.is_some_and(|at| now < at)
    }

    /// Parity packets for a hundred packets; `None`: none at present.
    pub(super) fn percent(&self) -> Option<u8> {
        let (loss, _) = self.loss.filter(|_| self.on)?;
        PERCENT.iter().find(|(below, _)| loss < *below).map(|(_, percent)| *percent)
    }

    /// Whether lost packets are mended without a round trip, or would be as soon as that is worth it: then the viewer need
    /// not hold pictures back for one. As long as the way is unknown, it may be.
    pub(super) fn spares_round_trips(&self, now: Instant) -> bool {
        let may_come = !self.narrow && !self.is_barred(now);
        self.on || (may_come && self.least_trip.is_none_or(|least| least >= LONG_WAY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_millis(200);

    /// A report a second: what was lost, in 1/256, and the round trip in milliseconds.
    fn after(reports: &[(u32, u64)]) -> (FecChoice, Instant) {
        let (mut choice, mut now) = (FecChoice::default(), Instant::now());
        for &(lost, trip) in reports {
            now += Duration::from_secs(1);
            choice.on_report(now, lost, Some(Duration::from_millis(trip)));
        }
        (choice, now)
    }

    #[test]
    fn how_much_for_what() {
        for (reports, percent) in [
            (&[(0, 200); 3][..], None),
            (&[(1, 200)], Some(20)),
            (&[(5, 200)], Some(30)),
            (&[(13, 200)], Some(40)),
            (&[(13, 60)], None),
            // What a queue adds makes no long way.
            (&[(5, 60), (5, 200), (5, 200)], None),
            (&[(5, 200), (5, 700), (5, 200)], Some(30)),
            (&[(5, 200), (5, 300), (5, 300), (5, 300)], None),
            (&[(5, 200), (60, 200), (60, 200), (60, 200)], None),
            (&[(60, 200)], None),
        ] {
            let (choice, now) = after(reports);
            assert_eq!(choice.percent(), percent, "{reports:?}");
            let is_long = reports[0].1 >= 70;
            assert!(percent.is_none() || choice.spares_round_trips(now), "{reports:?}");
            assert!(is_long || !choice.spares_round_trips(now), "{reports:?}");
        }
        assert!(!after(&[(60, 200)]).0.spares_round_trips(Instant::now()), "too narrow to be mended");
        assert!(FecChoice::default().spares_round_trips(Instant::now()), "as long as nothing is known");
    }

    #[test]
    fn requests_begin_it_where_the_handshake_showed_a_long_way() {
        let now = Instant::now();
        let ms = Duration::from_millis;
        let begun = |trip: Option<u64>, lost| {
            let mut choice = FecChoice::default();
            trip.map(ms).into_iter().for_each(|trip| choice.on_way(trip));
            choice.on_early_loss(now, lost);
            choice
        };
        for (trip, lost, percent) in [
            (None, 5, None),
            (Some(60), 5, None),
            (Some(200), 0, None),
            (Some(200), 5, Some(30)),
            (Some(200), 60, None),
        ] {
            assert_eq!(begun(trip, lost).percent(), percent, "{trip:?}, {lost}");
        }

        let mut choice = begun(Some(200), 5);
        choice.on_report(now + ms(1000), 40, Some(LONG));
        choice.on_report(now + ms(2000), 40, Some(LONG));
        assert_eq!(choice.percent(), Some(40), "a few requests told little of the loss");
        let mut choice = begun(Some(90), 5);
        choice.on_report(now + ms(1000), 5, Some(ms(42)));
        assert_eq!(choice.percent(), None, "the viewer was slow, not the way");

        let mut choice = FecChoice::default();
        choice.on_way(LONG);
        choice.on_queue(now);
        choice.on_early_loss(now, 5);
        choice.on_report(now + ms(1000), 5, Some(LONG));
        assert_eq!(choice.percent(), None, "narrow");
        choice.not_before = Some(now + 9 * NOT_AGAIN);
        choice.on_queue(now);
        assert_eq!(choice.not_before, Some(now + 9 * NOT_AGAIN), "barred for longer already");
        let mut choice = FecChoice::default();
        choice.on_way(LONG);
        choice.on_request(now, &(0..8).map(WireSeq).collect::<Vec<_>>());
        choice.on_early_loss(now, 5);
        assert_eq!(choice.percent(), None, "a burst");
    }

    #[test]
    fn it_goes_on_for_half_a_minute_after_the_last_loss() {
        for (quiet, percent) in [(25, Some(20)), (50, None)] {
            let reports: Vec<_> = [(5, 200)].into_iter().chain((0..quiet).map(|_| (0, 200))).collect();
            assert_eq!(after(&reports).0.percent(), percent, "{quiet} s");
        }
    }

    #[test]
    fn bursts_end_it_for_a_while() {
        let (mut choice, mut now) = after(&[(5, 200)]);
        let request = |numbers: &[u16]| numbers.iter().copied().map(WireSeq).collect::<Vec<_>>();
        for _ in 0..10 {
            choice.on_request(now, &request(&[1, 2, 3, 9, 10]));
        }
        assert!(choice.percent().is_some(), "one by one");
        choice.on_request(now, &request(&[65_534, 65_535, 0, 1]));
        assert!(choice.percent().is_some(), "once");
        choice.on_request(now, &request(&[7, 8, 9, 10, 11]));
        assert_eq!((choice.percent(), choice.spares_round_trips(now)), (None, false));
        for (seconds, percent) in [(50, None), (20, Some(30))] {
            now += Duration::from_secs(seconds);
            choice.on_report(now, 5, Some(LONG));
            assert_eq!(choice.percent(), percent, "{seconds}");
        }
    }
}
