//! Lets media go on evenly that comes in lumps.
//!
//! Containers write sound and pictures in turns, so each comes in lumps, and sound that has to be coded anew comes later
//! than its pictures. A browser meets lumps with a longer buffer for sound, and moves pictures to their sound only over
//! seconds. What is held here until the slower of both is there costs no more delay than that, and comes together from
//! the first moment.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// When media goes on: sans-IO, one for all tracks of a source.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// A media time, and when it came.
    origin: Option<(Instant, Duration)>,
    /// Earliest and latest arrivals of the newest spans, in microseconds against `origin`.
    spans: VecDeque<Span>,
    /// How much later than `origin` says everything goes on, microseconds.
    delay: i64,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    begun: Instant,
    earliest: i64,
    latest: i64,
}

impl Pace {
    /// When media of this time goes on that came `now`: at once or up to [`MOST`] later.
    pub(crate) fn due(&mut self, now: Instant, at: Duration) -> Instant {
        let (came, zero) = *self.origin.get_or_insert((now, at));
        let late = micros(now.saturating_duration_since(came)) - (micros(at) - micros(zero));
        self.note(now, late);
        let wait = (self.delay - late).clamp(0, MOST);
        now + Duration::from_micros(wait.unsigned_abs())
    }

    fn note(&mut self, now: Instant, late: i64) {
        match self.spans.back_mut().filter(|span| now.saturating_duration_since(span.begun) < SPAN) {
            Some(span) => {
                span.earliest = span.earliest.min(late);
                span.latest = span.latest.max(late);
            }
            None => {
                self.spans.push_back(Span { begun: now, earliest: late, latest: late });
                if self.spans.len() > SPANS {
                    self.spans.pop_front();
                }
                self.delay -= STEP_DOWN;
            }
        }
        let earliest = self.spans.iter().map(|span| span.earliest).min().unwrap_or(late);
        let latest = self.spans.iter().map(|span| span.latest).max().unwrap_or(late);
        // One that comes far too late is not what all others wait for.
        self.delay = self.delay.max(latest).min(earliest.saturating_add(MOST));
    }
}

/// Datagrams of one track that wait for their time, in their order.
#[derive(Debug, Default)]
pub(crate) struct Waiting(VecDeque<(Instant, Vec<u8>)>);

impl Waiting {
    /// Keeps a copy of `datagram` until `due`, or gives it to `send` when that is now and nothing is before it.
    pub(crate) fn pass(&mut self, now: Instant, due: Instant, datagram: &[u8], send: &mut impl FnMut(&[u8])) {
        if due <= now && self.0.is_empty() {
            send(datagram);
        } else {
            self.0.push_back((due, datagram.to_vec()));
        }
    }

    /// Sends what is due.
    pub(crate) fn flush(&mut self, now: Instant, send: &mut impl FnMut(&[u8])) {
        while self.next().is_some_and(|due| due <= now) {
            let Some((_, datagram)) = self.0.pop_front() else { return };
            send(&datagram);
        }
    }

    /// When [`Self::flush`] has something to do.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.front().map(|(due, _)| *due)
    }
}

/// How long pictures wait, for who wants to know how long media takes at least: the quickest waits the longest.
#[derive(Debug, Default)]
pub(crate) struct LongestWait {
    newest: Option<Duration>,
    told: Duration,
}

impl LongestWait {
    /// A picture waits so long.
    pub(crate) fn note(&mut self, wait: Duration) {
        self.newest = self.newest.max(Some(wait));
    }

    /// The longest since the last call; without any picture since then, the same again.
    pub(crate) fn take(&mut self) -> Duration {
        self.told = self.newest.take().unwrap_or(self.told);
        self.told
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX / 4)
}

/// Nothing is held for longer, microseconds. ffmpeg puts up to 160 ms of sound into one packet of MPEG-TS.
const MOST: i64 = 200_000;
/// What was latest is forgotten after this many of these.
const SPANS: usize = 3;
const SPAN: Duration = Duration::from_secs(1);
/// Per span that nobody needed so much delay, microseconds: sound is bent by 2 % for a while, which nobody hears. ffmpeg
/// sends at once what it has while it starts, so its viewers begin with 200 ms more than they have after twelve seconds.
/// Five times as quick, they were there after four, but Chromium held sound back: 79 to 172 ms after its pictures
/// instead of 67 to 94, on a busy machine.
const STEP_DOWN: i64 = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    struct Sim {
        pace: Pace,
        begun: Instant,
    }

    impl Sim {
        fn new() -> Self {
            Self { pace: Pace::default(), begun: Instant::now() }
        }

        /// Media of `at` ms comes at `came` ms; when it goes on, ms.
        fn due(&mut self, came: u64, at: u64) -> u64 {
            let ms = Duration::from_millis;
            // The source's clock starts anywhere.
            let due = self.pace.due(self.begun + ms(came), ms(7_000_000 + at));
            u64::try_from(due.duration_since(self.begun).as_millis()).unwrap()
        }
    }

    #[test]
    fn what_comes_evenly_goes_on_at_once() {
        let mut sim = Sim::new();
        for at in (0..10_000).step_by(20) {
            assert_eq!(sim.due(at, at), at);
        }
    }

    #[test]
    fn lumps_of_sound_are_spread_and_pictures_go_with_them() {
        let mut sim = Sim::new();
        let mut gaps = Vec::new();
        let mut last = None;
        for number in 0..300_u64 {
            let picture = number * 33;
            let shown = sim.due(picture, picture);
            // Every third picture is followed by the sound since the last one, 30 ms behind the newest of it.
            if number % 3 != 2 {
                continue;
            }
            for sound in [picture - 66, picture - 33, picture] {
                let heard = sim.due(picture + 30, sound);
                if number > 3 {
                    gaps.extend(last.map(|last| heard - last));
                    // 96 ms after it was made, as are the pictures.
                    assert_eq!(heard, sound + 96);
                    assert_eq!(shown, picture + 96);
                }
                last = Some(heard);
            }
        }
        assert!(gaps.len() > 280);
        assert!(gaps.iter().skip(1).all(|gap| *gap == 33), "{gaps:?}");
    }

    #[test]
    fn a_pause_is_forgotten_step_by_step() {
        let mut sim = Sim::new();
        assert_eq!(sim.due(0, 0), 0);
        assert_eq!(sim.due(150, 10), 150);
        assert_eq!(sim.due(151, 20), 160, "the others are as late from now on");
        let mut delays =
            (1..200_u64).map(|number| number * 100).map(|at| sim.due(200 + at, 200 + at) - 200 - at);
        assert_eq!(delays.nth(10), Some(140));
        let rest: Vec<_> = delays.collect();
        assert!(rest.windows(2).all(|pair| pair[0] >= pair[1] && pair[0] - pair[1] <= 20), "{rest:?}");
        assert_eq!(rest.last(), Some(&0));
    }

    #[test]
    fn nobody_waits_for_what_is_far_too_late() {
        let mut sim = Sim::new();
        for at in (0..3_000).step_by(10) {
            let due = sim.due(at, at);
            assert!(due <= at + 200);
            assert_eq!(
                sim.due(at + 5, at.saturating_sub(1_000)).max(at + 5),
                sim.due(at + 5, at.saturating_sub(1_000))
            );
        }
    }

    #[test]
    fn clocks_that_differ_cost_nothing() {
        for per_million in [-500_i64, 500] {
            let mut sim = Sim::new();
            for step in 0..60_000_u64 {
                let came = step * 20;
                let at = came.saturating_add_signed(i64::try_from(came).unwrap() * per_million / 1_000_000);
                let wait = sim.due(came, at) - came;
                assert!(wait <= 25, "{per_million}: {wait} ms after {came}");
            }
        }
    }

    #[test]
    fn the_longest_wait_is_remembered_while_nothing_comes() {
        let ms = Duration::from_millis;
        let mut longest = LongestWait::default();
        assert_eq!(longest.take(), ms(0));
        [20, 60, 0].into_iter().for_each(|wait| longest.note(ms(wait)));
        assert_eq!([longest.take(), longest.take()], [ms(60), ms(60)]);
        longest.note(ms(0));
        assert_eq!(longest.take(), ms(0));
    }

    #[test]
    fn datagrams_keep_their_order() {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let mut waiting = Waiting::default();
        let mut sent = Vec::new();
        for (due, byte) in [(0, 1), (10, 2), (5, 3)] {
            waiting.pass(at(0), at(due), &[byte], &mut |datagram| sent.push(datagram[0]));
        }
        assert_eq!(sent, [1]);
        assert_eq!(waiting.next(), Some(at(10)));
        waiting.flush(at(9), &mut |datagram| sent.push(datagram[0]));
        assert_eq!(sent, [1]);
        waiting.flush(at(10), &mut |datagram| sent.push(datagram[0]));
        assert_eq!(sent, [1, 2, 3]);
        assert_eq!(waiting.next(), None);
    }
}
