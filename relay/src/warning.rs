//! What a streamer should know and can mend, as a stable word for programs and a sentence for people.

use std::fmt;

/// Something is wrong with what a publisher sends, or with how it arrives. The values inside are rounded, so that a warning
/// does not change all the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Warning {
    /// More comes than the channel may send, and the stream will be ended for it.
    BitrateLimit {
        /// What it may send, kilobits per second.
        kbps: u32,
    },
    /// Sound comes, no picture.
    NoVideo,
    /// Pictures come, no sound.
    NoAudio,
    /// Sound comes, and nobody can hear anything in it.
    Silent {
        /// For at least so long, rounded so that it changes seldom.
        seconds: u32,
    },
    /// Video comes without a keyframe that a viewer could begin with.
    NoKeyframe,
    /// So far apart that the newest one could not be kept.
    KeyframesTooFarApart,
    /// Longer than it should be, in seconds.
    KeyframeInterval {
        /// Between the last two keyframes.
        seconds: u32,
    },
    /// Pictures come in another order than they are shown in.
    BFrames,
    /// Some browsers refuse the profile or level.
    Profile {
        /// As in SDP: profile, flags, level.
        profile_level_id: [u8; 3],
    },
    /// The time between pictures keeps changing.
    VariableFrameRate,
    /// The encoder's clock runs at another speed than ours.
    ClockDrift {
        /// Parts per million, rounded to hundreds; positive when the encoder is slow.
        ppm: i32,
    },
    /// Packets are missing for good.
    Loss {
        /// Of a thousand packets, lately.
        per_mille: u32,
    },
    /// This machine dropped packets between ingest and relay.
    Overloaded,
}

impl Warning {
    /// The short stable word.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::BitrateLimit { .. } => "bitrate_limit",
            Self::NoVideo => "no_video",
            Self::NoAudio => "no_audio",
            Self::Silent { .. } => "silent",
            Self::NoKeyframe => "no_keyframe",
            Self::KeyframesTooFarApart => "keyframes_too_far_apart",
            Self::KeyframeInterval { .. } => "keyframe_interval",
            Self::BFrames => "b_frames",
            Self::Profile { .. } => "profile",
            Self::VariableFrameRate => "variable_frame_rate",
            Self::ClockDrift { .. } => "clock_drift",
            Self::Loss { .. } => "uplink_loss",
            Self::Overloaded => "overloaded",
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::BitrateLimit { kbps } => write!(
                f,
                "The encoder sends more than this channel may ({kbps} kbit/s): set a lower bitrate (OBS: Settings, Output), or \
                 the stream will be ended."
            ),
            Self::NoVideo => f.write_str("No picture arrives, only sound."),
            Self::NoAudio => f.write_str("No sound arrives, only the picture."),
            Self::Silent { seconds } => write!(
                f,
                "The sound has been silent for {} or more: see whether the right device is chosen and not muted (OBS: Settings, \
                 Audio; Audio Mixer).",
                match seconds {
                    120.. => format!("{} minutes", seconds / 60),
                    _ => format!("{seconds} seconds"),
                }
            ),
            Self::NoKeyframe => f.write_str(
                "Video arrives, but no keyframe with its parameter sets (SPS and PPS): viewers see nothing until one comes.",
            ),
            Self::KeyframesTooFarApart => f.write_str(
                "Keyframes are too far apart: whoever joins now waits for the next one. Set the encoder's keyframe interval \
                 to 2 seconds.",
            ),
            Self::KeyframeInterval { seconds } => write!(
                f,
                "Keyframes come only every {seconds} seconds: late joiners cost more and settle later. Set the encoder's \
                 keyframe interval to 2 seconds (OBS: Settings, Output, Keyframe Interval)."
            ),
            Self::BFrames => f.write_str(
                "The encoder uses B-frames, which browsers play with stutter: set their number to 0 (OBS: Settings, Output, \
                 B-frames; or the tune \"zerolatency\").",
            ),
            Self::Profile { profile_level_id: [profile, flags, level] } => write!(
                f,
                "The encoder's H.264 profile {profile:02x}{flags:02x}{level:02x} is refused by some browsers (Safari, Firefox): \
                 choose \"main\" or \"high\" and 8-bit 4:2:0 colour (OBS: Settings, Output, Profile; Settings, Advanced, NV12)."
            ),
            Self::VariableFrameRate => f.write_str(
                "The frame rate keeps changing: viewers see it judder. Set a fixed frame rate, and see whether the encoder \
                 or the graphics card is overloaded (OBS: View, Stats).",
            ),
            Self::ClockDrift { ppm } => write!(
                f,
                "The encoder's clock is {} by {} parts per million: the delay of viewers creeps. Check the sample rate of its \
                 audio device, and its system clock.",
                if ppm > 0 { "slow" } else { "fast" },
                ppm.unsigned_abs()
            ),
            Self::Loss { per_mille } => write!(
                f,
                "Packets are lost on the way from the encoder to the server ({}.{} %): lower the bitrate, or use a cable \
                 instead of Wi-Fi.",
                per_mille / 10,
                per_mille % 10
            ),
            Self::Overloaded => f.write_str(
                "This server lost packets between ingest and relay: it is overloaded, or net.core.rmem_max is too small.",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_part_of_the_sentence() {
        for (warning, words) in [
            (Warning::Loss { per_mille: 12 }, "(1.2 %)"),
            (Warning::Silent { seconds: 20 }, "silent for 20 seconds"),
            (Warning::Silent { seconds: 300 }, "silent for 5 minutes"),
            (Warning::ClockDrift { ppm: -400 }, "fast by 400 parts"),
            (Warning::KeyframeInterval { seconds: 8 }, "every 8 seconds"),
            (Warning::Profile { profile_level_id: [0x7a, 0, 0x29] }, "7a0029"),
        ] {
            assert!(warning.to_string().contains(words), "{warning}");
        }
    }
}
