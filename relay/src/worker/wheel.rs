//! Deadlines of all viewers of one worker: a wheel of buckets, no kernel timers.

use std::time::{Duration, Instant};

const BUCKETS: usize = 1024;
const WORDS: usize = BUCKETS / 64;
/// One bucket. Fast deadlines fire up to this much late.
const TICK: Duration = Duration::from_millis(1);
/// Slow deadlines wait for a tick that is a multiple of this. Otherwise hundreds of viewers, who came one by one, would
/// have the thread woken hundreds of times a second, for one report each.
const SLOW_TICKS: u64 = 32;

/// What a deadline is for. Each viewer has at most one of each that counts; see [`Entry::tick`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimerKind {
    /// Milliseconds: replay pacing, second copies.
    Fast,
    /// A second: reports, consent, limits of setting up.
    Slow,
}

/// One deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) slot: u32,
    pub(crate) kind: TimerKind,
    /// When, in ticks. The owner keeps the tick it last asked for; an entry with another one is stale and is
    /// dropped when it fires, which is cheaper than searching for it.
    pub(crate) tick: u64,
}

/// The wheel. One turn is about a second; later deadlines stay in their bucket for another turn.
#[derive(Debug)]
pub(crate) struct Wheel {
    origin: Instant,
    /// Everything up to and including this tick has fired.
    now: u64,
    buckets: Vec<Vec<Entry>>,
    occupied: [u64; WORDS],
    entries: usize,
}

impl Wheel {
    pub(crate) fn new(origin: Instant) -> Self {
        Self { origin, now: 0, buckets: vec![Vec::new(); BUCKETS], occupied: [0; WORDS], entries: 0 }
    }

    /// Adds a deadline and returns its tick, for recognising it when it fires. Deadlines of the past fire next.
    pub(crate) fn add(&mut self, slot: u32, kind: TimerKind, at: Instant) -> u64 {
        let tick = self.tick_after(at).max(self.now + 1);
        let tick = match kind {
            TimerKind::Fast => tick,
            TimerKind::Slow => tick.next_multiple_of(SLOW_TICKS),
        };
        let bucket = tick as usize % BUCKETS;
        self.buckets[bucket].push(Entry { slot, kind, tick });
        self.occupied[bucket / 64] |= 1 << (bucket % 64);
        self.entries += 1;
        tick
    }

    /// Moves everything that is due at `now` into `due`.
    pub(crate) fn advance(&mut self, now: Instant, due: &mut Vec<Entry>) {
        let target = self.tick_before(now);
        if target <= self.now {
            return;
        }
        if self.entries == 0 {
            self.now = target;
            return;
        }
        // After a long sleep one turn visits every bucket once.
        let steps = (target - self.now).min(BUCKETS as u64);
        for tick in target - steps + 1..=target {
            let bucket = tick as usize % BUCKETS;
            if self.occupied[bucket / 64] & 1 << (bucket % 64) == 0 {
                continue;
            }
            let entries = &mut self.buckets[bucket];
            let before = entries.len();
            entries.retain(|entry| {
                let later = entry.tick > target;
                if !later {
                    due.push(*entry);
                }
                later
            });
            self.entries -= before - entries.len();
            if entries.is_empty() {
                self.occupied[bucket / 64] &= !(1 << (bucket % 64));
                if entries.capacity() > 64 {
                    entries.shrink_to(16);
                }
            }
        }
        self.now = target;
    }

    /// When to look again; none without deadlines. May be a turn early, never late.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        if self.entries == 0 {
            return None;
        }
        let start = (self.now + 1) as usize % BUCKETS;
        let mut ahead = 0;
        while ahead < BUCKETS {
            let bucket = (start + ahead) % BUCKETS;
            let word = self.occupied[bucket / 64] >> (bucket % 64);
            if word != 0 {
                ahead += word.trailing_zeros() as usize;
                break;
            }
            ahead += 64 - bucket % 64;
        }
        Some(self.instant_of(self.now + 1 + ahead as u64))
    }

    /// The moment of a tick.
    pub(crate) fn instant_of(&self, tick: u64) -> Instant {
        self.origin + Duration::from_millis(tick)
    }

    fn tick_after(&self, at: Instant) -> u64 {
        let passed = at.saturating_duration_since(self.origin);
        passed.as_micros().div_ceil(TICK.as_micros()) as u64
    }

    fn tick_before(&self, at: Instant) -> u64 {
        (at.saturating_duration_since(self.origin).as_micros() / TICK.as_micros()) as u64
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn fired(wheel: &mut Wheel, now: Instant) -> Vec<u32> {
        let mut due = Vec::new();
        wheel.advance(now, &mut due);
        due.iter().map(|entry| entry.slot).collect()
    }

    #[test]
    fn fires_in_time_and_once() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        assert_eq!(wheel.next_due(), None);
        for (slot, ms) in [(1, 0), (2, 2), (3, 500), (4, 1023), (5, 1025), (6, 30_000)] {
            wheel.add(slot, TimerKind::Fast, start + Duration::from_millis(ms));
        }
        let mut seen = Vec::new();
        let mut now = start;
        while let Some(next) = wheel.next_due() {
            assert!(next > now, "waits go forward");
            now = next;
            for slot in fired(&mut wheel, now) {
                seen.push((slot, now.duration_since(start).as_millis()));
            }
        }
        assert_eq!(seen, [(1, 1), (2, 2), (3, 500), (4, 1023), (5, 1025), (6, 30_000)]);
    }

    #[test]
    fn a_long_sleep_loses_nothing() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        for slot in 0..3000_u32 {
            wheel.add(slot, TimerKind::Fast, start + Duration::from_millis(u64::from(slot)));
        }
        let mut all = fired(&mut wheel, start + Duration::from_secs(100));
        all.sort_unstable();
        assert_eq!(all, (0..3000).collect::<Vec<_>>());
        assert_eq!(wheel.next_due(), None);
        wheel.add(9, TimerKind::Fast, start);
        assert_eq!(wheel.next_due(), Some(start + Duration::from_millis(100_001)));
    }

    #[test]
    fn slow_deadlines_of_many_fire_together() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        for slot in 0..500_u32 {
            let joined = Duration::from_millis(u64::from(slot) * 2);
            let tick = wheel.add(slot, TimerKind::Slow, start + joined + Duration::from_secs(1));
            let late = wheel.instant_of(tick).duration_since(start + joined + Duration::from_secs(1));
            assert!(late < Duration::from_millis(32), "{late:?}");
        }
        let (mut wakes, mut seen) = (0, 0);
        while let Some(next) = wheel.next_due() {
            let fired = fired(&mut wheel, next).len();
            wakes += usize::from(fired > 0);
            seen += fired;
        }
        assert_eq!((wakes, seen), (32, 500), "a second of joins, a thirty-second of it a wake");
    }

    #[test]
    fn a_few_microseconds_are_not_early() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        wheel.add(1, TimerKind::Fast, start + Duration::from_micros(2_100));
        assert!(fired(&mut wheel, start + Duration::from_micros(2_900)).is_empty());
        assert_eq!(fired(&mut wheel, start + Duration::from_millis(3)), [1]);
    }
}
