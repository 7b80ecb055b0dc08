//! Figures about one medium on its uplink, for people and services.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use heliograph_media::{Bitrate, ClockRate};

use super::reorder::ReorderCounts;

/// The round trip after another sample of it.
pub(crate) fn smoothed_round_trip(before: Option<Duration>, sample: Duration) -> Duration {
    before.map_or(sample, |before| (before * 3 + sample) / 4)
}

/// How one medium is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TrackHealth {
    /// Received, without duplicates.
    pub packets: u64,
    /// Of those, headers included.
    pub bytes: u64,
    /// Never came.
    pub lost: u64,
    /// Missing once, but came.
    pub recovered: u64,
    /// Of those, after later packets had to go on without them.
    pub late: u64,
    /// Came more than once.
    pub duplicates: u64,
    /// Packets asked for; each request counts.
    pub nacks: u64,
    /// Interarrival jitter as in RFC 3550 section 6.4.1.
    pub jitter: Duration,
    /// Over the last seconds.
    pub bitrate: Bitrate,
}

impl TrackHealth {
    /// How unevenly the packets of both media come: those of sound where there are any, since a picture has many at once.
    #[must_use]
    pub fn jitter_of(video: Option<Self>, audio: Option<Self>) -> Option<Duration> {
        Some(audio.filter(|sound| sound.packets > 0).or(video)?.jitter)
    }
}

/// Counts what arrives of one medium.
#[derive(Debug)]
pub(crate) struct Tally {
    jitter: Jitter,
    meter: RateMeter,
    packets: u64,
    bytes: u64,
}

impl Tally {
    pub(crate) fn new(rate: ClockRate) -> Self {
        Self { jitter: Jitter::new(rate), meter: RateMeter::default(), packets: 0, bytes: 0 }
    }

    /// A packet was taken, of so many bytes with its header.
    pub(crate) fn on_packet(&mut self, now: Instant, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
        self.meter.on_bytes(now, bytes);
    }

    /// A packet came in its turn: what that says about jitter.
    pub(crate) fn on_timestamp(&mut self, now: Instant, timestamp: u32) {
        self.jitter.on_packet(now, timestamp);
    }

    /// With what [`Reorder`](super::reorder::Reorder) counted.
    pub(crate) fn health(&self, now: Instant, counts: ReorderCounts) -> TrackHealth {
        TrackHealth {
            packets: self.packets,
            bytes: self.bytes,
            lost: counts.lost,
            recovered: counts.recovered,
            late: counts.late,
            duplicates: counts.duplicates,
            nacks: counts.asked,
            jitter: self.jitter.get().unwrap_or_default(),
            bitrate: self.meter.get(now),
        }
    }
}

/// Interarrival jitter, RFC 3550 appendix A.8.
#[derive(Debug)]
pub(crate) struct Jitter {
    rate: ClockRate,
    last: Option<(Instant, u32)>,
    ticks: f64,
}

impl Jitter {
    pub(crate) fn new(rate: ClockRate) -> Self {
        Self { rate, last: None, ticks: 0.0 }
    }

    fn on_packet(&mut self, now: Instant, timestamp: u32) {
        if let Some((before, then)) = self.last.replace((now, timestamp)) {
            let arrival = now.saturating_duration_since(before).as_secs_f64() * f64::from(self.rate.get());
            let sent = f64::from(timestamp.wrapping_sub(then).cast_signed());
            self.ticks += ((arrival - sent).abs() - self.ticks) / 16.0;
        }
    }

    /// The same for media that comes with a time and not with a timestamp.
    pub(crate) fn on_time(&mut self, now: Instant, time: Duration) {
        // Differences are right across the wrap.
        #[expect(clippy::cast_possible_truncation, reason = "wraps, as timestamps do")]
        let timestamp = (time.as_nanos() * u128::from(self.rate.get()) / 1_000_000_000) as u32;
        self.on_packet(now, timestamp);
    }

    /// `None` before anything came.
    pub(crate) fn get(&self) -> Option<Duration> {
        self.last?;
        Some(Duration::try_from_secs_f64(self.ticks / f64::from(self.rate.get())).unwrap_or_default())
    }
}

/// Bytes of the last seconds.
#[derive(Debug, Default)]
struct RateMeter {
    /// Beginning of each slot, and bytes in it.
    slots: VecDeque<(Instant, u64)>,
}

impl RateMeter {
    fn on_bytes(&mut self, now: Instant, bytes: usize) {
        match self.slots.back_mut() {
            Some((begun, sum)) if now.saturating_duration_since(*begun) < SLOT => *sum += bytes as u64,
            _ => {
                self.slots.push_back((now, bytes as u64));
                while self.slots.len() > SLOTS {
                    self.slots.pop_front();
                }
            }
        }
    }

    fn get(&self, now: Instant) -> Bitrate {
        let window = SLOT * u32::try_from(SLOTS).expect("a handful");
        let recent = self.slots.iter().filter(|(begun, _)| now.saturating_duration_since(*begun) <= window);
        let (mut first, mut sum) = (None, 0);
        for (begun, bytes) in recent {
            first.get_or_insert(*begun);
            sum += bytes;
        }
        // A measurement over less than half a second says nothing.
        first.map_or(Bitrate::default(), |first| {
            let over = now.saturating_duration_since(first);
            if over < SLOT { Bitrate::default() } else { Bitrate::measured(sum, over) }
        })
    }
}

const SLOT: Duration = Duration::from_millis(500);
const SLOTS: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steady_arrivals_have_no_jitter_and_uneven_ones_do() {
        let start = Instant::now();
        let (mut steady, mut uneven) = (Jitter::new(ClockRate::OPUS), Jitter::new(ClockRate::OPUS));
        for n in 0..500_u32 {
            let at = start + Duration::from_millis(20) * n;
            steady.on_packet(at, n * 960);
            uneven.on_packet(at + Duration::from_millis(u64::from(n % 2) * 10), n * 960);
        }
        assert!(steady.get() < Some(Duration::from_micros(10)));
        assert!(
            uneven.get() > Some(Duration::from_millis(9)) && uneven.get() < Some(Duration::from_millis(11))
        );
    }

    #[test]
    fn bitrate_of_the_last_seconds() {
        let start = Instant::now();
        let mut meter = RateMeter::default();
        for n in 0..1000_u32 {
            meter.on_bytes(start + Duration::from_millis(10) * n, 1250); // 1 Mbit/s
        }
        let now = start + Duration::from_secs(10);
        let measured = meter.get(now).as_kbps();
        assert!((950..1050).contains(&measured), "{measured}");
        assert_eq!(meter.get(now + Duration::from_secs(10)).as_kbps(), 0);
        assert!(meter.slots.len() <= SLOTS);
    }
}
