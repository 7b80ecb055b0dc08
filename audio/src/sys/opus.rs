//! The functions of libopus that are needed (its interface has been stable since 1.0). The crates that wrap them bring a
//! build of libopus of their own.

use std::os::raw::c_int;
use std::ptr::NonNull;

#[repr(C)]
struct OpusEncoder {
    _opaque: [u8; 0],
}

#[repr(C)]
struct OpusDecoder {
    _opaque: [u8; 0],
}

unsafe extern "C" {
    fn opus_encoder_create(
        rate: i32,
        channels: c_int,
        application: c_int,
        error: *mut c_int,
    ) -> *mut OpusEncoder;
    fn opus_encoder_destroy(encoder: *mut OpusEncoder);
    fn opus_encoder_ctl(encoder: *mut OpusEncoder, request: c_int, ...) -> c_int;
    fn opus_encode_float(
        encoder: *mut OpusEncoder,
        pcm: *const f32,
        frame_size: c_int,
        data: *mut u8,
        max_data_bytes: i32,
    ) -> i32;
    fn opus_decoder_create(rate: i32, channels: c_int, error: *mut c_int) -> *mut OpusDecoder;
    fn opus_decoder_destroy(decoder: *mut OpusDecoder);
    fn opus_decode_float(
        decoder: *mut OpusDecoder,
        data: *const u8,
        length: i32,
        pcm: *mut f32,
        frame_size: c_int,
        decode_fec: c_int,
    ) -> c_int;
}

// <opus/opus_defines.h>
const OPUS_APPLICATION_AUDIO: c_int = 2049;
const OPUS_SET_BITRATE: c_int = 4002;
const OPUS_SET_COMPLEXITY: c_int = 4010;
const OPUS_GET_LOOKAHEAD: c_int = 4027;

const RATE: i32 = 48_000;
const CHANNELS: usize = 2;

/// An encoder of stereo at 48 kHz.
#[derive(Debug)]
pub(crate) struct Encoder(NonNull<OpusEncoder>);

// SAFETY: an encoder is plain memory without ties to a thread; `&mut self` keeps callers apart.
unsafe impl Send for Encoder {}

impl Encoder {
    /// `None` without memory.
    pub(crate) fn open(bits_per_second: i32, complexity: c_int) -> Option<Self> {
        let mut error = 0;
        // SAFETY: `error` outlives the call; the numbers are among those that libopus names.
        let encoder =
            unsafe { opus_encoder_create(RATE, CHANNELS as c_int, OPUS_APPLICATION_AUDIO, &raw mut error) };
        let encoder = Self(NonNull::new(encoder)?);
        // SAFETY: the encoder is open, and both requests take one `opus_int32`. A refusal leaves the default.
        unsafe {
            opus_encoder_ctl(encoder.0.as_ptr(), OPUS_SET_BITRATE, bits_per_second);
            opus_encoder_ctl(encoder.0.as_ptr(), OPUS_SET_COMPLEXITY, complexity);
        }
        Some(encoder)
    }

    /// By how many samples the decoder's output will lie behind the input.
    pub(crate) fn look_ahead(&self) -> u32 {
        let mut samples: i32 = 0;
        // SAFETY: the encoder is open, and the request takes a pointer to an `opus_int32`, which outlives the call.
        unsafe { opus_encoder_ctl(self.0.as_ptr(), OPUS_GET_LOOKAHEAD, &raw mut samples) };
        u32::try_from(samples).unwrap_or(0)
    }

    /// One frame of interleaved samples; says how many bytes of `out` it became.
    pub(crate) fn encode(&mut self, pcm: &[f32], out: &mut [u8]) -> Option<usize> {
        let samples = c_int::try_from(pcm.len() / CHANNELS).ok()?;
        let room = i32::try_from(out.len()).unwrap_or(i32::MAX);
        // SAFETY: the encoder is open, `pcm` has `samples` pairs and `out` has `room` bytes. A number of samples that
        // is no frame is refused.
        let length =
            unsafe { opus_encode_float(self.0.as_ptr(), pcm.as_ptr(), samples, out.as_mut_ptr(), room) };
        usize::try_from(length).ok().filter(|&length| length > 0)
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: opened in `open`, destroyed only here.
        unsafe { opus_encoder_destroy(self.0.as_ptr()) }
    }
}

/// A decoder to stereo at 48 kHz.
#[derive(Debug)]
pub(crate) struct Decoder(NonNull<OpusDecoder>);

// SAFETY: a decoder is plain memory without ties to a thread; `&mut self` keeps callers apart.
unsafe impl Send for Decoder {}

impl Decoder {
    /// `None` without memory.
    pub(crate) fn open() -> Option<Self> {
        let mut error = 0;
        // SAFETY: `error` outlives the call; the numbers are among those that libopus names.
        let decoder = unsafe { opus_decoder_create(RATE, CHANNELS as c_int, &raw mut error) };
        Some(Self(NonNull::new(decoder)?))
    }

    /// One packet; says how many samples of `pcm` it became, both channels counted. `None`: no Opus, or more than fits.
    pub(crate) fn decode(&mut self, packet: &[u8], pcm: &mut [f32]) -> Option<usize> {
        // Nothing at all would mean to libopus that a packet was lost.
        let length = i32::try_from(packet.len()).ok().filter(|&length| length > 0)?;
        let room = c_int::try_from(pcm.len() / CHANNELS).ok()?;
        // SAFETY: the decoder is open, `packet` has `length` bytes and `pcm` room for `room` pairs of samples.
        let samples =
            unsafe { opus_decode_float(self.0.as_ptr(), packet.as_ptr(), length, pcm.as_mut_ptr(), room, 0) };
        Some(usize::try_from(samples).ok()? * CHANNELS)
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: opened in `open`, destroyed only here.
        unsafe { opus_decoder_destroy(self.0.as_ptr()) }
    }
}
