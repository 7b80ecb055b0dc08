//! Streams of our own: RTP on loopback as an ingest sends it, each packet stamped, each frame in a table that viewers look
//! up.

mod sender;
mod shape;

use std::sync::Arc;

pub(crate) use self::sender::{Outlet, Publisher, PublisherFigures};
pub use self::{
    sender::{PICTURE, SOUND, SOUND_TIME},
    shape::{FULL, Shape},
};
use crate::timeline::Timeline;

/// Pictures per second.
pub(crate) const PICTURES_PER_SECOND: u32 = 30;
/// Ticks of the video clock (90 kHz) per picture.
const PICTURE_TICKS: u32 = 90_000 / PICTURES_PER_SECOND;
/// Ticks of the audio clock (48 kHz) per packet: 20 ms.
const SOUND_TICKS: u32 = 960;
/// Where the stamp begins in a fragment of a picture: after FU indicator, FU header and the beginning of the slice.
pub(crate) const STAMP_IN_VIDEO: usize = 3;
/// Where the stamp begins in a sound: after the TOC byte (RFC 6716 section 3.1).
pub(crate) const STAMP_IN_AUDIO: usize = 1;

/// Baseline, level 3.1, 1280x720.
pub(crate) const SPS: &[u8] = &[
    0x67, 0x42, 0xc0, 0x1f, 0xd9, 0x00, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00,
    0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x24, 0x80,
];
/// The parameter set that goes with [`SPS`].
pub(crate) const PPS: &[u8] = &[0x68, 0xef, 0xbc, 0x80];

/// What is known of a stream's two tracks.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) video: Timeline,
    pub(crate) audio: Timeline,
}

impl Published {
    pub(crate) fn new(video_base: u32, audio_base: u32) -> Arc<Self> {
        Arc::new(Self {
            video: Timeline::new(PICTURE_TICKS, video_base),
            audio: Timeline::new(SOUND_TICKS, audio_base),
        })
    }
}
