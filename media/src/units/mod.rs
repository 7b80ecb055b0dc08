//! Numbers that carry their meaning: wire numbers and extended numbers are different types, a clock rate is
//! never zero, and an SSRC looks the same in every log line.

mod bitrate;
mod clock_rate;
mod codec;
mod ntp;
mod payload_type;
mod seq;
mod ssrc;
mod timestamp;

pub use bitrate::Bitrate;
pub use clock_rate::ClockRate;
pub use codec::{Codec, MediaKind};
pub use ntp::NtpTime;
pub use payload_type::PayloadType;
pub use seq::{SeqNo, SeqUnwrapper, WireSeq};
pub use ssrc::Ssrc;
pub use timestamp::TimestampUnwrapper;
