//! The rhythm of the pictures: how far keyframes are apart, whether the frame rate is steady, whether the encoder's clock
//! runs as ours.

use std::time::{Duration, Instant};

/// Watches the beginnings of pictures of one publisher session.
#[derive(Clone, Debug, Default)]
pub(super) struct Rhythm {
    /// When the newest pictures are to be shown, on the stream's timeline, earliest first: B-frames come after pictures that
    /// are shown later.
    waiting: Vec<Duration>,
    /// The newest picture that nothing can come before any more.
    shown: Option<Duration>,
    keyframe: Option<Duration>,
    keyframe_interval: Option<Duration>,
    /// The newest distances between pictures, in microseconds, in a ring.
    steps: Vec<u32>,
    next_step: usize,
    drift: Drift,
}

/// A picture can come this many pictures too late. Encoders reorder two or three; H.264 allows sixteen.
const REORDERED: usize = 8;
/// How many distances are looked at: three seconds at 30 pictures a second.
const STEPS: usize = 90;
/// A distance is odd when it is this far from the usual one, in percent.
const ODD_PERCENT: u32 = 40;
/// So many odd ones, in percent, make a frame rate unsteady. One picture left out now and then is no reason.
const UNSTEADY_PERCENT: usize = 20;

impl Rhythm {
    /// A picture begins, to be shown at `time` on the stream's timeline.
    pub(super) fn picture(&mut self, time: Duration, arrival: Instant) {
        self.drift.picture(time, arrival);
        let place = self.waiting.partition_point(|waiting| *waiting <= time);
        self.waiting.insert(place, time);
        if self.waiting.len() <= REORDERED {
            return;
        }
        let time = self.waiting.remove(0);
        let Some(before) = self.shown.replace(time) else { return };
        let Some(step) = time.checked_sub(before) else { return };
        let step = u32::try_from(step.as_micros()).unwrap_or(u32::MAX);
        if self.steps.len() < STEPS {
            self.steps.push(step);
        } else {
            self.steps[self.next_step] = step;
            self.next_step = (self.next_step + 1) % STEPS;
        }
    }

    /// A slice of a keyframe; a keyframe may have several.
    pub(super) fn keyframe(&mut self, time: Duration) {
        if let Some(before) = self.keyframe.replace(time).filter(|before| *before != time) {
            self.keyframe_interval = time.checked_sub(before);
        }
    }

    /// Between the last two keyframes.
    pub(super) fn keyframe_interval(&self) -> Option<Duration> {
        self.keyframe_interval
    }

    /// Whether the time between pictures keeps changing. `false` until enough pictures came.
    pub(super) fn is_unsteady(&self) -> bool {
        if self.steps.len() < STEPS {
            return false;
        }
        let mut sorted = self.steps.clone();
        sorted.sort_unstable();
        let usual = sorted[STEPS / 2];
        // 29.97 in milliseconds is 33, 33, 34: rounding is no unsteadiness.
        let slack = (usual.saturating_mul(ODD_PERCENT) / 100).max(4_000);
        let odd = sorted.iter().filter(|step| step.abs_diff(usual) > slack).count();
        odd * 100 > UNSTEADY_PERCENT * STEPS
    }

    /// How much slower than ours the encoder's clock runs, in parts per million. `None` until it can be told.
    pub(super) fn drift_ppm(&self) -> Option<i32> {
        self.drift.ppm
    }
}

/// Compares the earliest arrivals of one stretch of time with those of a much earlier one: what a network or an encoder
/// delays is in the late ones.
#[derive(Clone, Debug, Default)]
struct Drift {
    began: Option<(Instant, Duration)>,
    /// Of the running stretch: when it began, and the smallest (arrival - timestamp) in microseconds.
    stretch: Option<(Instant, i64)>,
    first: Option<(Instant, i64)>,
    ppm: Option<i32>,
}

/// One stretch.
const STRETCH: Duration = Duration::from_secs(20);
/// Between two stretches that are compared.
const APART: Duration = Duration::from_secs(120);

impl Drift {
    fn picture(&mut self, time: Duration, arrival: Instant) {
        let (began, base) = *self.began.get_or_insert((arrival, time));
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        let passed = micros(arrival.saturating_duration_since(began));
        let late = passed.saturating_sub(micros(time)).saturating_add(micros(base));
        let Some((since, least)) = &mut self.stretch else {
            self.stretch = Some((arrival, late));
            return;
        };
        *least = (*least).min(late);
        if arrival.saturating_duration_since(*since) < STRETCH {
            return;
        }
        let (since, least) = (*since, *least);
        self.stretch = Some((arrival, late));
        let Some((first_at, first)) = self.first else {
            self.first = Some((since, least));
            return;
        };
        let apart = since.saturating_duration_since(first_at);
        if apart < APART {
            return;
        }
        let micros = i64::try_from(apart.as_micros()).unwrap_or(i64::MAX);
        let ppm = least.saturating_sub(first).saturating_mul(1_000_000) / micros;
        self.ppm = Some(i32::try_from(ppm).unwrap_or(if ppm > 0 { i32::MAX } else { i32::MIN }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Play {
        rhythm: Rhythm,
        time: Duration,
        arrival: Instant,
    }

    impl Play {
        fn new() -> Self {
            Self { rhythm: Rhythm::default(), time: Duration::from_secs(1_000), arrival: Instant::now() }
        }

        /// Pictures by distance in microseconds; every `gop`th is a keyframe; the network adds jitter.
        fn pictures(&mut self, count: usize, gop: usize, slow_ppm: i64, step: impl Fn(usize) -> u64) {
            for number in 0..count {
                let micros = step(number);
                self.time += Duration::from_micros(micros);
                let real = micros.cast_signed() * 1000 + micros.cast_signed() * slow_ppm / 1000;
                self.arrival += Duration::from_nanos(real.unsigned_abs());
                let jitter = Duration::from_micros(number as u64 * 7919 % 8000);
                self.rhythm.picture(self.time, self.arrival + jitter);
                if number % gop == 0 {
                    // Two slices.
                    self.rhythm.keyframe(self.time);
                    self.rhythm.keyframe(self.time);
                }
            }
        }
    }

    #[test]
    fn keyframes() {
        let mut play = Play::new();
        play.pictures(61, 60, 0, |_| 33_333);
        let interval = play.rhythm.keyframe_interval();
        assert_eq!(interval.map(|interval| interval.as_millis()), Some(1999));
    }

    #[test]
    fn steady_and_unsteady_rates() {
        for (what, unsteady, step) in [
            ("30", false, (|_| 33_333) as fn(usize) -> u64),
            ("29.97 in milliseconds", false, |number| if number % 3 == 2 { 34_000 } else { 33_000 }),
            ("one in ten left out", false, |number| if number % 10 == 0 { 66_667 } else { 33_333 }),
            ("60 with jitter of 3 ms", false, |number| 16_667 - 1_500 + (number as u64 % 4) * 1_000),
            ("half of them left out by chance", true, |number| {
                if number % 7 == 0 || number % 3 == 0 { 66_667 } else { 33_333 }
            }),
            ("a screen that is captured when it changes", true, |number| {
                10_000 + (number as u64 * 7919 % 90_000)
            }),
        ] {
            let mut play = Play::new();
            play.pictures(STEPS, 60, 0, step);
            assert!(!play.rhythm.is_unsteady(), "{what}: too early to say");
            play.pictures(3 * STEPS, 60, 0, step);
            assert_eq!(play.rhythm.is_unsteady(), unsteady, "{what}");
        }
    }

    #[test]
    fn drift_is_told_through_jitter() {
        for ppm in [-2_000, -300, 0, 50, 400, 5_000] {
            let mut play = Play::new();
            play.pictures(30 * 100, 60, ppm, |_| 33_333);
            assert_eq!(play.rhythm.drift_ppm(), None, "too early to say");
            play.pictures(30 * 100, 60, ppm, |_| 33_333);
            let told = i64::from(play.rhythm.drift_ppm().unwrap_or(i32::MAX));
            assert!((told - ppm).abs() <= 10 + ppm.abs() / 50, "{told} instead of {ppm}");
        }
    }

    /// x264 with three B-frames as OBS starts it: as many as the picture asks for, in a pyramid.
    #[test]
    fn pictures_out_of_order_keep_their_rhythm() {
        for unsteady in [false, true] {
            let mut rhythm = Rhythm::default();
            let now = Instant::now();
            let (mut begun, mut number) = (0, 0);
            for group in 0..200_usize {
                let orders: [&[u64]; 4] = [&[1], &[2, 1], &[3, 1, 2], &[4, 2, 1, 3]];
                let order = orders[group * 7 % 4];
                for place in order {
                    let shown = (begun + place) * 33 + if unsteady { (begun + place) * 13 % 30 } else { 0 };
                    rhythm.picture(Duration::from_millis(shown), now + Duration::from_millis(33 * number));
                    number += 1;
                }
                begun += order.len() as u64;
            }
            assert!(rhythm.drift_ppm().is_none());
            assert_eq!(rhythm.is_unsteady(), unsteady);
        }
    }
}
