//! What the streamer should know, in plain sentences.

use std::time::{Duration, Instant};

/// What is known about a stream's health at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Symptoms {
    /// Both media are expected and at least one came, first at this moment.
    pub(super) media_since: Option<Instant>,
    /// Newest video, held back or not; `None` when no video is expected.
    pub(super) video: Option<Option<Instant>>,
    /// Newest audio; `None` when no audio is expected.
    pub(super) audio: Option<Option<Instant>>,
    /// Video comes but waits for its first keyframe, since this moment.
    pub(super) held_since: Option<Instant>,
    /// When the newest keyframe came.
    pub(super) keyframe: Option<Instant>,
    /// Bytes since then.
    pub(super) run_bytes: usize,
    /// Pictures can come out of order.
    pub(super) b_frames: bool,
    /// The kernel dropped datagrams of this stream for want of room in the last half minute.
    pub(super) kernel_drops: bool,
}

/// How long a medium may be missing before it is worth a word.
const MISSING: Duration = Duration::from_secs(3);

impl Symptoms {
    /// The sentences, most urgent first.
    pub(super) fn sentences(&self, now: Instant, run_max: Duration, run_bytes_max: usize) -> Vec<String> {
        let older = |moment: Option<Instant>, than: Duration| {
            moment.is_none_or(|moment| now.saturating_duration_since(moment) >= than)
        };
        let mut sentences = Vec::new();
        let mut say = |sentence: &str| sentences.push(sentence.to_owned());
        if self.media_since.is_some_and(|since| now.saturating_duration_since(since) >= MISSING) {
            if self.video.is_some_and(|newest| older(newest, MISSING)) {
                say("No picture arrives, only sound.");
            }
            if self.audio.is_some_and(|newest| older(newest, MISSING)) {
                say("No sound arrives, only the picture.");
            }
        }
        if self.held_since.is_some_and(|since| now.saturating_duration_since(since) >= MISSING) {
            say(
                "Video arrives, but no keyframe with its parameter sets (SPS and PPS): viewers see nothing until one comes.",
            );
        } else if self.keyframe.is_some_and(|keyframe| now.saturating_duration_since(keyframe) > run_max)
            || self.run_bytes > run_bytes_max
        {
            say(
                "Keyframes are too far apart: whoever joins now waits for the next one. Set the encoder's keyframe interval to 2 seconds.",
            );
        }
        if self.b_frames {
            say("The encoder uses B-frames, which browsers play with stutter: set their number to 0.");
        }
        if self.kernel_drops {
            say(
                "This server lost packets between ingest and relay: it is overloaded, or net.core.rmem_max is too small.",
            );
        }
        sentences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(symptoms: Symptoms, at: Instant, words: &[&str]) {
        let sentences = symptoms.sentences(at, Duration::from_secs(20), 32 << 20);
        assert_eq!(sentences.len(), words.len(), "{sentences:?}");
        for (sentence, word) in sentences.iter().zip(words) {
            assert!(sentence.contains(word), "{sentence}");
        }
    }

    #[test]
    fn sentences() {
        let t = Instant::now();
        let now = t + Duration::from_secs(30);
        let well = Symptoms {
            media_since: Some(t),
            video: Some(Some(now)),
            audio: Some(Some(now)),
            keyframe: Some(now),
            ..Symptoms::default()
        };
        check(well, now, &[]);
        check(Symptoms::default(), now, &[]);
        check(Symptoms { audio: Some(None), ..well }, now, &["No sound"]);
        check(Symptoms { audio: None, ..well }, now, &[]);
        check(Symptoms { audio: Some(None), media_since: Some(now), ..well }, now, &[]);
        check(Symptoms { video: Some(Some(t)), ..well }, now, &["No picture"]);
        check(Symptoms { keyframe: Some(t), ..well }, now, &["2 seconds"]);
        check(Symptoms { run_bytes: 33 << 20, ..well }, now, &["2 seconds"]);
        check(Symptoms { held_since: Some(t), keyframe: None, ..well }, now, &["SPS"]);
        check(Symptoms { b_frames: true, kernel_drops: true, ..well }, now, &["B-frames", "lost packets"]);
    }
}
