//! The vocabulary of the house: units that cannot be mixed up, views of RTP and RTCP, MPEG transport streams, and just
//! enough of each codec to know where a picture starts and how long a sound lasts.
//!
//! Nothing here opens a socket, starts a task or reads the clock. Every parser takes bytes as a stranger
//! sent them: it never panics, never reads outside its input, and never builds a list longer than a named
//! bound.

pub mod av1;
mod bits;
pub mod h264;
pub mod h265;
pub mod mpegts;
pub mod opus;
pub mod picture_ids;
pub mod rtcp;
pub mod rtp;
pub mod units;
pub mod video;
pub mod vp8;
pub mod vp9;

pub use units::*;

#[cfg(test)]
mod testing {
    /// Bytes from hexadecimal digits; blanks are for the reader.
    pub(crate) fn hex(digits: &str) -> Vec<u8> {
        let digits: Vec<u8> = digits.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }
}
