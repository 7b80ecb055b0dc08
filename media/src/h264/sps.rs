use thiserror::Error;

use super::{NalType, vui::Usability};
use crate::bits::BitReader;

/// Longest side of a picture in macroblocks: what level 6.2 allows (ITU-T H.264 section A.3.1).
const MAX_SIDE_MACROBLOCKS: u32 = 1_055;

/// What a sequence parameter set says about every picture that uses it (ITU-T H.264 section 7.3.2.1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sps {
    /// 66 is Baseline, 77 Main, 100 High.
    pub profile_idc: u8,
    /// The byte of `constraint_set` flags between profile and level.
    pub constraint_flags: u8,
    /// Ten times the level: 31 is level 3.1.
    pub level_idc: u8,
    /// Which of the 32 sets this is.
    pub id: u8,
    /// Width that is shown, in pixels: cropping is taken off.
    pub width: u32,
    /// Height that is shown, in pixels: cropping is taken off.
    pub height: u32,
    /// How many pictures may come earlier than a picture that is shown before them. 0 means no B-frames that
    /// reorder; `None` means that the stream does not say.
    pub max_reorder_frames: Option<u8>,
    /// Frames per second, when the stream says.
    pub fps: Option<f64>,
}

/// Why some bytes are no sequence parameter set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SpsError {
    /// Another NAL unit, or nothing at all.
    #[error("not a sequence parameter set")]
    NotSps,
    /// Ends too early, or has a code that is too long.
    #[error("sequence parameter set ends too early")]
    Truncated,
    /// A value that the standard does not allow.
    #[error("sequence parameter set with an impossible {0}")]
    Impossible(&'static str),
}

impl Sps {
    /// Reads a whole NAL unit with its header byte and with its emulation prevention.
    ///
    /// Broken usability information at the end is no error: some encoders write it wrongly, and decoders do not
    /// mind either. The stream counts as not saying then.
    ///
    /// # Errors
    /// See [`SpsError`].
    pub fn parse(nal: &[u8]) -> Result<Self, SpsError> {
        let (&header, data) = nal.split_first().ok_or(SpsError::NotSps)?;
        if NalType::of_header(header) != NalType::SPS {
            return Err(SpsError::NotSps);
        }
        let mut bits = Bits(BitReader::new(data));
        let [profile_idc, constraint_flags, level_idc] = [bits.byte()?, bits.byte()?, bits.byte()?];
        let id = bits.ue_up_to(31, "id")?;
        let sampling =
            if has_chroma_format(profile_idc) { bits.sampling()? } else { Sampling { width: 2, height: 2 } };
        bits.ue_up_to(12, "frame number length")?;
        let order_is_decoding_order = bits.picture_order()?;
        bits.ue_up_to(16, "number of reference frames")?;
        bits.flag()?; // gaps in the frame number
        let columns = bits.side("width")?;
        let rows = bits.side("height")?;
        let frames_only = bits.flag()?;
        if !frames_only {
            bits.flag()?; // macroblock-adaptive frame and field coding
        }
        bits.flag()?; // direct 8x8 inference
        // Rows are counted in field pairs when fields are possible, and so is vertical cropping.
        let fields = if frames_only { 1 } else { 2 };
        let crop = if bits.flag()? { bits.cropping()? } else { [0; 4] };
        let width = cropped(columns * 16, crop[0], crop[1], sampling.width).ok_or(CROPPING)?;
        let height =
            cropped(rows * 16 * fields, crop[2], crop[3], sampling.height * fields).ok_or(CROPPING)?;
        let usability = if bits.flag()? { Usability::parse(&mut bits.0) } else { Usability::default() };
        let never_reorders =
            order_is_decoding_order || profile_idc == 66 || is_intra_only(profile_idc, constraint_flags);
        Ok(Self {
            profile_idc,
            constraint_flags,
            level_idc,
            id,
            width,
            height,
            max_reorder_frames: if never_reorders { Some(0) } else { usability.max_reorder_frames },
            fps: usability.fps,
        })
    }

    /// The three bytes that SDP writes as `profile-level-id` (RFC 6184 section 8.1).
    #[must_use]
    pub const fn profile_level_id(&self) -> [u8; 3] {
        [self.profile_idc, self.constraint_flags, self.level_idc]
    }
}

const CROPPING: SpsError = SpsError::Impossible("cropping");

/// Profiles whose sets describe chroma format, bit depth and scaling; all others are 8 bits and 4:2:0.
const fn has_chroma_format(profile_idc: u8) -> bool {
    matches!(profile_idc, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135)
}

/// Profiles of which `constraint_set3` makes an all-intra one, where nothing is ever reordered.
const fn is_intra_only(profile_idc: u8, constraint_flags: u8) -> bool {
    profile_idc == 44 || matches!(profile_idc, 86 | 100 | 110 | 122 | 244) && constraint_flags & 0x10 != 0
}

/// `size` without `before` and `after`, which count in steps of `unit` pixels. `None` when nothing is left.
fn cropped(size: u32, before: u32, after: u32, unit: u32) -> Option<u32> {
    let crop = before.checked_add(after)?.checked_mul(unit)?;
    size.checked_sub(crop).filter(|&left| left > 0)
}

/// How many pixels of luma share one of chroma, in each direction; 1 when there is no chroma.
struct Sampling {
    width: u32,
    height: u32,
}

/// Bits with the errors of this file.
struct Bits<'a>(BitReader<'a>);

impl Bits<'_> {
    fn flag(&mut self) -> Result<bool, SpsError> {
        self.0.flag().ok_or(SpsError::Truncated)
    }

    fn byte(&mut self) -> Result<u8, SpsError> {
        let byte = self.0.bits(8).ok_or(SpsError::Truncated)?;
        Ok(u8::try_from(byte).expect("eight bits"))
    }

    fn ue(&mut self) -> Result<u32, SpsError> {
        self.0.ue().ok_or(SpsError::Truncated)
    }

    fn ue_up_to(&mut self, max: u8, what: &'static str) -> Result<u8, SpsError> {
        let value = u8::try_from(self.ue()?).ok();
        value.filter(|&value| value <= max).ok_or(SpsError::Impossible(what))
    }

    fn se(&mut self) -> Result<i32, SpsError> {
        self.0.se().ok_or(SpsError::Truncated)
    }

    /// A side of the picture in macroblocks (or pairs of them), written as one less.
    fn side(&mut self, what: &'static str) -> Result<u32, SpsError> {
        match self.ue()? {
            less @ ..MAX_SIDE_MACROBLOCKS => Ok(less + 1),
            _ => Err(SpsError::Impossible(what)),
        }
    }

    /// Chroma format, bit depths and scaling lists.
    fn sampling(&mut self) -> Result<Sampling, SpsError> {
        let chroma_format = self.ue_up_to(3, "chroma format")?;
        let separate_planes = chroma_format == 3 && self.flag()?;
        self.ue_up_to(6, "luma bit depth")?;
        self.ue_up_to(6, "chroma bit depth")?;
        self.flag()?; // lossless at zero quantiser
        if self.flag()? {
            for list in 0..if chroma_format == 3 { 12 } else { 8 } {
                if self.flag()? {
                    self.skip_scaling_list(if list < 6 { 16 } else { 64 })?;
                }
            }
        }
        Ok(match chroma_format {
            _ if separate_planes => Sampling { width: 1, height: 1 },
            1 => Sampling { width: 2, height: 2 },
            2 => Sampling { width: 2, height: 1 },
            _ => Sampling { width: 1, height: 1 },
        })
    }

    /// The list ends early when the next scale would be zero (ITU-T H.264 section 7.3.2.1.1.1).
    fn skip_scaling_list(&mut self, size: usize) -> Result<(), SpsError> {
        let mut scale = 8;
        for _ in 0..size {
            let delta = self.se()?;
            if !(-128..=127).contains(&delta) {
                return Err(SpsError::Impossible("scaling list"));
            }
            scale = (scale + delta) & 0xff;
            if scale == 0 {
                break;
            }
        }
        Ok(())
    }

    /// How the order of showing is written; whether it is the order of decoding.
    fn picture_order(&mut self) -> Result<bool, SpsError> {
        let kind = self.ue_up_to(2, "picture order type")?;
        match kind {
            0 => {
                self.ue_up_to(12, "picture order length")?;
            }
            1 => {
                self.flag()?;
                self.se()?;
                self.se()?;
                for _ in 0..self.ue_up_to(255, "picture order cycle")? {
                    self.se()?;
                }
            }
            _ => {}
        }
        Ok(kind == 2)
    }

    /// Left, right, top, bottom, in units of chroma samples.
    fn cropping(&mut self) -> Result<[u32; 4], SpsError> {
        Ok([self.ue()?, self.ue()?, self.ue()?, self.ue()?])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::hex;

    /// One set as x264 wrote it through ffmpeg, and what is known about the stream.
    struct Real {
        nal: &'static str,
        profile_level_id: [u8; 3],
        size: (u32, u32),
        reorder: u8,
        fps: f64,
    }

    const fn real(nal: &'static str, profile: u32, size: (u32, u32), reorder: u8, fps: f64) -> Real {
        let [_, profile_level_id @ ..] = profile.to_be_bytes();
        Real { nal, profile_level_id, size, reorder, fps }
    }

    const BASELINE: Real =
        real("6742c01fd9005005bb0110000003001000000303c0f1832480", 0x42_c0_1f, (1280, 720), 0, 30.0);
    const MAIN: Real =
        real("674d402aeca03c0113f2e022000003000200000300f01e30632c", 0x4d_40_2a, (1920, 1080), 2, 60.0);
    const NTSC: Real = real(
        "6764001eacd940a02ff9701100000303e90000ea600f162d96",
        0x64_00_1e,
        (640, 360),
        2,
        30_000.0 / 1_001.0,
    );
    const CROPPED: Real =
        real("6764001eacd940d83de6f011000003000100000300320f162d96", 0x64_00_1e, (854, 480), 2, 25.0);
    const HIGH_10: Real =
        real("676e001fa6cd9405005bb0110000030001000003003c0f183196", 0x6e_00_1f, (1280, 720), 2, 30.0);
    const HIGH_422: Real =
        real("677a0020bcd9405005bb0110000003001000000640f1831960", 0x7a_00_20, (1280, 720), 2, 50.0);
    const HIGH_444: Real =
        real("67f4000d919b282a33c2119808800000030080000018078a14cb", 0xf4_00_0d, (321, 181), 2, 24.0);
    const INTERLACED: Real = real(
        "67640028acd94078044fdffe0006000820000003002000000783e2c5b2c0",
        0x64_00_28,
        (1920, 1080),
        2,
        30.0,
    );
    const NO_B_FRAMES: Real =
        real("6764001facb200a00b77fe0006000820000003002000000781e30649", 0x64_00_1f, (1280, 720), 0, 30.0);
    const CONSTANT_RATE: Real = real(
        "6764001facd9405005bbff0003000410000003001000000303c602000262580002625b930c01e30632c0",
        0x64_00_1f,
        (1280, 720),
        2,
        30.0,
    );
    const ALL: [Real; 10] =
        [BASELINE, MAIN, NTSC, CROPPED, HIGH_10, HIGH_422, HIGH_444, INTERLACED, NO_B_FRAMES, CONSTANT_RATE];

    #[test]
    fn sets_of_a_real_encoder() {
        for real in ALL {
            let sps = Sps::parse(&hex(real.nal)).unwrap();
            assert_eq!(sps.profile_level_id(), real.profile_level_id, "{}", real.nal);
            assert_eq!((sps.width, sps.height), real.size, "{}", real.nal);
            assert_eq!(sps.max_reorder_frames, Some(real.reorder), "{}", real.nal);
            assert!(sps.fps.is_some_and(|fps| (fps - real.fps).abs() < 1e-9), "{}: {:?}", real.nal, sps.fps);
        }
    }

    #[test]
    fn no_set_at_all() {
        assert_eq!(Sps::parse(&[]), Err(SpsError::NotSps));
        assert_eq!(Sps::parse(&[0x68, 0xee]), Err(SpsError::NotSps));
        assert_eq!(Sps::parse(&hex("674d401f")), Err(SpsError::Truncated));
        // More zeros than a code has where the id should be.
        assert_eq!(Sps::parse(&hex("674d401f 0000 0000 00")), Err(SpsError::Truncated));
    }

    #[test]
    fn hints_that_break_off_are_no_error() {
        let nal = hex(BASELINE.nal);
        let shorter = Sps::parse(&nal[..14]).unwrap();
        assert_eq!((shorter.width, shorter.height, shorter.fps), (1280, 720, None));
        assert_eq!(shorter.max_reorder_frames, Some(0), "Baseline never reorders");
        let main = hex(MAIN.nal);
        assert_eq!(Sps::parse(&main[..22]).unwrap().max_reorder_frames, None);
    }

    /// Writes what the parser should read, from the standard's tables again.
    #[derive(Default)]
    struct Writer {
        bits: Vec<bool>,
    }

    impl Writer {
        fn bits(&mut self, value: u32, count: u32) -> &mut Self {
            self.bits.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
            self
        }

        fn ue(&mut self, value: u32) -> &mut Self {
            let length = (value + 1).ilog2();
            self.bits(0, length).bits(value + 1, length + 1)
        }

        fn se(&mut self, value: i32) -> &mut Self {
            self.ue(if value > 0 { value.unsigned_abs() * 2 - 1 } else { value.unsigned_abs() * 2 })
        }

        fn nal(&mut self, header: u8) -> Vec<u8> {
            self.bits(1, 1);
            let mut nal = vec![header];
            let mut zeros = 0;
            for byte in self.bits.chunks(8) {
                let byte = (0..8).fold(0, |sum, bit| sum << 1 | u8::from(byte.get(bit) == Some(&true)));
                if zeros >= 2 && byte <= 3 {
                    nal.push(3);
                    zeros = 0;
                }
                zeros = if byte == 0 { zeros + 1 } else { 0 };
                nal.push(byte);
            }
            nal
        }
    }

    /// A High profile set up to the cropping flag.
    fn high(chroma: u32, columns: u32, rows: u32, frames_only: bool) -> Writer {
        let mut writer = Writer::default();
        writer.bits(0x64_00_1f, 24).ue(0).ue(chroma);
        if chroma == 3 {
            writer.bits(0, 1);
        }
        writer.ue(0).ue(0).bits(0b00, 2).ue(0).ue(0).ue(4).ue(4).bits(0, 1);
        writer.ue(columns - 1).ue(rows - 1).bits(u32::from(frames_only), 1);
        if !frames_only {
            writer.bits(0, 1);
        }
        writer.bits(1, 1);
        writer
    }

    #[test]
    fn impossible_values() {
        let check = |writer: &mut Writer, what| {
            assert_eq!(Sps::parse(&writer.nal(0x67)), Err(SpsError::Impossible(what)));
        };
        check(Writer::default().bits(0x4d_40_1f, 24).ue(32), "id");
        check(Writer::default().bits(0x64_00_1f, 24).ue(0).ue(4), "chroma format");
        check(Writer::default().bits(0x4d_40_1f, 24).ue(0).ue(0).ue(3), "picture order type");
        check(&mut high(1, 1_056, 10, true), "width");
        check(&mut high(1, 10, 5_000, true), "height");
        check(high(1, 1, 1, true).bits(1, 1).ue(4).ue(4).ue(0).ue(0).bits(0, 1), "cropping");
        check(high(1, 1, 1, true).bits(1, 1).ue(0).ue(0).ue(u32::MAX - 2).ue(9).bits(0, 1), "cropping");
        let mut wild = Writer::default();
        wild.bits(0x64_00_1f, 24).ue(0).ue(1).ue(0).ue(0).bits(0b011, 3).se(128);
        check(&mut wild, "scaling list");
    }

    #[test]
    fn scaling_lists_and_picture_order_cycles_are_skipped() {
        let mut writer = Writer::default();
        writer.bits(0x64_00_1f, 24).ue(0).ue(1).ue(0).ue(0).bits(0b01, 2);
        for list in 0..8 {
            match list {
                // Absent, cut short at the second scale, cut short at once, full.
                0 => writer.bits(0, 1),
                1 => writer.bits(1, 1).se(4).se(-12),
                2 => writer.bits(1, 1).se(-8),
                _ => {
                    writer.bits(1, 1);
                    (0..if list < 6 { 16 } else { 64 })
                        .fold(&mut writer, |writer, scale| writer.se(scale % 3))
                }
            };
        }
        writer.ue(0).ue(1).bits(0, 1).se(-5).se(5).ue(3).se(1).se(2).se(-3);
        writer.ue(4).bits(0, 1).ue(39).ue(21).bits(0b11, 2).bits(0b00, 2);
        let sps = Sps::parse(&writer.nal(0x67)).unwrap();
        assert_eq!((sps.width, sps.height, sps.fps, sps.max_reorder_frames), (640, 352, None, None));
    }

    #[test]
    fn a_stream_in_decoding_order_reorders_nothing() {
        let mut writer = Writer::default();
        writer
            .bits(0x4d_40_1f, 24)
            .ue(0)
            .ue(0)
            .ue(2)
            .ue(1)
            .bits(0, 1)
            .ue(0)
            .ue(0)
            .bits(0b11, 2)
            .bits(0b00, 2);
        assert_eq!(Sps::parse(&writer.nal(0x67)).unwrap().max_reorder_frames, Some(0));
    }

    proptest! {
        #[test]
        fn size_and_rate_come_back(
            chroma in 0..4_u32, columns in 1..=1_055_u32, rows in 1..=1_055_u32, frames_only: bool,
            left in 0..4_u32, bottom in 0..3_u32,
            tick in 0..10_000_u32, scale in any::<u32>(), frames in 0..40_u32,
        ) {
            let mut writer = high(chroma, columns, rows, frames_only);
            writer.bits(1, 1).ue(left).ue(0).ue(0).ue(bottom).bits(1, 1);
            writer.bits(0b0000, 4).bits(1, 1).bits(tick, 32).bits(scale, 32).bits(0, 1).bits(0b000, 3);
            writer.bits(0b11, 2).ue(2).ue(1).ue(9).ue(9).ue(frames).ue(frames);
            let fields = if frames_only { 1 } else { 2 };
            let (unit_x, unit_y) = match chroma { 1 => (2, 2), 2 => (2, 1), _ => (1, 1) };
            let sps = Sps::parse(&writer.nal(0x67)).unwrap();
            prop_assert_eq!(sps.width, columns * 16 - left * unit_x);
            prop_assert_eq!(sps.height, (rows * 16 - bottom * unit_y) * fields);
            prop_assert_eq!(sps.max_reorder_frames, u8::try_from(frames).ok().filter(|&frames| frames <= 16));
            prop_assert_eq!(sps.fps.is_some(), tick != 0 && scale != 0);
        }

        #[test]
        fn damage_never_panics(
            which in 0..ALL.len(), damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..6),
            keep in 0..40_usize,
        ) {
            let mut nal = hex(ALL[which].nal);
            for (at, value) in damage {
                let at = at.index(nal.len());
                nal[at] = value;
            }
            nal.truncate(keep);
            if let Ok(sps) = Sps::parse(&nal) {
                prop_assert!(sps.width > 0 && sps.width <= 16_880 && sps.height > 0 && sps.height <= 33_760);
            }
        }

        #[test]
        fn noise_never_panics(data in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Sps::parse(&[&[0x67], data.as_slice()].concat());
        }
    }
}
