//! Which layer of the picture a viewer gets: the one it asked for, or the best that its network carries.
//!
//! A machine without a clock and without packets. Its sources are the arrival times that most viewers tell (`line.rs`), and
//! receiver reports, which every browser sends about once a second: what was lost of the packets as first sent, and the
//! round trip. Arrival times show within a tenth of a second that a queue grows, long before it overflows, and what the line
//! carries; losses show where a queue overflows; a round trip that grows shows where a queue is long enough to swallow the
//! surplus.
//!
//! Down goes it at once, as far as what still arrives lets expect to be needed. Up goes it one layer at a time, not to one that the line is known not to carry, and as a
//! trial: when reports turn bad soon after, it goes down again and the next trial waits twice as long.

use std::time::{Duration, Instant};

use heliograph_media::Bitrate;

use super::line::Heard;
use crate::Track;

/// Losses above this, in two reports running, are too many (in 1/256: a tenth, where section 6 of
/// draft-ietf-rmcat-gcc-02 lowers its rate too).
const LOSSY: u8 = 26;
/// Losses above this in one report are too many (a quarter).
const VERY_LOSSY: u8 = 64;
/// Round trips longer than the shortest one by this, in two reports running, mean a queue.
const QUEUE: Duration = Duration::from_millis(250);
/// The shortest round trip is one of about so many reports: routes change.
const ROUND_TRIP_REPORTS: u32 = 60;
/// After a step down the queue that it came from has to drain: reports from this time count nothing.
const DRAINS: Duration = Duration::from_millis(2_500);
/// A trial is over after this time without a bad report.
const TRIAL: Duration = Duration::from_secs(8);
/// From a step down to the first trial.
const FIRST_TRIAL_AFTER: Duration = Duration::from_secs(8);
const LAST_TRIAL_AFTER: Duration = Duration::from_secs(128);
/// A queue as long as this, in a line that carries less than the layer, will overflow.
const GROWING: Duration = Duration::from_millis(60);
/// Words of the viewer that have to agree on that.
const GROWING_WORDS: u8 = 2;
/// Of what a line carries, this much is left for the picture's payload, in percent: headers, and the sound.
const PAYLOAD_PERCENT: u64 = 93;
/// What was heard of a line longer ago says nothing about a trial.
const HEARD_LATELY: Duration = Duration::from_secs(3);
/// A trial that the line would not carry waits for so long.
const NOT_YET: Duration = Duration::from_secs(1);
/// Of what arrived, so much is planned with: in percent.
const PLANNED_PERCENT: u64 = 85;

/// One viewer's layer.
#[derive(Debug)]
pub(crate) struct LayerChoice {
    /// By hand.
    picked: Option<Track>,
    /// As far as the network is known to carry; `None`: everything, so far.
    limited: Option<Limited>,
    bad_reports: u8,
    /// Words of a growing queue, running.
    growing: u8,
    /// What the line carries, and when that was heard.
    carries: Option<(Bitrate, Instant)>,
    /// Reports before this moment say nothing about the present layer.
    deaf_until: Option<Instant>,
    shortest: Option<(Duration, u32)>,
}

#[derive(Clone, Copy, Debug)]
struct Limited {
    /// What it gets now.
    at: Track,
    /// When to try more; while a trial runs, when it is over.
    next: Instant,
    /// Where a trial that runs came from.
    trial_from: Option<Track>,
    pause: Duration,
}

/// What a receiver report says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ViewerReport {
    /// Of the packets as first sent, in 1/256.
    pub(crate) fraction_lost: u8,
    pub(crate) round_trip: Option<Duration>,
}

impl LayerChoice {
    pub(crate) const fn new() -> Self {
        Self {
            picked: None,
            limited: None,
            bad_reports: 0,
            growing: 0,
            carries: None,
            deaf_until: None,
            shortest: None,
        }
    }

    /// By hand; `None`: as the network permits.
    pub(crate) fn pick(&mut self, layer: Option<Track>) {
        self.picked = layer;
        (self.limited, self.bad_reports) = (None, 0);
    }

    /// Whether the network decides.
    pub(crate) const fn is_automatic(&self) -> bool {
        self.picked.is_none()
    }

    /// The layer to send, of those that flow (best first, never empty); `rate` tells the bitrate of a layer.
    pub(crate) fn wanted(
        &mut self,
        now: Instant,
        layers: &[Track],
        rate: impl Fn(Track) -> Bitrate,
    ) -> Track {
        let best = layers.first().copied().unwrap_or(Track::Video);
        if let Some(picked) = self.picked {
            return if layers.contains(&picked) { picked } else { best };
        }
        let carries = self.carries.filter(|(_, at)| now.saturating_duration_since(*at) < HEARD_LATELY);
        let Some(limited) = &mut self.limited else { return best };
        let Some(place) = layers.iter().position(|layer| *layer == limited.at) else {
            // Publishers stop their large layers; what is left is not more than it was.
            limited.at = best;
            limited.trial_from = None;
            return best;
        };
        if now >= limited.next {
            match limited.trial_from.take() {
                Some(_) if place == 0 => self.limited = None,
                Some(_) => {
                    limited.pause = FIRST_TRIAL_AFTER;
                    limited.next = now;
                }
                None if place == 0 => limited.next = now + limited.pause,
                None if carries.is_some_and(|(carries, _)| planned(carries) < rate(layers[place - 1])) => {
                    limited.next = now + NOT_YET;
                }
                None => {
                    limited.trial_from = Some(limited.at);
                    limited.at = layers[place - 1];
                    limited.next = now + TRIAL;
                    (self.bad_reports, self.growing) = (0, 0);
                }
            }
        }
        self.limited.map_or(best, |limited| limited.at)
    }

    /// A report about the layer `current` of those that flow; `rate` tells the bitrate of a layer.
    pub(crate) fn on_report(
        &mut self,
        now: Instant,
        report: ViewerReport,
        current: Track,
        layers: &[Track],
        rate: impl Fn(Track) -> Bitrate,
    ) {
        let queue = report.round_trip.is_some_and(|trip| self.is_queue(trip));
        if layers.len() < 2 || self.picked.is_some() || self.deaf_until.is_some_and(|until| now < until) {
            return;
        }
        if report.fraction_lost < LOSSY && !queue {
            self.bad_reports = 0;
            return;
        }
        self.bad_reports += 1;
        let trial_from = self.limited.and_then(|limited| limited.trial_from);
        // A queue that overflows is no accident.
        let sure = report.fraction_lost >= VERY_LOSSY || (queue && report.fraction_lost >= LOSSY);
        if self.bad_reports < 2 && !sure && trial_from.is_none() {
            return;
        }
        let arrived = rate(current).as_bps() * (256 - u64::from(report.fraction_lost)) / 256;
        self.go_down(now, Bitrate::bps(arrived), current, layers, rate);
    }

    /// Arrival times tell of the line, while `current` is sent. `begins`: the viewer has shown nothing yet that it could
    /// miss.
    pub(crate) fn on_heard(
        &mut self,
        now: Instant,
        heard: &Heard,
        begins: bool,
        current: Track,
        layers: &[Track],
        rate: impl Fn(Track) -> Bitrate,
    ) {
        self.carries = heard.carries.map(|carries| (carries, now));
        let too_narrow = |carries: Bitrate| carries.as_bps() * PAYLOAD_PERCENT / 100 < rate(current).as_bps();
        let Some(carries) = heard.carries.filter(|carries| heard.queue >= GROWING && too_narrow(*carries))
        else {
            self.growing = 0;
            return;
        };
        // Until another layer comes, the queue is still that of this one.
        let waits = self.limited.is_some_and(|limited| limited.at != current);
        if layers.len() < 2 || self.picked.is_some() || waits {
            return;
        }
        self.growing += 1;
        let on_trial = self.limited.is_some_and(|limited| limited.trial_from.is_some());
        if self.growing >= GROWING_WORDS || on_trial || begins {
            self.go_down(now, carries, current, layers, rate);
        }
    }

    /// To what fits into a line that carries so much.
    fn go_down(
        &mut self,
        now: Instant,
        carries: Bitrate,
        current: Track,
        layers: &[Track],
        rate: impl Fn(Track) -> Bitrate,
    ) {
        let trial_from = self.limited.and_then(|limited| limited.trial_from);
        let Some(place) = layers.iter().position(|layer| *layer == current) else { return };
        let Some(lower) = layers.get(place + 1..).filter(|lower| !lower.is_empty()) else { return };
        let planned = planned(carries);
        let fits = lower.iter().copied().find(|layer| rate(*layer) <= planned);
        let at = trial_from.filter(|from| lower.contains(from)).or(fits).unwrap_or(lower[lower.len() - 1]);
        let pause = match self.limited {
            Some(Limited { pause, trial_from: Some(_), .. }) => (pause * 2).min(LAST_TRIAL_AFTER),
            Some(Limited { pause, .. }) => pause,
            None => FIRST_TRIAL_AFTER,
        };
        self.limited = Some(Limited { at, next: now + pause, trial_from: None, pause });
        (self.bad_reports, self.growing) = (0, 0);
        self.deaf_until = Some(now + DRAINS);
    }

    /// Whether a round trip is so much longer than the shortest one that something is queued.
    fn is_queue(&mut self, trip: Duration) -> bool {
        let (shortest, age) = self.shortest.unwrap_or((trip, 0));
        self.shortest =
            Some(if trip <= shortest || age >= ROUND_TRIP_REPORTS { (trip, 0) } else { (shortest, age + 1) });
        trip > shortest + QUEUE
    }
}

/// What may be planned with.
const fn planned(carries: Bitrate) -> Bitrate {
    Bitrate::bps(carries.as_bps() * PLANNED_PERCENT / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYERS: [Track; 3] = [Track::Video, Track::SecondLayer, Track::ThirdLayer];
    const HIGH: Track = LAYERS[0];
    const MIDDLE: Track = LAYERS[1];
    const LOW: Track = LAYERS[2];

    fn rate(layer: Track) -> Bitrate {
        Bitrate::kbps(match layer {
            Track::Video => 2_500,
            Track::SecondLayer => 700,
            _ => 200,
        })
    }

    /// A viewer behind a line of some bitrate that loses what is too much, with a report each second.
    struct Sim {
        choice: LayerChoice,
        now: Instant,
        line: Bitrate,
        round_trip: Duration,
        at: Track,
        /// Seconds and layers.
        story: Vec<(u64, Track)>,
        seconds: u64,
    }

    impl Sim {
        fn new(line: u64) -> Self {
            Self {
                choice: LayerChoice::new(),
                now: Instant::now(),
                line: Bitrate::kbps(line),
                round_trip: Duration::from_millis(30),
                at: HIGH,
                story: Vec::new(),
                seconds: 0,
            }
        }

        fn run(&mut self, seconds: u64) -> &[(u64, Track)] {
            self.story.clear();
            for _ in 0..seconds {
                let (sent, line) = (rate(self.at).as_bps(), self.line.as_bps());
                let lost = u8::try_from(sent.saturating_sub(line) * 256 / sent).unwrap_or(u8::MAX);
                let report = ViewerReport { fraction_lost: lost, round_trip: Some(self.round_trip) };
                self.choice.on_report(self.now, report, self.at, &LAYERS, rate);
                let at = self.choice.wanted(self.now, &LAYERS, rate);
                if at != self.at {
                    self.story.push((self.seconds, at));
                    self.at = at;
                }
                self.now += Duration::from_secs(1);
                self.seconds += 1;
            }
            &self.story
        }
    }

    #[test]
    fn a_line_that_carries_everything_is_left_alone() {
        assert_eq!(Sim::new(10_000).run(3_600), []);
    }

    #[test]
    fn down_to_what_fits_and_up_when_the_line_is_free_again() {
        let mut sim = Sim::new(1_000);
        assert_eq!(sim.run(5), [(0, MIDDLE)], "more than a quarter was lost");
        sim.line = Bitrate::kbps(10_000);
        assert_eq!(sim.run(40), [(8, HIGH)]);
        assert!(sim.choice.limited.is_none(), "the trial has been passed");
        // A line for the smallest only: past the middle one.
        sim.line = Bitrate::kbps(300);
        assert_eq!(sim.run(3), [(45, LOW)]);
        sim.line = Bitrate::kbps(10_000);
        assert_eq!(sim.run(40), [(53, MIDDLE), (62, HIGH)]);
    }

    #[test]
    fn trials_in_vain_become_rare() {
        let mut sim = Sim::new(1_000);
        let story = sim.run(600).to_vec();
        let ups: Vec<u64> = story.iter().filter(|(_, layer)| *layer == HIGH).map(|(at, _)| *at).collect();
        assert_eq!(ups.len(), 7, "{story:?}");
        assert!(ups.windows(3).all(|ups| ups[2] - ups[1] > ups[1] - ups[0] || ups[2] - ups[1] >= 128));
        for pair in story.windows(2).filter(|pair| pair[0].1 == HIGH) {
            assert!(pair[1].0 - pair[0].0 <= 1, "down again with the next report: {story:?}");
            assert_eq!(pair[1].1, MIDDLE);
        }
    }

    #[test]
    fn single_reports_do_not_count_unless_very_bad() {
        let mut choice = LayerChoice::new();
        let now = Instant::now();
        let mut report = |seconds, fraction_lost| {
            let now = now + Duration::from_secs(seconds);
            let report = ViewerReport { fraction_lost, round_trip: None };
            choice.on_report(now, report, HIGH, &LAYERS, rate);
            choice.wanted(now, &LAYERS, rate)
        };
        assert_eq!(report(0, 40), HIGH);
        assert_eq!(report(1, 3), HIGH);
        assert_eq!(report(2, 40), HIGH);
        // Nine tenths of it arrive: the next lower one fits.
        assert_eq!(report(3, 40), MIDDLE);
    }

    #[test]
    fn a_queue_shows_in_the_round_trip() {
        let mut sim = Sim::new(10_000);
        assert_eq!(sim.run(5), []);
        sim.round_trip = Duration::from_millis(400);
        assert_eq!(sim.run(2), [(6, MIDDLE)]);
        // Losses on top of it are sure at once.
        let mut sure = Sim::new(10_000);
        sure.run(5);
        (sure.round_trip, sure.line) = (Duration::from_millis(400), Bitrate::kbps(2_200));
        assert_eq!(sure.run(1), [(5, MIDDLE)]);
        // It drains; a longer route is none for ever.
        sim.round_trip = Duration::from_millis(200);
        assert_eq!(sim.run(40), [(14, HIGH)]);
    }

    #[test]
    fn what_is_picked_stays() {
        let mut sim = Sim::new(100);
        sim.choice.pick(Some(MIDDLE));
        assert_eq!(sim.run(60), [(0, MIDDLE)]);
        sim.choice.pick(None);
        sim.line = Bitrate::kbps(10_000);
        assert_eq!(sim.run(2).last(), Some(&(60, HIGH)));
        // One that has stopped gives way to the best of the others.
        sim.choice.pick(Some(HIGH));
        assert_eq!(sim.choice.wanted(sim.now, &LAYERS[1..], rate), MIDDLE);
    }

    #[test]
    fn a_stopped_layer_is_left() {
        let mut sim = Sim::new(1_000);
        sim.run(3);
        assert_eq!(sim.at, MIDDLE);
        assert_eq!(sim.choice.wanted(sim.now, &[LOW], rate), LOW);
        assert_eq!(sim.choice.wanted(sim.now, &[HIGH, LOW], rate), LOW, "up only by trial");
        let mut free = LayerChoice::new();
        assert_eq!(free.wanted(sim.now, &[LOW], rate), LOW);
        assert_eq!(free.wanted(sim.now, &LAYERS, rate), HIGH);
    }

    /// A word of the viewer.
    fn heard(queue: u64, carries: u64) -> Heard {
        let carries = (carries > 0).then(|| Bitrate::kbps(carries));
        Heard { queue: Duration::from_millis(queue), carries, lost: 0 }
    }

    #[test]
    fn a_growing_queue_is_left_before_it_overflows() {
        let now = Instant::now();
        let mut choice = LayerChoice::new();
        let mut tell = |ms: u64, heard: Heard, begins, current| {
            let now = now + Duration::from_millis(ms);
            choice.on_heard(now, &heard, begins, current, &LAYERS, rate);
            choice.wanted(now, &LAYERS, rate)
        };
        assert_eq!(tell(0, heard(200, 3_000), false, HIGH), HIGH, "a keyframe in a line that is wide enough");
        assert_eq!(tell(100, heard(70, 1_200), false, HIGH), HIGH);
        assert_eq!(tell(200, heard(20, 1_200), false, HIGH), HIGH, "not running");
        assert_eq!(tell(300, heard(70, 1_200), false, HIGH), HIGH);
        assert_eq!(tell(400, heard(110, 1_200), false, HIGH), MIDDLE);
        // What waits is still the old layer's.
        assert_eq!(tell(500, heard(160, 500), false, HIGH), MIDDLE);
        assert_eq!(tell(900, heard(160, 1_200), false, MIDDLE), MIDDLE);
        // It became too narrow for that, too.
        tell(1_000, heard(160, 500), false, MIDDLE);
        assert_eq!(tell(1_100, heard(160, 500), false, MIDDLE), LOW);

        let mut joining = LayerChoice::new();
        joining.on_heard(now, &heard(70, 300), true, HIGH, &LAYERS, rate);
        assert_eq!(joining.wanted(now, &LAYERS, rate), LOW, "the first word will do");
        let mut picked = LayerChoice::new();
        picked.pick(Some(HIGH));
        picked.on_heard(now, &heard(70, 300), true, HIGH, &LAYERS, rate);
        assert_eq!(picked.wanted(now, &LAYERS, rate), HIGH);
    }

    #[test]
    fn a_line_that_would_not_carry_it_is_not_tried() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut choice = LayerChoice::new();
        choice.on_heard(start, &heard(70, 1_200), true, HIGH, &LAYERS, rate);
        for second in 0..60 {
            choice.on_heard(at(second), &heard(5, 1_200), false, MIDDLE, &LAYERS, rate);
            assert_eq!(choice.wanted(at(second), &LAYERS, rate), MIDDLE, "{second}");
        }
        // It became wider: nothing queues any more.
        choice.on_heard(at(60), &heard(0, 0), false, MIDDLE, &LAYERS, rate);
        assert_eq!(choice.wanted(at(61), &LAYERS, rate), HIGH);
        // Too early: one word ends the trial.
        choice.on_heard(at(62), &heard(70, 1_200), false, HIGH, &LAYERS, rate);
        assert_eq!(choice.wanted(at(62), &LAYERS, rate), MIDDLE);
    }
}
