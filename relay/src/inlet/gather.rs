//! Whether to wait a moment for the rest of a picture before the readers hear of its beginning.
//!
//! A picture's packets come microseconds apart from an encoder on the same machine or a fast network, and whoever
//! empties the socket as soon as the first one is there finds just that one. Its fan-out then costs every viewer
//! a message of one packet and another message for the rest. A few microseconds of patience make that one
//! message. Where packets come further apart the patience is in vain, so it is tried ever more rarely.

use std::time::{Duration, Instant};

/// Patience after the last packet that came.
const PATIENCE: Duration = Duration::from_micros(40);
/// For one picture in all: a keyframe takes longer to come, and its first part may go out meanwhile.
const LIMIT: Duration = Duration::from_micros(300);
/// Pictures that are not waited for after waiting was in vain again and again; twice as many each time.
const MOST_SKIPPED: u32 = 64;

/// One stream's patience.
#[derive(Debug, Default)]
pub(super) struct Gather {
    /// Pictures not to wait for.
    skip: u32,
    /// How many are skipped the next time.
    next_skip: u32,
    wait: Option<Wait>,
}

#[derive(Debug)]
struct Wait {
    since: Instant,
    /// When something came last.
    heard: Instant,
    fruitful: bool,
}

impl Gather {
    /// Whether to look again before the readers are told. `mid_picture`: the newest packet is not the last of its
    /// picture; `came`: something came since the last call.
    pub(super) fn goes_on(&mut self, now: Instant, mid_picture: bool, came: bool) -> bool {
        let Some(wait) = &mut self.wait else {
            if !mid_picture {
                return false;
            }
            if self.skip > 0 {
                self.skip -= 1;
                return false;
            }
            self.wait = Some(Wait { since: now, heard: now, fruitful: false });
            return true;
        };
        if came {
            (wait.heard, wait.fruitful) = (now, true);
        }
        let waits = mid_picture
            && now.saturating_duration_since(wait.heard) < PATIENCE
            && now.saturating_duration_since(wait.since) < LIMIT;
        if !waits {
            if wait.fruitful {
                self.next_skip = 1;
            } else {
                self.skip = self.next_skip;
                self.next_skip = (self.next_skip * 2).clamp(1, MOST_SKIPPED);
            }
            self.wait = None;
        }
        waits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_micros(5);

    /// Looks every few microseconds; packets of a picture come `apart`. How long a picture of `packets` waits.
    fn picture(gather: &mut Gather, start: Instant, packets: u32, apart: Duration) -> Duration {
        let mut now = start;
        let mut seen = 1;
        let mut came = true;
        while gather.goes_on(now, seen < packets, came) {
            now += STEP;
            let there = 1 + (now - start).as_micros() / apart.as_micros().max(1);
            let there = u32::try_from(there).unwrap_or(packets).min(packets);
            came = there > seen;
            seen = there;
        }
        now - start
    }

    #[test]
    fn a_burst_is_waited_for_and_no_longer() {
        let start = Instant::now();
        let mut gather = Gather::default();
        let burst = Duration::from_micros(3);
        for number in 0..100 {
            let waited = picture(&mut gather, start + Duration::from_millis(33) * number, 9, burst);
            assert!((20..=40).contains(&waited.as_micros()), "picture {number}: {waited:?}");
        }
        assert!(
            picture(&mut gather, start + Duration::from_secs(9), 90, burst) <= LIMIT + STEP,
            "a keyframe"
        );
        assert_eq!(picture(&mut gather, start + Duration::from_secs(10), 1, burst), Duration::ZERO);
    }

    #[test]
    fn waiting_in_vain_becomes_rare_and_pays_again_at_once() {
        let start = Instant::now();
        let mut gather = Gather::default();
        let far = Duration::from_millis(1);
        let waited: Vec<bool> = (0..1_000)
            .map(|n| picture(&mut gather, start + Duration::from_millis(33) * n, 9, far) > Duration::ZERO)
            .collect();
        assert!(waited.iter().filter(|&&waits| waits).count() < 25, "{waited:?}");
        let begin = start + Duration::from_secs(100);
        let near: Vec<bool> = (0..100)
            .map(|n| picture(&mut gather, begin + Duration::from_millis(33) * n, 9, STEP) > Duration::ZERO)
            .collect();
        assert!(near.iter().skip(65).all(|&waits| waits), "{near:?}");
    }
}
