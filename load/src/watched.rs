//! The streams that are watched, as all viewers of them see it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use std::time::Duration;

use heliograph_media::TimestampUnwrapper;

use crate::{
    histogram::Histogram,
    publish::Published,
    sys::clock::Mono,
    timeline::{Frame, Timeline},
};

/// Sound or picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Medium {
    Video,
    Audio,
}

impl Medium {
    pub(crate) const BOTH: [Medium; 2] = [Medium::Video, Medium::Audio];

    /// Of its RTP clock.
    const fn ticks_per_second(self) -> u32 {
        match self {
            Self::Video => 90_000,
            Self::Audio => 48_000,
        }
    }
}

/// How a stream is named in the address of its viewers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Channel(String),
    Port(u16),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Channel(name) => f.write_str(name),
            Place::Port(port) => write!(f, "port {port}"),
        }
    }
}

/// Which part of the run a frame belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// While viewers still join.
    Ramp,
    /// While it is measured.
    Hold,
}

impl Phase {
    pub(crate) const BOTH: [Phase; 2] = [Phase::Ramp, Phase::Hold];
}

/// One watched stream.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) index: usize,
    pub(crate) place: Place,
    /// Our own publisher's tables; none when somebody else publishes.
    pub(crate) published: Option<Arc<Published>>,
    /// First frame of the hold and the first one after it, for [`Medium::BOTH`].
    hold: [[AtomicU64; 2]; 2],
    /// Packets published before those frames.
    hold_packets: [[AtomicU64; 2]; 2],
}

/// The phase of a frame that is looked up by its number, or by when it came if nobody knows the number.
impl Watched {
    pub(crate) fn new(index: usize, place: Place, published: Option<Arc<Published>>) -> Self {
        let never = || [AtomicU64::new(u64::MAX), AtomicU64::new(u64::MAX)];
        Self { index, place, published, hold: [never(), never()], hold_packets: [never(), never()] }
    }

    /// The publisher's table of one medium.
    pub(crate) fn timeline(&self, medium: Medium) -> Option<&Timeline> {
        self.published.as_deref().map(|published| match medium {
            Medium::Video => &published.video,
            Medium::Audio => &published.audio,
        })
    }

    /// Frames of our own publisher in so much time, rounded up; zero for a foreign one.
    pub(crate) fn frames_in(&self, medium: Medium, time: Duration) -> u64 {
        self.timeline(medium).map_or(0, |timeline| {
            let ticks = u128::from(medium.ticks_per_second()) * time.as_micros() / 1_000_000;
            u64::try_from(ticks).unwrap_or(u64::MAX).div_ceil(u64::from(timeline.ticks()))
        })
    }

    /// Marks the begin (`edge` 0) or the end (1) of the hold a moment ahead, so that no frame is on its way whose phase
    /// would still change.
    fn mark(&self, edge: usize, now: Mono) {
        for medium in Medium::BOTH {
            let at = match self.timeline(medium) {
                Some(timeline) => timeline.next() + MARGIN_FRAMES,
                None => now.0,
            };
            self.hold[medium as usize][edge].store(at, Ordering::Release);
        }
    }

    /// The hold begins.
    pub(crate) fn begin_hold(&self, now: Mono) {
        self.mark(0, now);
    }

    /// The hold is over.
    pub(crate) fn end_hold(&self, now: Mono) {
        self.mark(1, now);
    }

    /// Writes down how many packets were published before the hold; [`MARGIN`] after it began.
    pub(crate) fn fix_begin(&self) {
        self.fix(0);
    }

    /// Writes down how many packets were published until its end; [`MARGIN`] after it ended.
    pub(crate) fn fix_end(&self) {
        self.fix(1);
    }

    fn fix(&self, edge: usize) {
        for medium in Medium::BOTH {
            if let Some(timeline) = self.timeline(medium) {
                let frame = self.hold[medium as usize][edge].load(Ordering::Acquire);
                let packets = timeline.packets_before(frame);
                self.hold_packets[medium as usize][edge].store(packets, Ordering::Release);
            }
        }
    }

    /// Packets of our own publisher before the hold began and before it ended.
    pub(crate) fn hold_packets(&self, medium: Medium) -> (u64, u64) {
        let [begin, end] = &self.hold_packets[medium as usize];
        (begin.load(Ordering::Acquire), end.load(Ordering::Acquire))
    }

    /// First frame of the hold, and the first one after it; moments in nanoseconds for a foreign publisher.
    pub(crate) fn hold(&self, medium: Medium) -> (u64, u64) {
        let [begin, end] = &self.hold[medium as usize];
        (begin.load(Ordering::Acquire), end.load(Ordering::Acquire))
    }

    /// The phase of a frame (of a moment, for a foreign publisher); none after the hold.
    pub(crate) fn phase(&self, medium: Medium, at: Frame) -> Option<Phase> {
        let (begin, end) = self.hold(medium);
        if at < begin {
            Some(Phase::Ramp)
        } else if at < end {
            Some(Phase::Hold)
        } else {
            None
        }
    }
}

/// Frames from now to the edge of a phase.
const MARGIN_FRAMES: u64 = 3;
/// The time after which those frames were certainly sent.
pub(crate) const MARGIN: Duration = Duration::from_millis(200);

/// What one thread's viewers of one stream saw together since the last look.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// From publisher to arrival in microseconds, one for each [`Phase::BOTH`].
    pub(crate) latency_us: [Histogram; 2],
    foreign: [ForeignClock; 2],
}

impl Tally {
    /// Delay of a frame of a foreign publisher beyond the smallest one ever seen, in microseconds.
    pub(crate) fn foreign_delay_us(&mut self, medium: Medium, timestamp: u32, arrived: Mono) -> u64 {
        let ticks_per_second = medium.ticks_per_second();
        self.foreign[medium as usize].delay_us(timestamp, i64::from(ticks_per_second), arrived)
    }
}

/// Guesses when a foreign publisher sent: its frame that came fastest has no delay by definition.
#[derive(Debug, Default)]
struct ForeignClock {
    unwrapper: TimestampUnwrapper,
    smallest: Option<i64>,
}

impl ForeignClock {
    fn delay_us(&mut self, timestamp: u32, ticks_per_second: i64, arrived: Mono) -> u64 {
        let ticks = self.unwrapper.extend(timestamp) as i64;
        let micros = i128::from(ticks) * 1_000_000 / i128::from(ticks_per_second);
        let behind = (arrived.0 / 1000) as i64 - micros as i64;
        let smallest = self.smallest.map_or(behind, |smallest| smallest.min(behind));
        self.smallest = Some(smallest);
        (behind - smallest) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_stream_is_measured_against_its_fastest_frame() {
        let mut clock = ForeignClock::default();
        let begin = 5_000_000_u64;
        let delays: Vec<u64> = [7_000, 5_000, 9_000, 5_000]
            .iter()
            .zip(0_u32..)
            .map(|(late_us, frame)| {
                let timestamp = 4_294_967_000_u32.wrapping_add(frame * 90);
                clock.delay_us(timestamp, 90_000, Mono((begin + u64::from(frame) * 1_000 + late_us) * 1_000))
            })
            .collect();
        assert_eq!(delays, [0, 0, 4_000, 0]);
    }

    #[test]
    fn phases_by_frame() {
        let published = Published::new(0, 0);
        (0..10).for_each(|frame| published.video.begin(frame, Mono(1), 2));
        let watched = Watched::new(0, Place::Port(1), Some(published));
        let phase = |frame| watched.phase(Medium::Video, frame);
        assert_eq!(phase(1_000_000), Some(Phase::Ramp));
        watched.begin_hold(Mono(0));
        assert_eq!((phase(12), phase(13)), (Some(Phase::Ramp), Some(Phase::Hold)));
        watched.end_hold(Mono(0));
        assert_eq!((phase(12), phase(13)), (Some(Phase::Ramp), None));
        assert_eq!(watched.phase(Medium::Audio, 3), None);
    }
}
