use std::fmt;

use serde::{Deserialize, Serialize};

use super::ClockRate;

/// Picture or sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaKind {
    /// Moving pictures.
    Video,
    /// Sound.
    Audio,
}

impl fmt::Display for MediaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Video => "video",
            Self::Audio => "audio",
        })
    }
}

/// How a track is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// ITU-T H.264, carried as in RFC 6184.
    H264,
    /// ITU-T H.265, carried as in RFC 7798.
    H265,
    /// VP8, carried as in RFC 7741.
    Vp8,
    /// VP9, carried as in RFC 9628.
    Vp9,
    /// AV1, carried as in the RTP Payload Format for AV1.
    Av1,
    /// Opus, RFC 6716, carried as in RFC 7587.
    Opus,
}

impl Codec {
    /// Picture or sound.
    #[must_use]
    pub const fn kind(self) -> MediaKind {
        match self {
            Self::H264 | Self::H265 | Self::Vp8 | Self::Vp9 | Self::Av1 => MediaKind::Video,
            Self::Opus => MediaKind::Audio,
        }
    }

    /// The word that programs know it by, the same as in its serialised form: `h264`, `opus`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::H265 => "h265",
            Self::Vp8 => "vp8",
            Self::Vp9 => "vp9",
            Self::Av1 => "av1",
            Self::Opus => "opus",
        }
    }

    /// The clock of its RTP timestamps.
    #[must_use]
    pub const fn clock_rate(self) -> ClockRate {
        match self {
            Self::H264 | Self::H265 | Self::Vp8 | Self::Vp9 | Self::Av1 => ClockRate::VIDEO,
            Self::Opus => ClockRate::OPUS,
        }
    }
}

impl fmt::Display for Codec {
    /// The name people know: `H.264`, `Opus`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::H264 => "H.264",
            Self::H265 => "H.265",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::Av1 => "AV1",
            Self::Opus => "Opus",
        })
    }
}
