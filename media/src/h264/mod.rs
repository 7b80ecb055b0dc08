//! H.264: what is inside RTP payloads (RFC 6184) and inside sequence parameter sets (ITU-T H.264).
//!
//! Only packetization mode 1 is understood: single NAL units, STAP-A and FU-A. That is all WebRTC, FTL and
//! every encoder in use send.

pub mod annex_b;
mod depacketise;
mod nal;
mod packetise;
mod payload;
mod probe;
mod slice;
mod sps;
mod vui;

use thiserror::Error;

pub use depacketise::{DEFAULT_MAX_NAL, Depacketiser};
pub use nal::{NalSet, NalType};
pub use packetise::{Packetiser, Piece};
pub use probe::{Probe, pps_in, probe, sps_in};
pub use sps::{Sps, SpsError};

/// Why an RTP payload is not H.264 in packetization mode 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum H264Error {
    /// No NAL unit in the packet, or one without bytes.
    #[error("empty H.264 payload or NAL unit")]
    Empty,
    /// The forbidden bit is set: somebody on the way marked the NAL unit as broken.
    #[error("H.264 NAL unit with the forbidden bit")]
    Forbidden,
    /// A packet type of another packetization mode, or a reserved one.
    #[error("unsupported H.264 packet type {0}")]
    Unsupported(u8),
    /// An aggregation or fragment ends in the middle of a header or a NAL unit.
    #[error("truncated H.264 payload")]
    Truncated,
    /// A NAL unit in fragments grew beyond the depacketiser's bound.
    #[error("H.264 NAL unit of more than {limit} bytes")]
    TooLong {
        /// The bound, in bytes.
        limit: usize,
    },
}
