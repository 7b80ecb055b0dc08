//! Opus packets, as far as their first bytes tell (RFC 6716 section 3).

use std::time::Duration;

/// The largest Opus frame in bytes (RFC 6716 section 3.4, R2), and the largest payload that a live encoder
/// sends: one frame each. The speed test of FTL clients sends longer ones under the same payload type.
pub const MAX_PAYLOAD: usize = 1_275;

/// The longest time one packet may cover (RFC 6716 section 3.4, R5).
pub const MAX_DURATION: Duration = Duration::from_millis(120);

/// What the first byte, and the frame count behind it, say about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Toc {
    /// Mode, bandwidth and frame size as one number, 0 to 31 (RFC 6716 table 2).
    pub config: u8,
    /// Two channels in this packet.
    pub stereo: bool,
    /// Frames in this packet, 1 to 48.
    pub frames: u8,
}

impl Toc {
    /// `None` when the packet is empty, its length contradicts its frame count, or it covers more than
    /// [`MAX_DURATION`].
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let (&first, rest) = payload.split_first()?;
        let frames = match first & 0x03 {
            0 => 1,
            1 if rest.len() % 2 == 0 => 2, // two frames of one size
            1 => return None,
            2 if rest.is_empty() => return None, // the size of the first frame is missing
            2 => 2,
            _ => rest.first()? & 0x3f,
        };
        let toc = Self { config: first >> 3, stereo: first & 0x04 != 0, frames };
        (frames > 0 && toc.duration() <= MAX_DURATION).then_some(toc)
    }

    /// How long one frame lasts.
    #[must_use]
    pub const fn frame_duration(self) -> Duration {
        Duration::from_micros(match self.config {
            // SILK alone.
            0..12 => [10_000, 20_000, 40_000, 60_000][(self.config & 3) as usize],
            // SILK and CELT together.
            12..16 => [10_000, 20_000][(self.config & 1) as usize],
            // CELT alone.
            _ => [2_500, 5_000, 10_000, 20_000][(self.config & 3) as usize],
        })
    }

    /// How long the packet lasts.
    #[must_use]
    pub fn duration(self) -> Duration {
        self.frame_duration() * u32::from(self.frames)
    }
}

/// How long an Opus payload lasts; `None` when it is none.
#[must_use]
pub fn duration(payload: &[u8]) -> Option<Duration> {
    Toc::parse(payload).map(Toc::duration)
}

/// Silence that lasts as long as `payload` does, to stand in its place; `None` when that is no Opus packet. Decoders do not
/// conceal it, as they would a packet that is missing.
#[must_use]
pub fn silence_like(payload: &[u8]) -> Option<Vec<u8>> {
    let toc = Toc::parse(payload)?;
    let duration = toc.duration().as_micros();
    // CELT, full band, in the longest frame that fits a whole number of times.
    let (config, frame) = [(31_u8, 20_000), (30, 10_000), (29, 5_000), (28, 2_500)]
        .into_iter()
        .find(|(_, frame)| duration.is_multiple_of(*frame))?;
    let frames = u8::try_from(duration / frame).ok()?;
    let first = config << 3 | u8::from(toc.stereo) << 2;
    Some(if frames == 1 {
        [&[first], SILENT_FRAME].concat()
    } else {
        // Code 3: a count, and that many frames of one size (RFC 6716 section 3.2.5).
        [&[first | 3, frames], SILENT_FRAME.repeat(frames.into()).as_slice()].concat()
    })
}

/// A CELT frame that sets its silence flag (RFC 6716 section 4.3).
const SILENT_FRAME: &[u8] = &[0xff, 0xfe];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ClockRate;

    #[test]
    fn silence_lasts_as_long() {
        for payload in [
            &[0xfc, 1, 2][..],               // 20 ms, stereo
            &[0xf4, 1],                      // 10 ms, stereo
            &[0xe0, 1],                      // 2.5 ms
            &[0x18, 1],                      // SILK, 60 ms
            &[0xfd, 1, 2],                   // 2 frames of 20 ms
            &[0xff, 0x06, 1, 1, 1, 1, 1, 1], // 6 frames of 20 ms
            &[0xe3, 0x05, 1, 1, 1, 1, 1],    // 5 frames of 2.5 ms
        ] {
            let silence = silence_like(payload).unwrap_or_default();
            assert_eq!(duration(&silence), duration(payload), "{payload:02x?}");
            assert_eq!(Toc::parse(&silence).map(|toc| toc.stereo), Toc::parse(payload).map(|toc| toc.stereo));
        }
        assert_eq!(silence_like(&[0xfc, 1, 2]).as_deref(), Some(&[0xfc, 0xff, 0xfe][..]));
        assert_eq!(silence_like(&[]), None);
    }

    #[test]
    fn known_packets() {
        for (payload, expected) in [
            // What FTL clients send: CELT, full band, 20 ms, stereo; and silence.
            (&[0xfc, 1, 2][..], Some((31, true, 1, 20_000))),
            (&[0xfc, 0xff, 0xfe], Some((31, true, 1, 20_000))),
            (&[0xfc], Some((31, true, 1, 20_000))),
            (&[0xf8, 1], Some((31, false, 1, 20_000))),
            (&[0x00], Some((0, false, 1, 10_000))),
            (&[0x18], Some((3, false, 1, 60_000))),
            (&[0x60], Some((12, false, 1, 10_000))),
            (&[0x78], Some((15, false, 1, 20_000))),
            (&[0x80], Some((16, false, 1, 2_500))),
            // Two frames of one size, two of different sizes.
            (&[0xfd, 1, 2], Some((31, true, 2, 40_000))),
            (&[0xfd, 1, 2, 3], None),
            (&[0xfe, 1, 2], Some((31, true, 2, 40_000))),
            (&[0xfe], None),
            // As many as the second byte says.
            (&[0xff, 6], Some((31, true, 6, 120_000))),
            (&[0xff, 0xc6], Some((31, true, 6, 120_000))),
            (&[0xff, 7], None),
            (&[0xff, 0], None),
            (&[0xff], None),
            (&[0x83, 48], Some((16, false, 48, 120_000))),
            (&[0x83, 49], None),
            (&[], None),
        ] {
            let toc = Toc::parse(payload);
            let read = toc.map(|toc| (toc.config, toc.stereo, toc.frames, toc.duration().as_micros()));
            assert_eq!(read, expected, "{payload:02x?}");
            assert_eq!(duration(payload), toc.map(Toc::duration));
        }
        assert_eq!(ClockRate::OPUS.ticks(duration(&[0xfc]).unwrap()), 960);
    }

    proptest! {
        #[test]
        fn never_panics_never_longer_than_allowed(payload in proptest::collection::vec(any::<u8>(), 0..8)) {
            if let Some(duration) = duration(&payload) {
                prop_assert!(duration >= Duration::from_micros(2_500) && duration <= MAX_DURATION);
            }
        }
    }
}
