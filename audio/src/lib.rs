//! AAC in, Opus out; and how loud it is.
//!
//! Publishers over RTMP and SRT send AAC, browsers take Opus. [`Transcoder`] is the machine between: sans-IO, told the
//! source's time with each packet, it counts samples and bends the resampling ratio so that sound keeps to the source's
//! clock for hours. [`codec`] has the codecs that it runs with. [`LevelMeter`] tells from samples how loud a second was, and
//! since when there is silence.
//!
//! Decoder and resampler are the system's libavcodec and libswresample, the encoder is the system's libopus. Weighed
//! and not taken: `symphonia` (pure Rust, but AAC-LC only), FAAD2 (HE-AAC, but hardly maintained), fdk-aac (not in
//! Debian's main archive), `ffmpeg-next` and `rusty_ffmpeg` (need libclang to build), an `ffmpeg` child per stream (no
//! say over its resampling ratio).

mod clock;
pub mod codec;
mod level;
mod sys;
mod transcoder;

pub use clock::{Correction, SampleClock};
pub use level::{Level, LevelMeter};
pub use transcoder::{OpusFrame, TranscodeError, Transcoder};

/// Sample rate of everything behind the decoder, hertz.
pub const RATE: u32 = 48_000;
/// Samples per channel of an Opus frame: 20 ms.
pub const FRAME: usize = 960;
/// Left and right.
pub const CHANNELS: usize = 2;
