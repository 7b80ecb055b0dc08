//! What a [`Transcoder`](crate::Transcoder) runs with.

use crate::{CHANNELS, sys};

/// Turns compressed packets into interleaved stereo at 48 kHz.
pub trait Decode {
    /// Appends what one packet holds; `Err` when it is broken, and the next one may be fine.
    fn decode(&mut self, packet: &[u8], pcm: &mut Vec<f32>) -> Result<(), Broken>;

    /// From now on, make sound longer by so many samples per million, or shorter.
    fn bend(&mut self, per_million: i32);
}

/// Turns frames of interleaved stereo at 48 kHz into compressed ones.
pub trait Encode {
    /// One frame of [`FRAME`](crate::FRAME) samples per channel.
    fn encode(&mut self, frame: &[f32]) -> Result<Vec<u8>, Broken>;

    /// By how many samples what is decoded lies behind what was encoded.
    fn look_ahead(&self) -> u32;
}

/// A packet that no sound could be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("broken packet")]
pub struct Broken;

/// AAC-LC, HE-AAC and HE-AAC v2, any rate and channel layout.
#[derive(Debug)]
pub struct AacDecoder {
    aac: sys::aac::Aac,
    scratch: Vec<f32>,
}

impl AacDecoder {
    /// `config` is the stream's AudioSpecificConfig (ISO/IEC 14496-3 section 1.6.2.1).
    ///
    /// # Errors
    /// It is none, or of a kind of AAC that cannot be decoded.
    pub fn new(config: &[u8]) -> Result<Self, Broken> {
        let aac = sys::aac::Aac::open(config).ok_or(Broken)?;
        Ok(Self { aac, scratch: vec![0.0; SCRATCH] })
    }

    /// Hertz and channels of what was decoded last; zeros before that.
    #[must_use]
    pub fn source(&self) -> (u32, u32) {
        (self.aac.rate(), self.aac.channels())
    }
}

impl Decode for AacDecoder {
    fn decode(&mut self, packet: &[u8], pcm: &mut Vec<f32>) -> Result<(), Broken> {
        if !self.aac.push(packet) {
            return Err(Broken);
        }
        loop {
            match self.aac.take(&mut self.scratch).ok_or(Broken)? {
                0 => return Ok(()),
                // Cosmic values of a broken frame would ring in the encoder for long.
                samples => pcm.extend(self.scratch[..samples].iter().map(|sample| match sample {
                    sample if sample.is_finite() => sample.clamp(-LOUDEST, LOUDEST),
                    _ => 0.0,
                })),
            }
        }
    }

    fn bend(&mut self, per_million: i32) {
        let more = i64::from(per_million) * i64::from(BEND_OVER) / 1_000_000;
        self.aac.bend(i32::try_from(more).unwrap_or(0), BEND_OVER);
    }
}

/// libopus.
#[derive(Debug)]
pub struct OpusEncoder {
    opus: sys::opus::Encoder,
    packet: Vec<u8>,
}

impl OpusEncoder {
    /// `bits_per_second` is what the encoder aims at.
    ///
    /// # Errors
    /// No memory.
    pub fn new(bits_per_second: u32) -> Result<Self, Broken> {
        let bits = i32::try_from(bits_per_second).map_err(|_| Broken)?;
        let opus = sys::opus::Encoder::open(bits, COMPLEXITY).ok_or(Broken)?;
        Ok(Self { opus, packet: vec![0; MAX_PACKET] })
    }
}

impl Encode for OpusEncoder {
    fn encode(&mut self, frame: &[f32]) -> Result<Vec<u8>, Broken> {
        let length = self.opus.encode(frame, &mut self.packet).ok_or(Broken)?;
        Ok(self.packet[..length].to_vec())
    }

    fn look_ahead(&self) -> u32 {
        self.opus.look_ahead()
    }
}

/// libopus the other way, for whoever wants to know what is in a packet.
#[derive(Debug)]
pub struct OpusDecoder {
    opus: sys::opus::Decoder,
    pcm: Vec<f32>,
}

impl OpusDecoder {
    /// Stereo at 48 kHz, whatever the source is.
    ///
    /// # Errors
    /// No memory.
    pub fn new() -> Result<Self, Broken> {
        let opus = sys::opus::Decoder::open().ok_or(Broken)?;
        Ok(Self { opus, pcm: vec![0.0; LONGEST * CHANNELS] })
    }

    /// The interleaved samples of one packet. Packets may be left out in between: the first one or two after that come
    /// out a little too loud or too quiet.
    ///
    /// # Errors
    /// It is no Opus packet (RFC 6716 section 3.4).
    pub fn decode(&mut self, packet: &[u8]) -> Result<&[f32], Broken> {
        let samples = self.opus.decode(packet, &mut self.pcm).ok_or(Broken)?;
        self.pcm.get(..samples).ok_or(Broken)
    }
}

/// Samples per channel of the longest Opus packet: 120 ms.
const LONGEST: usize = 5_760;
/// 2048 samples at the lowest AAC rate, 7350 Hz, become 13 375 at 48 kHz; both channels, and a little for bending.
const SCRATCH: usize = 2 * 16_384;
/// Longer than the time between two corrections.
const BEND_OVER: i32 = 4 * 48_000;
/// A little above full scale is normal: the encoder clips softly.
const LOUDEST: f32 = 4.0;
/// RFC 6716 section 3.4, R2.
const MAX_PACKET: usize = 1_275;
/// Of 10. More costs half again as much and nobody hears it at 128 kbit/s.
const COMPLEXITY: i32 = 5;
