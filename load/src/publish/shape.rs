//! How large the pictures are: as an encoder at a constant bitrate makes them, many packets in a keyframe, few in the
//! others, no two of one size.

use std::time::Duration;

use super::PICTURES_PER_SECOND;

/// Payload of a full packet in bytes.
pub const FULL: usize = 1200;
/// A keyframe is about so many times as large as another picture.
const KEYFRAME_WEIGHT: u64 = 11;
/// How far sizes stray from their mean, in percent.
const SPREAD: u64 = 25;

/// Sizes of the pictures of a stream.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Pictures from one keyframe to the next.
    interval: u64,
    /// Mean bytes of a picture that is not a keyframe.
    mean: u64,
}

impl Shape {
    /// Of a stream with so many kilobits of video a second. Any interval is at least one picture.
    pub fn new(bitrate_kbit: u32, keyframe_interval: Duration) -> Self {
        let interval =
            (keyframe_interval.as_secs_f64() * f64::from(PICTURES_PER_SECOND)).round().max(1.0) as u64;
        let bytes = u64::from(bitrate_kbit) * 125 * interval / u64::from(PICTURES_PER_SECOND);
        Self { interval, mean: bytes / (interval - 1 + KEYFRAME_WEIGHT) }
    }

    /// Pictures from one keyframe to the next.
    pub(crate) fn interval(self) -> u64 {
        self.interval
    }

    pub(super) fn is_keyframe(self, picture: u64) -> bool {
        picture.is_multiple_of(self.interval)
    }

    /// Bytes of a picture's slices: the same for the same number, every time.
    pub fn bytes(self, picture: u64) -> usize {
        let weight = if self.is_keyframe(picture) { KEYFRAME_WEIGHT } else { 1 };
        // A number that looks drawn by chance (the finaliser of splitmix64).
        let mut chance = picture.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        chance = (chance ^ (chance >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        chance ^= chance >> 31;
        let percent = 100 - SPREAD + chance % (2 * SPREAD + 1);
        usize::try_from(self.mean * weight * percent / 100).unwrap_or(usize::MAX).max(64)
    }

    /// Packets that a picture's slices take.
    pub fn packets(self, picture: u64) -> u64 {
        self.bytes(picture).div_ceil(FULL) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_its_bitrate_and_large_keyframes() {
        for (kbit, seconds) in [(2500, 2), (500, 2), (8000, 4)] {
            let shape = Shape::new(kbit, Duration::from_secs(seconds));
            assert_eq!(shape.interval(), 30 * seconds);
            let pictures = 30 * 200;
            let bytes: u64 = (0..pictures).map(|picture| shape.bytes(picture) as u64).sum();
            let expected = u64::from(kbit) * 125 * 200;
            assert!(bytes.abs_diff(expected) < expected / 50, "{kbit}: {bytes} for {expected}");
        }
        let shape = Shape::new(2500, Duration::from_secs(2));
        for picture in 0..600 {
            let packets = shape.packets(picture);
            let expected = if shape.is_keyframe(picture) { 60..=105 } else { 5..=10 };
            assert!(expected.contains(&packets), "{picture}: {packets}");
        }
    }

    #[test]
    fn extremes_make_pictures_too() {
        for (kbit, interval) in [(1, Duration::ZERO), (100_000, Duration::from_secs(60))] {
            let shape = Shape::new(kbit, interval);
            assert!((0..100).all(|picture| shape.packets(picture) >= 1));
        }
    }
}
