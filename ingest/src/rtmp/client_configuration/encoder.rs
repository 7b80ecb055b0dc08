//! Encoders of OBS for H.264, by their names there, and their settings: constant bitrate, no B-frames, little delay.

use serde_json::{Value, json};

use super::messages::Settings;

/// One that OBS has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoder {
    Nvenc,
    Amf,
    QuickSync,
    VideoToolbox,
    X264,
}

impl Encoder {
    /// The best of those that OBS says it has; x264 is in every one.
    pub(super) fn among(supported: &[String]) -> Self {
        let hardware = [Self::Nvenc, Self::Amf, Self::QuickSync, Self::VideoToolbox];
        let is_there = |encoder: &Self| supported.iter().any(|name| name == encoder.id());
        hardware.into_iter().find(is_there).unwrap_or(Self::X264)
    }

    /// What OBS calls it.
    pub(super) const fn id(self) -> &'static str {
        match self {
            Self::Nvenc => "obs_nvenc_h264_tex",
            Self::Amf => "h264_texture_amf",
            Self::QuickSync => "obs_qsv11_v2",
            Self::VideoToolbox => "com.apple.videotoolbox.videoencoder.ave.avc",
            Self::X264 => "obs_x264",
        }
    }

    pub(super) fn is_hardware(self) -> bool {
        self != Self::X264
    }

    /// Its settings in OBS.
    pub(super) fn settings(self, kbps: u32, keyframe_interval_s: u32) -> Settings {
        let own = match self {
            Self::Nvenc => json!({"bf": 0, "preset": "p5", "tune": "ll", "lookahead": false}),
            Self::Amf => json!({"bf": 0, "preset": "quality"}),
            Self::QuickSync => json!({"bframes": 0, "latency": "low"}),
            Self::VideoToolbox => json!({"bframes": false}),
            Self::X264 => json!({"preset": "veryfast", "tune": "zerolatency", "x264opts": "bframes=0"}),
        };
        let of_all = json!({
            "rate_control": "CBR", "bitrate": kbps, "keyint_sec": keyframe_interval_s, "profile": "main"
        });
        let maps = [of_all, own].into_iter().filter_map(|settings| match settings {
            Value::Object(map) => Some(map),
            _ => None,
        });
        maps.flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_where_obs_says_that_it_has_it() {
        let among =
            |names: &[&str]| Encoder::among(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        assert_eq!(among(&[]), Encoder::X264);
        assert_eq!(among(&["obs_x264", "obs_nvenc_av1_tex"]), Encoder::X264);
        assert_eq!(among(&["obs_qsv11_v2", "h264_texture_amf"]), Encoder::Amf);
        for encoder in
            [Encoder::Nvenc, Encoder::Amf, Encoder::QuickSync, Encoder::VideoToolbox, Encoder::X264]
        {
            let settings = encoder.settings(2_500, 2);
            assert_eq!((&settings["bitrate"], &settings["rate_control"]), (&json!(2_500), &json!("CBR")));
        }
    }
}
