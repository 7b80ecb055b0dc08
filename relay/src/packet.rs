//! One media packet as it lies in the rings: immutable, refcounted, already on the stream's own numbering.

use std::{fmt, time::Instant};

use bytes::Bytes;
use heliograph_media::{MediaKind, SeqNo};

/// A live stream, for as long as it lives; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct StreamId(pub u64);

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which track of a stream: one picture, in up to four layers, and one sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Track {
    /// The picture; in a simulcast the layer that was announced first, which need not be the best.
    Video,
    /// The sound.
    Audio,
    /// A layer of the picture (RFC 8853).
    SecondLayer,
    /// A layer of the picture.
    ThirdLayer,
    /// A layer of the picture.
    FourthLayer,
}

impl Track {
    /// How many there are.
    pub const COUNT: usize = 5;

    /// All, in the order of [`Track::index`].
    pub const ALL: [Self; Self::COUNT] =
        [Self::Video, Self::Audio, Self::SecondLayer, Self::ThirdLayer, Self::FourthLayer];

    /// Those of the picture, in the order in which they are announced.
    pub const LAYERS: [Self; 4] = [Self::Video, Self::SecondLayer, Self::ThirdLayer, Self::FourthLayer];

    /// Place in arrays that have one entry per track.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether it is the picture or a layer of it.
    #[must_use]
    pub const fn is_video(self) -> bool {
        !matches!(self, Self::Audio)
    }

    /// Picture or sound.
    #[must_use]
    pub const fn kind(self) -> MediaKind {
        if self.is_video() { MediaKind::Video } else { MediaKind::Audio }
    }
}

impl fmt::Display for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind().fmt(f)
    }
}

/// What a decoder needs to start, as far as it begins in one packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StartParts(u8);

impl StartParts {
    /// Nothing of the kind.
    pub const NONE: Self = Self(0);
    /// A sequence parameter set.
    pub const SEQUENCE_PARAMETERS: Self = Self(1);
    /// A picture parameter set.
    pub const PICTURE_PARAMETERS: Self = Self(2);
    /// The beginning of a picture that refers to no other (H.264: IDR).
    pub const KEY_PICTURE: Self = Self(4);
    /// All of the above: a decoder can start here.
    pub const ALL: Self = Self(7);

    /// Both sets together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether everything in `other` is here.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Nothing in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// One packet of a track. Numbers and timestamps are those of the stream, which go on without a break when
/// the publisher restarts; viewers number again on their own.
#[derive(Clone, Debug)]
pub struct Packet {
    /// Place in the track.
    pub seq: SeqNo,
    /// On the stream's timeline, in ticks of the track's clock; a packet carries the low 32 bits.
    pub timestamp: u64,
    /// RTP marker: the last packet of a picture.
    pub marker: bool,
    /// First packet of its access unit, as far as the inlet could tell when it came.
    pub frame_start: bool,
    /// First packet of an access unit and opening with a sequence parameter set: a keyframe follows, as far
    /// as anyone can tell so early. [`TrackRing::newest_keyframe`](crate::TrackRing::newest_keyframe) knows
    /// for sure.
    pub keyframe_start: bool,
    /// What a decoder needs to start, as far as it begins here.
    pub parts: StartParts,
    /// When the relay took it from the socket.
    pub arrival: Instant,
    /// RTP payload, without header, extensions and padding.
    pub payload: Bytes,
}
