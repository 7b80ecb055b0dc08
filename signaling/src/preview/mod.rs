//! A still of what a channel shows, for lists of channels: the newest keyframe as a film of one picture.
//!
//! Nothing is decoded here. The keyframe's access unit is wrapped in MP4 or WebM as it came, when somebody asks, once per
//! keyframe; the browser decodes it in a `<video>`, which works on plain HTTP too, where `WebCodecs` does not.

mod budget;
mod film;
mod keyframes;
mod mp4;
mod route;
mod webm;

pub(crate) use budget::Budget;
pub(crate) use keyframes::Keyframes;
pub(crate) use route::preview;

/// Parameter sets of a picture of 64 by 48 pixels, and the beginning of one.
#[cfg(test)]
pub(crate) mod testing {
    pub(crate) const SPS: &[u8] = &[
        0x67, 0x42, 0xc0, 0x0a, 0xd9, 0x04, 0x7b, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03,
        0x03, 0xc0, 0xf1, 0x22, 0x64, 0x80,
    ];
    pub(crate) const PPS: &[u8] = &[0x68, 0xcb, 0x83, 0xcb, 0x20];
    pub(crate) const IDR: &[u8] = &[0x65, 0x88, 0x84, 0x00];
}
