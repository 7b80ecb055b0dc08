//! Which layers of a simulcast flow, and which of them is the best.
//!
//! The order in which a publisher announces its layers says little (browsers begin with the smallest unless told
//! otherwise), so the pictures themselves decide. A publisher short of bandwidth or of processor time stops its large
//! layers without a word.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::Track;

/// A layer of which nothing came for so long while others went on is not there any more.
const STOPPED: Duration = Duration::from_secs(1);

/// Width and height in pixels.
type Size = (u32, u32);

/// The layers of one stream.
#[derive(Debug)]
pub(super) struct Layers {
    /// Those that flow, best first.
    flowing: Arc<[Track]>,
    /// Those whose pictures have been seen, best first.
    all: Vec<Track>,
    /// When the newest packet of any of them came.
    newest: Option<Instant>,
    /// When the stream went on after a silence of all of them: they do not come back in the same instant.
    resumed: Option<Instant>,
}

impl Default for Layers {
    fn default() -> Self {
        Self { flowing: Arc::new([Track::Video]), all: Vec::new(), newest: None, resumed: None }
    }
}

impl Layers {
    /// Takes in what is known of each of [`Track::LAYERS`]: the size of its pictures and when its newest packet came.
    /// Returns those that flow, best first, when that is news.
    pub(super) fn rank(&mut self, now: Instant, seen: [Option<(Size, Instant)>; 4]) -> Option<Arc<[Track]>> {
        let mut ranked: Vec<(u64, Instant, Track)> = Vec::with_capacity(seen.len());
        for (track, seen) in Track::LAYERS.into_iter().zip(seen) {
            if let Some(((width, height), heard)) = seen {
                ranked.push((u64::from(width) * u64::from(height), heard, track));
            }
        }
        // Among equals the order of the announcement stays.
        ranked.sort_by_key(|(pixels, ..)| std::cmp::Reverse(*pixels));
        self.all.clear();
        self.all.extend(ranked.iter().map(|(.., track)| *track));
        let newest = ranked.iter().map(|(_, heard, _)| *heard).max()?;
        // While nothing comes at all, the stream is away and every layer waits.
        let newest = newest.min(now);
        if self
            .newest
            .replace(newest)
            .is_some_and(|before| newest.saturating_duration_since(before) >= STOPPED / 2)
        {
            self.resumed = Some(newest);
        }
        let resumed = self.resumed;
        let flows = |heard: Instant| {
            let heard = resumed.map_or(heard, |resumed| heard.max(resumed));
            newest.saturating_duration_since(heard) < STOPPED
        };
        let flowing = || ranked.iter().filter(|(_, heard, _)| flows(*heard)).map(|(.., track)| *track);
        if flowing().eq(self.flowing.iter().copied()) {
            return None;
        }
        self.flowing = flowing().collect();
        Some(Arc::clone(&self.flowing))
    }

    /// The best one that flows.
    pub(super) fn best(&self) -> Track {
        self.flowing.first().copied().unwrap_or(Track::Video)
    }

    /// All whose pictures have been seen, best first, when there are several.
    pub(super) fn all(&self) -> &[Track] {
        if self.all.len() > 1 { &self.all } else { &[] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_decides_and_silence_counts() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut layers = Layers::default();
        assert_eq!(layers.rank(at(0), [None; 4]), None);
        assert_eq!(layers.best(), Track::Video);
        // One picture without layers is no news.
        assert_eq!(layers.rank(at(0), [Some(((320, 180), at(0))), None, None, None]), None);
        assert!(layers.all().is_empty());
        let three = |first, third| {
            [
                Some(((320, 180), at(first))),
                Some(((640, 360), at(first))),
                Some(((1280, 720), at(third))),
                None,
            ]
        };
        let best_first = [Track::ThirdLayer, Track::SecondLayer, Track::Video];
        assert_eq!(layers.rank(at(20), three(10, 20)).as_deref(), Some(&best_first[..]));
        assert_eq!(layers.rank(at(30), three(30, 20)), None);
        // The largest one stops, and comes again.
        for time in [300, 600, 900] {
            assert_eq!(layers.rank(at(time), three(time, 20)), None);
        }
        assert_eq!(layers.rank(at(1_020), three(1_020, 20)).as_deref(), Some(&best_first[1..]));
        assert_eq!((layers.best(), layers.all()), (Track::SecondLayer, &best_first[..]));
        assert_eq!(layers.rank(at(1_030), three(1_020, 1_030)).as_deref(), Some(&best_first[..]));
        // All stop, and go on one after the other; then the largest does not.
        assert_eq!(layers.rank(at(9_000), three(1_020, 1_030)), None);
        assert_eq!(layers.rank(at(9_100), three(9_100, 1_030)), None);
        assert_eq!(layers.rank(at(9_500), three(9_500, 1_030)), None);
        assert_eq!(layers.rank(at(9_900), three(9_900, 1_030)), None);
        assert_eq!(layers.rank(at(10_200), three(10_200, 1_030)).as_deref(), Some(&best_first[1..]));
    }
}
