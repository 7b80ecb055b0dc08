use crate::bits::BitReader;

/// Video usability information: hints at the end of the set (ITU-T H.264 annex E).
#[derive(Default)]
pub(super) struct Usability {
    /// Frames per second.
    pub(super) fps: Option<f64>,
    /// At most 16.
    pub(super) max_reorder_frames: Option<u8>,
}

impl Usability {
    /// Never fails: what was read before the data broke off stays.
    pub(super) fn parse(bits: &mut BitReader<'_>) -> Self {
        let mut found = Self::default();
        let _ = found.read(bits);
        found
    }

    fn read(&mut self, bits: &mut BitReader<'_>) -> Option<()> {
        const EXTENDED_ASPECT_RATIO: u32 = 255;
        if bits.flag()? && bits.bits(8)? == EXTENDED_ASPECT_RATIO {
            bits.skip(32)?;
        }
        if bits.flag()? {
            bits.skip(1)?; // overscan appropriate
        }
        if bits.flag()? {
            bits.skip(4)?; // video format, full range
            if bits.flag()? {
                bits.skip(24)?; // primaries, transfer, matrix
            }
        }
        if bits.flag()? {
            bits.ue()?; // chroma location, top field
            bits.ue()?; // and bottom field
        }
        if bits.flag()? {
            let (tick, scale) = (bits.bits(32)?, bits.bits(32)?);
            bits.skip(1)?; // fixed frame rate
            // A tick is the time of a field, also when there are no fields.
            self.fps = (tick != 0 && scale != 0).then(|| f64::from(scale) / (2.0 * f64::from(tick)));
        }
        let nal_buffer = bits.flag()?;
        if nal_buffer {
            skip_buffer_description(bits)?;
        }
        let stream_buffer = bits.flag()?;
        if stream_buffer {
            skip_buffer_description(bits)?;
        }
        if nal_buffer || stream_buffer {
            bits.skip(1)?; // low delay
        }
        bits.skip(1)?; // picture structure is in SEI
        if bits.flag()? {
            bits.skip(1)?; // motion vectors over picture borders
            for _ in 0..4 {
                bits.ue()?; // bytes per picture, bits per macroblock, length of motion vectors
            }
            self.max_reorder_frames = u8::try_from(bits.ue()?).ok().filter(|&frames| frames <= 16);
        }
        Some(())
    }
}

/// Hypothetical reference decoder parameters (ITU-T H.264 section E.1.2).
fn skip_buffer_description(bits: &mut BitReader<'_>) -> Option<()> {
    let count = bits.ue()?.checked_add(1).filter(|&count| count <= 32)?;
    bits.skip(8)?; // scales
    for _ in 0..count {
        bits.ue()?; // rate
        bits.ue()?; // size
        bits.skip(1)?; // constant rate
    }
    bits.skip(20) // lengths of delays
}
