//! What the streamer should know, from what is known of the stream.

use std::time::{Duration, Instant};

use heliograph_media::Bitrate;

use crate::Warning;

/// What is known about a stream's health at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Symptoms {
    /// Both media are expected and at least one came, first at this moment.
    pub(super) media_since: Option<Instant>,
    /// Newest video, held back or not; `None` when no video is expected.
    pub(super) video: Option<Option<Instant>>,
    /// Newest audio; `None` when no audio is expected.
    pub(super) audio: Option<Option<Instant>>,
    /// Sound comes, and nothing can be heard in it since this moment.
    pub(super) silent_since: Option<Instant>,
    /// Video comes but waits for its first keyframe, since this moment.
    pub(super) held_since: Option<Instant>,
    /// When the newest keyframe came.
    pub(super) keyframe: Option<Instant>,
    /// Bytes since then.
    pub(super) run_bytes: usize,
    /// Between the last two keyframes.
    pub(super) keyframe_interval: Option<Duration>,
    /// Pictures can come out of order.
    pub(super) b_frames: bool,
    /// Of the H.264 stream, as in SDP.
    pub(super) profile_level_id: Option<[u8; 3]>,
    /// The time between pictures keeps changing.
    pub(super) unsteady: bool,
    /// How much slower than ours the encoder's clock runs.
    pub(super) drift_ppm: Option<i32>,
    /// Packets lost for good in the last seconds, of a thousand.
    pub(super) loss_per_mille: u32,
    /// What the channel may send, while its publisher sends more.
    pub(super) over_limit: Option<Bitrate>,
    /// The kernel dropped datagrams of this stream for want of room in the last half minute.
    pub(super) kernel_drops: bool,
}

/// How long a medium may be missing before it is worth a word.
const MISSING: Duration = Duration::from_secs(3);
/// So long nothing is heard before it is worth a word, and the figures in it: rounded down to them, it changes seldom.
const SILENT_S: [u32; 6] = [20, 60, 120, 300, 600, 1_800];
/// Longer key intervals cost late joiners time.
const KEYFRAME_INTERVAL: Duration = Duration::from_secs(4);
/// Rounding and a late picture do not make an interval longer than it should be.
const KEYFRAME_SLACK: Duration = Duration::from_millis(300);
/// Crystals differ by up to 100 ppm; at 300 a viewer's delay creeps by a second an hour.
const DRIFT_PPM: u32 = 300;
/// Lost for good, of a thousand.
const LOSS_PER_MILLE: u32 = 3;

impl Symptoms {
    /// What to tell, most urgent first.
    pub(super) fn warnings(&self, now: Instant, run_max: Duration, run_bytes_max: usize) -> Vec<Warning> {
        let older = |moment: Option<Instant>, than: Duration| {
            moment.is_none_or(|moment| now.saturating_duration_since(moment) >= than)
        };
        let mut warnings = Vec::new();
        if let Some(limit) = self.over_limit {
            let kbps = u32::try_from(limit.as_bps() / 1_000).unwrap_or(u32::MAX);
            warnings.push(Warning::BitrateLimit { kbps });
        }
        if self.media_since.is_some_and(|since| now.saturating_duration_since(since) >= MISSING) {
            if self.video.is_some_and(|newest| older(newest, MISSING)) {
                warnings.push(Warning::NoVideo);
            }
            if self.audio.is_some_and(|newest| older(newest, MISSING)) {
                warnings.push(Warning::NoAudio);
            }
        }
        if let Some(since) = self.silent_since {
            let silent = now.saturating_duration_since(since).as_secs();
            let seconds = SILENT_S.into_iter().rev().find(|&seconds| u64::from(seconds) <= silent);
            warnings.extend(seconds.map(|seconds| Warning::Silent { seconds }));
        }
        if self.held_since.is_some_and(|since| now.saturating_duration_since(since) >= MISSING) {
            warnings.push(Warning::NoKeyframe);
        } else if self.keyframe.is_some_and(|keyframe| now.saturating_duration_since(keyframe) > run_max)
            || self.run_bytes > run_bytes_max
        {
            warnings.push(Warning::KeyframesTooFarApart);
        } else if let Some(interval) = self.keyframe_interval
            && interval > KEYFRAME_INTERVAL + KEYFRAME_SLACK
        {
            let seconds =
                u32::try_from((interval + Duration::from_millis(500)).as_secs()).unwrap_or(u32::MAX);
            warnings.push(Warning::KeyframeInterval { seconds });
        }
        if self.b_frames {
            warnings.push(Warning::BFrames);
        }
        if let Some(profile_level_id) = self.profile_level_id
            && !plays_everywhere(profile_level_id)
        {
            warnings.push(Warning::Profile { profile_level_id });
        }
        if self.unsteady {
            warnings.push(Warning::VariableFrameRate);
        }
        if let Some(ppm) = self.drift_ppm
            && ppm.unsigned_abs() >= DRIFT_PPM
        {
            warnings.push(Warning::ClockDrift { ppm: ppm.saturating_add(50 * ppm.signum()) / 100 * 100 });
        }
        if self.loss_per_mille >= LOSS_PER_MILLE {
            warnings.push(Warning::Loss { per_mille: self.loss_per_mille });
        }
        if self.kernel_drops {
            warnings.push(Warning::Overloaded);
        }
        warnings
    }
}

/// Baseline, Main and High up to level 5.2: what every browser with H.264 decodes (8 bits, 4:2:0).
fn plays_everywhere([profile, _, level]: [u8; 3]) -> bool {
    matches!(profile, 66 | 77 | 100) && level <= 52
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(symptoms: Symptoms, at: Instant, expected: &[Warning]) {
        assert_eq!(symptoms.warnings(at, Duration::from_secs(20), 32 << 20), expected);
    }

    #[test]
    fn every_symptom_has_its_word() {
        let t = Instant::now() + Duration::from_secs(100_000);
        let now = t + Duration::from_secs(30);
        let well = Symptoms {
            media_since: Some(t),
            video: Some(Some(now)),
            audio: Some(Some(now)),
            keyframe: Some(now),
            keyframe_interval: Some(Duration::from_millis(4_200)),
            profile_level_id: Some([0x4d, 0x40, 0x1f]),
            drift_ppm: Some(-120),
            loss_per_mille: 2,
            ..Symptoms::default()
        };
        let every = |seconds| Some(Duration::from_secs_f64(seconds));
        check(well, now, &[]);
        check(Symptoms::default(), now, &[]);
        check(Symptoms { audio: Some(None), ..well }, now, &[Warning::NoAudio]);
        check(Symptoms { audio: None, ..well }, now, &[]);
        check(Symptoms { audio: Some(None), media_since: Some(now), ..well }, now, &[]);
        let silent = |seconds| Symptoms { silent_since: Some(now - Duration::from_secs(seconds)), ..well };
        check(silent(19), now, &[]);
        check(silent(59), now, &[Warning::Silent { seconds: 20 }]);
        check(silent(86_400), now, &[Warning::Silent { seconds: 1_800 }]);
        check(Symptoms { video: Some(Some(t)), ..well }, now, &[Warning::NoVideo]);
        check(Symptoms { keyframe: Some(t), ..well }, now, &[Warning::KeyframesTooFarApart]);
        check(Symptoms { run_bytes: 33 << 20, ..well }, now, &[Warning::KeyframesTooFarApart]);
        check(Symptoms { held_since: Some(t), keyframe: None, ..well }, now, &[Warning::NoKeyframe]);
        let long = Symptoms { keyframe_interval: every(8.33), ..well };
        check(long, now, &[Warning::KeyframeInterval { seconds: 8 }]);
        let both = Symptoms { b_frames: true, kernel_drops: true, ..well };
        check(both, now, &[Warning::BFrames, Warning::Overloaded]);
        check(Symptoms { unsteady: true, ..well }, now, &[Warning::VariableFrameRate]);
        check(Symptoms { drift_ppm: Some(-449), ..well }, now, &[Warning::ClockDrift { ppm: -400 }]);
        check(Symptoms { drift_ppm: Some(451), ..well }, now, &[Warning::ClockDrift { ppm: 500 }]);
        check(Symptoms { loss_per_mille: 12, ..well }, now, &[Warning::Loss { per_mille: 12 }]);
        let over = Symptoms { over_limit: Some(Bitrate::kbps(8_000)), ..well };
        check(over, now, &[Warning::BitrateLimit { kbps: 8_000 }]);
        for profile in [[0x6e, 0, 0x1f], [0x7a, 0, 0x1f], [0xf4, 0, 0x1f], [0x64, 0, 0x3c]] {
            let refused = Symptoms { profile_level_id: Some(profile), ..well };
            check(refused, now, &[Warning::Profile { profile_level_id: profile }]);
        }
    }
}
