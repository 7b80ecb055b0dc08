//! How late viewers see a stream, as their pages tell: one newest figure a viewer, kept as counts in classes of
//! delay, so that a stream needs the same room for ten viewers and for ten thousand.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use crate::stream::LiveStream;

/// The first class ends here; nobody sees a picture sooner.
const SHORTEST_MS: f64 = 10.0;
/// Each further class is longer by so much, so a percentile is right within half of it.
const STEP: f64 = 1.05;
/// The last class begins above a minute.
const CLASSES: usize = 180;

/// How late the viewers of a stream see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ViewerDelays {
    /// Viewers whose page tells; foreign players have no way to.
    pub viewers: u32,
    /// Half of them are later; `None` while nobody tells.
    pub p50: Option<Duration>,
    /// One of twenty is later.
    pub p95: Option<Duration>,
}

/// How many viewers are how late now.
#[derive(Debug)]
pub(crate) struct Delays([AtomicU32; CLASSES]);

impl Default for Delays {
    fn default() -> Self {
        Self([const { AtomicU32::new(0) }; CLASSES])
    }
}

impl Delays {
    pub(crate) fn snapshot(&self) -> ViewerDelays {
        // Whoever moves to another class meanwhile may count twice, or not at all: it is a figure for people.
        let counts = self.0.each_ref().map(|count| count.load(Ordering::Relaxed));
        let viewers = counts.iter().sum();
        let percentile = |percent: u32| {
            let rank = (u64::from(viewers) * u64::from(percent)).div_ceil(100).max(1);
            let mut below = 0;
            let class = counts.iter().position(|&count| {
                below += u64::from(count);
                below >= rank
            })?;
            Some(middle(class))
        };
        ViewerDelays { viewers, p50: percentile(50), p95: percentile(95) }
    }
}

/// A viewer's newest figure; it counts until it is dropped.
#[derive(Debug)]
pub(crate) struct ReportedDelay {
    stream: Arc<LiveStream>,
    class: usize,
}

impl ReportedDelay {
    pub(crate) fn new(stream: Arc<LiveStream>, delay: Duration) -> Self {
        let class = class(delay);
        stream.delays.0[class].fetch_add(1, Ordering::Relaxed);
        Self { stream, class }
    }
}

impl Drop for ReportedDelay {
    fn drop(&mut self) {
        self.stream.delays.0[self.class].fetch_sub(1, Ordering::Relaxed);
    }
}

fn class(delay: Duration) -> usize {
    let steps = (delay.as_secs_f64() * 1_000.0 / SHORTEST_MS).max(1.0).log(STEP);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to some hundreds")]
    let class = steps as usize;
    class.min(CLASSES - 1)
}

fn middle(class: usize) -> Duration {
    #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
    let steps = class as f64 + 0.5;
    Duration::from_secs_f64(SHORTEST_MS / 1_000.0 * STEP.powf(steps))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::StreamId;

    fn stream() -> Arc<LiveStream> {
        Arc::new(LiveStream::new(StreamId(1), 24_000, false, None, None, Vec::new()))
    }

    fn close(found: Option<Duration>, wanted_ms: f64) -> bool {
        (found.unwrap().as_secs_f64() * 1_000.0 / wanted_ms - 1.0).abs() <= 0.03
    }

    #[test]
    fn percentiles_of_those_who_watch_now() {
        let stream = stream();
        assert_eq!(stream.delays.snapshot(), ViewerDelays::default());
        let told: Vec<_> = (1..=100)
            .map(|number| ReportedDelay::new(Arc::clone(&stream), Duration::from_millis(number * 10)))
            .collect();
        let all = stream.delays.snapshot();
        assert_eq!(all.viewers, 100);
        assert!(close(all.p50, 500.0) && close(all.p95, 950.0), "{all:?}");
        let left: Vec<_> = told.into_iter().take(10).collect();
        let few = stream.delays.snapshot();
        assert_eq!(few.viewers, 10);
        assert!(close(few.p50, 50.0) && close(few.p95, 100.0), "{few:?}");
        drop(left);
        assert_eq!(stream.delays.snapshot(), ViewerDelays::default());
    }

    #[test]
    fn every_delay_has_a_class() {
        for (milliseconds, lowest, highest) in
            [(0, 9.9, 10.6), (60_000, 57_000.0, 65_000.0), (u64::MAX, 60_000.0, 70_000.0)]
        {
            let found = middle(class(Duration::from_millis(milliseconds))).as_secs_f64() * 1_000.0;
            assert!((lowest..highest).contains(&found), "{milliseconds}: {found}");
        }
    }
}
