//! How fast the past is sent to someone who joins.

use std::time::{Duration, Instant};

use heliograph_media::Bitrate;

use super::line::{EMPTY, Heard};

/// Sent at once, bytes. Enough for most keyframes, small enough for a home router's queue.
pub(crate) const AT_ONCE: u64 = 64 << 10;
/// Times the stream's bitrate. The replay ends after (age x bitrate - `AT_ONCE`) / (rate - bitrate), so that ten
/// times costs a ninth of the age and four times a third of it.
const TIMES_BITRATE: u64 = 10;
const AT_LEAST: Bitrate = Bitrate::kbps(20_000);
/// A replay that is no faster than the stream never ends: this is as slow as loss can make it.
const SLOWEST_TIMES_BITRATE: u64 = 2;
/// What comes of that when the viewer tells when packets come: a line may carry less than the stream. Slower than this, so
/// little is sent that nothing is heard of the line any more; what there is room for is the matter of its window.
const SLOWEST_PART: u64 = 4;
const SLOWEST: Bitrate = Bitrate::kbps(200);
/// Loss in one report halves the rate at most this often: reports of one loss come several times.
const SLOW_DOWN_EVERY: Duration = Duration::from_millis(50);
/// Time that may be saved up. Longer pauses (a busy worker) must not become bursts.
const SAVED: Duration = Duration::from_millis(20);
/// A queue that may stay.
const SHORT: Duration = Duration::from_millis(50);
/// How often a replay is continued.
pub(crate) const INTERVAL: Duration = Duration::from_millis(2);

/// A token bucket in bytes.
#[derive(Debug)]
pub(crate) struct Pacer {
    rate: Bitrate,
    slowest: Bitrate,
    /// As slow as the line can make it.
    crawl: Bitrate,
    /// Bytes; negative after a packet that was larger than what was left.
    tokens: i64,
    filled: Instant,
    slowed: Option<Instant>,
    /// As fast as it may become.
    fastest: Bitrate,
    /// Arrival times tell what the line carries; single losses need not be asked.
    heard: bool,
}

impl Pacer {
    /// A full bucket for a stream of `bitrate`.
    pub(crate) fn new(now: Instant, bitrate: Bitrate) -> Self {
        Self {
            rate: bitrate.times(TIMES_BITRATE).max(AT_LEAST),
            slowest: bitrate.times(SLOWEST_TIMES_BITRATE).max(Bitrate::kbps(2_000)),
            crawl: Bitrate::bps(bitrate.as_bps() / SLOWEST_PART).max(SLOWEST),
            tokens: AT_ONCE as i64,
            filled: now,
            slowed: None,
            fastest: bitrate.times(TIMES_BITRATE).max(AT_LEAST),
            heard: false,
        }
    }

    /// What the viewer tells of the line.
    pub(crate) fn on_heard(&mut self, heard: &Heard) {
        self.heard = true;
        let (percent, least) = match heard.queue {
            // What is said to have waited may have come unevenly, and what the line carries be no more than was sent.
            queue if queue < EMPTY => (125, self.rate),
            queue if queue < SHORT => (105, self.crawl),
            _ => (90, self.crawl),
        };
        let carries = heard.carries.map(|carries| Bitrate::bps(carries.max(least).as_bps() * percent / 100));
        self.rate = carries.map_or(self.fastest, |carries| carries.clamp(self.crawl, self.fastest));
        self.tokens = self.tokens.min(self.rate.bytes_in(SAVED) as i64);
    }

    /// The viewer has told nothing for so long that its last word is not true any more.
    pub(crate) fn on_silence(&mut self) {
        self.rate = self.rate.max(self.slowest);
    }

    /// No faster than a replay to the same viewer turned out to be possible: see [`Pacer::slowed_to`].
    pub(crate) fn at_most(mut self, rate: Option<Bitrate>) -> Self {
        self.rate = rate.map_or(self.rate, |rate| self.rate.min(rate)).max(self.slowest);
        self
    }

    /// The rate that loss has brought it down to.
    pub(crate) fn slowed_to(&self) -> Option<Bitrate> {
        self.slowed.map(|_| self.rate)
    }

    /// How much faster than a stream of `bitrate` this is, in percent of that.
    pub(crate) fn percent(&self, bitrate: Bitrate) -> u32 {
        u32::try_from(100 * self.rate.as_bps() / bitrate.as_bps().max(1)).unwrap_or(u32::MAX)
    }

    /// Fills up what has become due.
    pub(crate) fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled);
        let bytes = self.rate.bytes_in(passed);
        if bytes == 0 {
            return;
        }
        self.filled = now;
        let most = self.rate.bytes_in(SAVED) as i64;
        if self.tokens < most {
            self.tokens = (self.tokens + bytes as i64).min(most);
        }
    }

    /// Whether anything may be sent now. The last packet may overdraw by its own length.
    pub(crate) const fn allows(&self) -> bool {
        self.tokens > 0
    }

    /// Accounts for a packet of `bytes`.
    pub(crate) const fn spend(&mut self, bytes: usize) {
        self.tokens -= bytes as i64;
    }

    /// The viewer reports loss: half the rate from now on.
    pub(crate) fn on_loss(&mut self, now: Instant) {
        if self.heard || self.slowed.is_some_and(|at| now.saturating_duration_since(at) < SLOW_DOWN_EVERY) {
            return;
        }
        self.slowed = Some(now);
        self.rate = Bitrate::bps(self.rate.as_bps() / 2).max(self.slowest);
        self.tokens = self.tokens.min(self.rate.bytes_in(SAVED) as i64);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// Milliseconds until `bytes` are sent in packets of 1200.
    fn time_for(pacer: &mut Pacer, start: Instant, bytes: u64) -> u64 {
        let mut left = bytes;
        for ms in (0..60_000).step_by(2) {
            pacer.refill(start + Duration::from_millis(ms));
            while pacer.allows() && left > 0 {
                pacer.spend(1200);
                left = left.saturating_sub(1200);
            }
            if left == 0 {
                return ms;
            }
        }
        panic!("never ends");
    }

    #[test]
    fn the_first_64_kib_go_at_once_and_the_rest_at_ten_times() {
        let start = Instant::now();
        for (bitrate, bytes, expected) in [
            (2_600, 64 << 10, 0..=0),
            // 1 MB at 26 Mbit/s less 64 KiB: 300 ms.
            (2_600, 1_040_000, 290..=310),
            // The floor of 20 Mbit/s.
            (500, 315_536, 95..=106),
            (8_000, 1_065_536, 95..=106),
        ] {
            let mut pacer = Pacer::new(start, Bitrate::kbps(bitrate));
            let took = time_for(&mut pacer, start, bytes);
            assert!(expected.contains(&took), "{bitrate} kbit/s, {bytes} bytes: {took} ms");
        }
    }

    #[test]
    fn loss_slows_down_but_never_below_twice_the_stream() {
        let start = Instant::now();
        let mut pacer = Pacer::new(start, Bitrate::kbps(2_500));
        pacer.on_loss(start);
        pacer.on_loss(start + Duration::from_millis(10));
        assert_eq!(pacer.rate, Bitrate::kbps(12_500), "one loss, reported twice");
        for ms in (100..2000).step_by(100) {
            pacer.on_loss(start + Duration::from_millis(ms));
        }
        assert_eq!(pacer.rate, Bitrate::kbps(5_000));
    }

    #[test]
    fn a_replay_after_one_that_was_too_fast_is_no_faster() {
        let start = Instant::now();
        let fresh = || Pacer::new(start, Bitrate::kbps(2_500));
        let mut last = fresh();
        assert_eq!(fresh().at_most(last.slowed_to()).rate, Bitrate::kbps(25_000));
        last.on_loss(start);
        let next = fresh().at_most(last.slowed_to());
        assert_eq!((next.rate, next.allows()), (Bitrate::kbps(12_500), true));
        assert_eq!(fresh().at_most(next.slowed_to()).rate, Bitrate::kbps(25_000), "that one went well");
        assert_eq!(fresh().at_most(Some(Bitrate::kbps(1))).rate, Bitrate::kbps(5_000));
    }

    #[test]
    fn what_the_line_carries_is_the_rate() {
        let start = Instant::now();
        let mut pacer = Pacer::new(start, Bitrate::kbps(2_500));
        let mut rate_for = |queue, carries: Option<u64>| {
            let queue = Duration::from_millis(queue);
            pacer.on_heard(&Heard { queue, carries: carries.map(Bitrate::kbps), lost: 3 });
            pacer.rate.as_kbps()
        };
        assert_eq!(rate_for(2, None), 25_000);
        assert_eq!(rate_for(20, Some(3_000)), 3_150);
        assert_eq!(rate_for(100, Some(3_000)), 2_700);
        assert_eq!(rate_for(0, Some(3_000)), 3_750);
        assert_eq!(rate_for(0, Some(90_000)), 25_000);
        pacer.on_loss(start);
        assert_eq!((pacer.rate, pacer.slowed_to()), (Bitrate::kbps(25_000), None), "the line is known");
        assert_eq!(pacer.percent(Bitrate::kbps(20_000)), 125);
    }

    #[test]
    fn a_line_that_seems_to_carry_nothing_is_asked_again() {
        let mut pacer = Pacer::new(Instant::now(), Bitrate::kbps(2_500));
        let hear = |pacer: &mut Pacer, queue, carries| {
            let queue = Duration::from_millis(queue);
            pacer.on_heard(&Heard { queue, carries: Some(Bitrate::kbps(carries)), lost: 0 });
            pacer.rate.as_kbps()
        };
        assert_eq!(hear(&mut pacer, 100, 0), 625, "so that something is heard of it");
        // What waited came unevenly, and is as much as was sent.
        let faster = (0..17).map(|_| hear(&mut pacer, 3, 500)).collect::<Vec<_>>();
        assert_eq!((faster[0], faster[1], faster[16]), (781, 976, 25_000), "{faster:?}");
        assert_eq!(hear(&mut pacer, 20, 3_000), 3_150);
        pacer.on_silence();
        assert_eq!(pacer.rate, Bitrate::kbps(5_000), "nothing is known");
        pacer.on_heard(&Heard { queue: Duration::ZERO, carries: None, lost: 0 });
        pacer.on_silence();
        assert_eq!(pacer.rate, Bitrate::kbps(25_000));
    }

    #[test]
    fn a_pause_is_not_saved_up() {
        let start = Instant::now();
        let mut pacer = Pacer::new(start, Bitrate::kbps(2_000));
        pacer.spend(100 << 10);
        assert!(!pacer.allows());
        pacer.refill(start + Duration::from_secs(10));
        assert_eq!(pacer.tokens, 50_000);
    }
}
