//! How loud a stream is, as told by a reader that decodes some of it: the relay itself never looks into sound.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// A level that is older says nothing about now.
const FRESH: Duration = Duration::from_secs(3);

/// How loud the sound that viewers get is.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct SoundLevel {
    /// The highest sample of the last second, in decibels of full scale: 0 at most, silence is -127.
    pub peak_dbfs: f32,
    /// The mean power of the last second, on the same scale.
    pub rms_dbfs: f32,
    /// Nothing could be heard since so long; zero while there is sound.
    pub silent_for: Duration,
}

/// The newest level of a stream.
#[derive(Debug, Default)]
pub(crate) struct Sound(Mutex<Option<(Instant, SoundLevel)>>);

impl Sound {
    pub(crate) fn note(&self, now: Instant, level: SoundLevel) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, level));
    }

    /// `None` when nobody has told for some seconds.
    pub(crate) fn level(&self, now: Instant) -> Option<SoundLevel> {
        let newest = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        newest.filter(|(at, _)| now.saturating_duration_since(*at) < FRESH).map(|(_, level)| level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_forgotten_when_nobody_renews_it() {
        let sound = Sound::default();
        let now = Instant::now();
        assert_eq!(sound.level(now), None);
        let level = SoundLevel { peak_dbfs: -6.0, rms_dbfs: -20.0, silent_for: Duration::ZERO };
        sound.note(now, level);
        assert_eq!(sound.level(now + Duration::from_secs(2)), Some(level));
        assert_eq!(sound.level(now + FRESH), None);
    }
}
