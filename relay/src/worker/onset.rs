//! From where on viewers get sound that begins: a publisher session's, or after a leap of its timestamps. No clock, no packets.
//!
//! An encoder that starts before its connection stands sends what it has made meanwhile all at once. A browser keeps all of
//! that, plays it from the beginning, and gives the delay back slowly (300 ms: in four seconds), pictures with it, which wait
//! for their sound. So sound begins for viewers where it comes at its own pace.

use std::time::{Duration, Instant};

use heliograph_media::{ClockRate, Codec};

/// At its own pace for so long, it has caught up. A connection whose window still opens pauses for a round trip: over longer
/// ones than this some of what waited gets through.
const EVEN: Duration = Duration::from_millis(100);
/// What comes sooner than its timestamp says by more than this has been waiting; less is jitter.
const JITTER: Duration = Duration::from_millis(10);
/// Longer nobody is kept from hearing.
const MOST: Duration = Duration::from_secs(2);

const RATE: ClockRate = Codec::Opus.clock_rate();

/// The beginning of a stretch of sound.
#[derive(Debug, Default)]
pub(crate) enum Onset {
    /// Viewers get what comes.
    #[default]
    Over,
    /// The first packet is to come.
    New,
    CatchesUp {
        /// The first packet: its arrival and timestamp.
        first: (Instant, u64),
        /// How much sooner than the first one any has come.
        ahead: Duration,
        /// When that last grew.
        grew: Instant,
    },
}

impl Onset {
    /// Sound begins, or begins anew.
    pub(crate) fn begin(&mut self) {
        *self = Self::New;
    }

    /// Whether viewers should not have it yet.
    pub(crate) const fn catches_up(&self) -> bool {
        !matches!(self, Self::Over)
    }

    /// A packet of sound has come.
    pub(crate) fn packet(&mut self, arrival: Instant, timestamp: u64) {
        match self {
            Self::Over => {}
            Self::New => {
                *self = Self::CatchesUp { first: (arrival, timestamp), ahead: Duration::ZERO, grew: arrival };
            }
            Self::CatchesUp { first, ahead, grew } => {
                let passed = arrival.saturating_duration_since(first.0);
                let sooner = RATE.duration(timestamp.saturating_sub(first.1)).saturating_sub(passed);
                if sooner > *ahead + JITTER {
                    (*ahead, *grew) = (sooner, arrival);
                }
                if arrival.saturating_duration_since(*grew) >= EVEN || passed >= MOST {
                    *self = Self::Over;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sound every 20 ms, each so many milliseconds later than that; how many viewers do not get.
    fn kept_back(late: impl Fn(u64) -> u64) -> usize {
        let (begin, mut onset) = (Instant::now(), Onset::default());
        onset.begin();
        (0..300)
            .take_while(|&number| {
                let arrival = begin + Duration::from_millis(20 * number + late(number));
                onset.packet(arrival, 77_777 + 960 * number);
                onset.catches_up()
            })
            .count()
    }

    #[test]
    fn what_has_waited_is_left_out() {
        assert_eq!(kept_back(|_| 0), 5, "a tenth of a second");
        assert_eq!(kept_back(|number| number * 7919 % 9), 5, "jitter");
        assert_eq!(kept_back(|number| 400 * number), 1, "silence that is hardly sent");
        // 300 ms at once.
        assert_eq!(kept_back(|number| 300_u64.saturating_sub(20 * number)), 15 + 5);
        // A second, in three bursts 80 ms apart.
        let bursts = |number| match number {
            0..7 => 1_000 - 20 * number,
            7..21 => 1_080 - 20 * number,
            21..58 => 1_160 - 20 * number,
            _ => 0,
        };
        assert!((58..64).contains(&kept_back(bursts)), "{}", kept_back(bursts));
        // It never comes at its own pace.
        assert_eq!(kept_back(|number| 4_000 - 10 * number), 200);
    }

    #[test]
    fn nothing_is_kept_back_of_sound_that_goes_on() {
        let mut onset = Onset::default();
        onset.packet(Instant::now(), 960);
        assert!(!onset.catches_up());
    }
}
