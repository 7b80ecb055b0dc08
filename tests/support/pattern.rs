//! Pictures and sounds that a program can read back.
//!
//! The picture is measured in units of a 18th of its height. Near its top left corner stands a grid of 16 by 5
//! black and white squares of one unit: 48 bits of wall-clock milliseconds, 24 bits of the picture's number, 8 bits of
//! checksum, most significant first. To the right of it an area turns white for the first tenth of each second, and
//! at the same instants the sound beeps for a tenth. The lower third moves, so that the encoder has work; with grain, it
//! has as much as its bitrate allows.

/// Squares in a row of the grid.
pub const COLUMNS: u32 = 16;
/// Rows of the grid.
pub const ROWS: u32 = 5;
/// Samples per second.
pub const SAMPLE_RATE: u32 = 48_000;
/// Units from the picture's edges to the grid.
const MARGIN: u32 = 1;
/// The flashing area in units: left, top, width, height.
const FLASH: (u32, u32, u32, u32) = (20, 1, 10, 10);
/// Bits of the clock, of the picture's number, of the checksum.
const BITS: (u32, u32, u32) = (48, 24, 8);
const BLACK: u8 = 16;
const WHITE: u8 = 235;

/// What the squares say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Milliseconds since 1970; 48 bits.
    pub wall_ms: u64,
    /// The picture's number; 24 bits.
    pub number: u32,
}

impl Stamp {
    /// The 80 bits, checksum included.
    pub fn bits(self) -> u128 {
        let payload = u128::from(self.wall_ms & low(BITS.0)) << BITS.1
            | u128::from(u64::from(self.number) & low(BITS.1));
        payload << BITS.2 | u128::from(checksum(payload))
    }

    /// What 80 bits say; `None` when the checksum does not fit.
    pub fn from_bits(bits: u128) -> Option<Self> {
        let payload = bits >> BITS.2;
        if u128::from(checksum(payload)) != bits & u128::from(low(BITS.2)) {
            return None;
        }
        let wall_ms = u64::try_from(payload >> BITS.1).ok()?;
        Some(Self { wall_ms, number: u32::try_from(payload & u128::from(low(BITS.1))).ok()? })
    }
}

fn low(bits: u32) -> u64 {
    (1 << bits) - 1
}

/// The sum of the nine bytes, never that of an all-black grid.
fn checksum(payload: u128) -> u8 {
    payload.to_be_bytes().iter().fold(0x5a_u8, |sum, byte| sum.wrapping_mul(3).wrapping_add(*byte))
}

/// Draws pictures of one size, planar 4:2:0.
#[derive(Debug)]
pub struct Painter {
    width: usize,
    height: usize,
    unit: usize,
    picture: Vec<u8>,
    grain: Grain,
}

impl Painter {
    /// Width and height must be even, and the height at least 180. `grain`: so many steps of brightness, at most 90.
    pub fn new(width: u32, height: u32, grain: u8) -> Self {
        let (width, height) = (width as usize, height as usize);
        let grain = Grain { steps: grain.min(90), state: 0x9e37_79b9_7f4a_7c15 };
        Self { width, height, unit: height / 18, picture: vec![128; width * height * 3 / 2], grain }
    }

    /// Draws one picture.
    pub fn draw(&mut self, stamp: Stamp, flash: bool) -> &[u8] {
        let shift = stamp.number as usize * 3;
        for y in 0..self.height {
            let row = &mut self.picture[y * self.width..(y + 1) * self.width];
            if y < self.height * 2 / 3 {
                row.fill(BLACK);
            } else {
                for (x, pixel) in row.iter_mut().enumerate() {
                    // A triangle wave, so that there is no hard edge to spend bits on.
                    let phase = (x + y + shift) % 256;
                    *pixel = BLACK + u8::try_from(phase.min(255 - phase)).expect("at most 127");
                }
                self.grain.sprinkle(row);
            }
        }
        let bits = stamp.bits();
        for index in 0..COLUMNS * ROWS {
            if bits >> (COLUMNS * ROWS - 1 - index) & 1 == 1 {
                self.fill(MARGIN + index % COLUMNS, MARGIN + index / COLUMNS, 1, 1);
            }
        }
        if flash {
            self.fill(FLASH.0, FLASH.1, FLASH.2, FLASH.3);
        }
        &self.picture
    }

    /// Whitens a rectangle given in units.
    fn fill(&mut self, left: u32, top: u32, width: u32, height: u32) {
        let [left, top, width, height] = [left, top, width, height].map(|side| side as usize * self.unit);
        for y in top..top + height {
            let start = y * self.width + left;
            self.picture[start..start + width].fill(WHITE);
        }
    }
}

/// Noise that no encoder can foresee.
#[derive(Debug)]
struct Grain {
    steps: u8,
    state: u64,
}

impl Grain {
    fn sprinkle(&mut self, row: &mut [u8]) {
        if self.steps == 0 {
            return;
        }
        for pixels in row.chunks_mut(8) {
            // xorshift64 (Marsaglia 2003).
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            for (pixel, random) in pixels.iter_mut().zip(self.state.to_ne_bytes()) {
                *pixel += ((u16::from(random) * u16::from(self.steps)) >> 8) as u8;
            }
        }
    }
}

/// Whether the area is white at this time since the start.
pub fn flashes(millis: u64) -> bool {
    millis % 1000 < 100
}

/// Stereo samples from the given one on: a quiet tone, and a loud one where the picture flashes.
pub fn samples(first: u64, count: usize) -> Vec<u8> {
    let mut raw = Vec::with_capacity(count * 4);
    for index in first..first + count as u64 {
        let seconds = index as f64 / f64::from(SAMPLE_RATE);
        let beeps = index % u64::from(SAMPLE_RATE) < u64::from(SAMPLE_RATE) / 10;
        let (frequency, volume) = if beeps { (1000.0, 0.6) } else { (440.0, 0.02) };
        let value = (seconds * frequency * std::f64::consts::TAU).sin() * volume * f64::from(i16::MAX);
        let bytes = (value as i16).to_le_bytes();
        raw.extend_from_slice(&bytes);
        raw.extend_from_slice(&bytes);
    }
    raw
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_survives_and_a_wrong_bit_does_not() {
        let stamp = Stamp { wall_ms: 1_700_000_000_123, number: 0xab_cdef };
        let bits = stamp.bits();
        assert_eq!(Stamp::from_bits(bits), Some(stamp));
        for bit in 0..80 {
            assert_eq!(Stamp::from_bits(bits ^ 1 << bit), None, "bit {bit}");
        }
        assert_eq!(Stamp::from_bits(0), None);
    }

    #[test]
    fn the_picture_can_be_read_back() {
        let stamp = Stamp { wall_ms: 1_700_000_000_123, number: 77 };
        for (width, height, grain) in [(1280, 720, 0), (640, 360, 90), (320, 180, 30)] {
            let mut painter = Painter::new(width, height, grain);
            let (unit, width) = (painter.unit, width as usize);
            let picture = painter.draw(stamp, true);
            let centre = |column: u32, row: u32| {
                let at = |index: u32| (MARGIN + index) as usize * unit + unit / 2;
                picture[at(row) * width + at(column)] > 128
            };
            let bits = (0..COLUMNS * ROWS)
                .fold(0_u128, |bits, index| bits << 1 | u128::from(centre(index % COLUMNS, index / COLUMNS)));
            assert_eq!(Stamp::from_bits(bits), Some(stamp));
        }
    }

    #[test]
    fn grain_is_never_the_same() {
        let stamp = Stamp { wall_ms: 0, number: 0 };
        let differing = |grain| {
            let mut painter = Painter::new(320, 180, grain);
            let first = painter.draw(stamp, false).to_vec();
            let second = painter.draw(stamp, false);
            first.iter().zip(second).filter(|(a, b)| a != b).count()
        };
        assert_eq!(differing(0), 0);
        assert!(differing(30) > 320 * 60 * 9 / 10, "of the lower third");
    }

    #[test]
    fn a_second_begins_with_a_beep() {
        let loud = |first| samples(first, 480).chunks(4).any(|sample| sample[1].cast_signed() > 64);
        assert!(loud(0) && loud(48_000) && loud(4_000));
        assert!(!loud(5_000) && !loud(47_000));
    }
}
