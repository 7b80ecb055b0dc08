//! Viewers whose browsers cannot decode what is sent: the streamer should know how many.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use heliograph_media::MediaKind;

use crate::{Track, stream::LiveStream};

/// How many viewers of a stream cannot decode it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Unplayable {
    /// They hear the sound now, and see nothing.
    pub without_picture: u32,
    /// They see the picture now, and hear nothing.
    pub without_sound: u32,
    /// So often somebody could decode nothing at all and was turned away, since the stream began.
    pub turned_away: u32,
}

/// The counters behind it.
#[derive(Debug, Default)]
pub(crate) struct UnplayableCounts {
    without: [AtomicU32; 2],
    turned_away: AtomicU32,
}

impl UnplayableCounts {
    pub(crate) fn turned_away(&self) {
        self.turned_away.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> Unplayable {
        let without = |track: Track| self.without[track.index()].load(Ordering::Relaxed);
        Unplayable {
            without_picture: without(Track::Video),
            without_sound: without(Track::Audio),
            turned_away: self.turned_away.load(Ordering::Relaxed),
        }
    }
}

/// A viewer that goes without a medium; it counts until it is dropped.
#[derive(Debug)]
pub(crate) struct GoesWithout {
    stream: Arc<LiveStream>,
    track: Track,
}

impl GoesWithout {
    pub(crate) fn new(stream: Arc<LiveStream>, kind: MediaKind) -> Self {
        let track = match kind {
            MediaKind::Video => Track::Video,
            MediaKind::Audio => Track::Audio,
        };
        stream.unplayable.without[track.index()].fetch_add(1, Ordering::Relaxed);
        Self { stream, track }
    }
}

impl Drop for GoesWithout {
    fn drop(&mut self) {
        self.stream.unplayable.without[self.track.index()].fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StreamId;

    #[test]
    fn who_stays_counts_while_he_stays_and_who_goes_for_good() {
        let stream = Arc::new(LiveStream::new(StreamId(1), 24_000, false, None, None, Vec::new()));
        let without = |kind| GoesWithout::new(Arc::clone(&stream), kind);
        let (first, second, third) =
            (without(MediaKind::Video), without(MediaKind::Video), without(MediaKind::Audio));
        stream.unplayable.turned_away();
        let all = Unplayable { without_picture: 2, without_sound: 1, turned_away: 1 };
        assert_eq!(stream.unplayable.snapshot(), all);
        drop((first, second, third));
        assert_eq!(stream.unplayable.snapshot(), Unplayable { turned_away: 1, ..Unplayable::default() });
    }
}
