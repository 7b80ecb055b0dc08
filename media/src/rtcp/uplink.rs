//! What an ingest tells a relay about a publisher and the way from there to itself: packets of type APP (RFC 3550 section 6.7) named
//! `HGUP`. They go from ingest to relay only; whoever knows nothing of them skips them.
//!
//! Ages, not moments: ingest and relay need no common clock, only a short way between them.

use std::time::Duration;

use super::{
    Rtcp,
    write::{begin, end, put},
};
use crate::{Bitrate, Ssrc};

const APPLICATION_DEFINED: u8 = 204;
const NAME: &[u8; 4] = b"HGUP";
/// Subtype: microseconds that any media takes at least.
const LEAST_DELAY: u8 = 0;
/// Subtype: a timestamp, and how many microseconds ago it was captured.
const CAPTURED: u8 = 1;
/// Subtype: kilobits per second that the publisher may send, and sends more.
const OVER_LIMIT: u8 = 2;

/// Appends how long media takes at least from its encoder until it leaves the ingest. In whole microseconds, at most 71
/// minutes.
pub fn write_least_delay(out: &mut Vec<u8>, sender: Ssrc, delay: Duration) {
    let start = begin(out, usize::from(LEAST_DELAY), APPLICATION_DEFINED);
    put(out, sender.0);
    out.extend_from_slice(NAME);
    put(out, micros(delay));
    end(out, start);
}

/// Appends how long ago that was captured which has this timestamp on the track `ssrc`. In whole microseconds, at most 71
/// minutes.
pub fn write_captured(out: &mut Vec<u8>, ssrc: Ssrc, rtp_timestamp: u32, ago: Duration) {
    let start = begin(out, usize::from(CAPTURED), APPLICATION_DEFINED);
    put(out, ssrc.0);
    out.extend_from_slice(NAME);
    put(out, rtp_timestamp);
    put(out, micros(ago));
    end(out, start);
}

/// Appends that the publisher sends more than its channel may. In whole kilobits per second.
pub fn write_over_limit(out: &mut Vec<u8>, sender: Ssrc, limit: Bitrate) {
    let start = begin(out, usize::from(OVER_LIMIT), APPLICATION_DEFINED);
    put(out, sender.0);
    out.extend_from_slice(NAME);
    put(out, u32::try_from(limit.as_bps() / 1_000).unwrap_or(u32::MAX));
    end(out, start);
}

/// The contents of a packet of type APP; `None` for others than these.
pub(super) fn read(subtype: u8, body: &[u8]) -> Option<Rtcp> {
    let (ssrc, rest) = body.split_first_chunk()?;
    let content = rest.strip_prefix(NAME)?;
    let number = |bytes: &[u8; 4]| u32::from_be_bytes(*bytes);
    let time = |bytes: &[u8; 4]| Duration::from_micros(u64::from(number(bytes)));
    match (subtype, content.as_chunks().0) {
        (LEAST_DELAY, [delay, ..]) => Some(Rtcp::LeastDelay { delay: time(delay) }),
        (CAPTURED, [timestamp, ago, ..]) => Some(Rtcp::Captured {
            ssrc: Ssrc(number(ssrc)),
            rtp_timestamp: number(timestamp),
            ago: time(ago),
        }),
        (OVER_LIMIT, [limit, ..]) => Some(Rtcp::OverLimit { limit: Bitrate::kbps(number(limit).into()) }),
        _ => None,
    }
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::{rtcp::parse_compound, testing::hex};

    #[test]
    fn what_is_written_can_be_read() {
        let mut out = Vec::new();
        write_least_delay(&mut out, Ssrc(7), Duration::from_millis(50));
        write_captured(&mut out, Ssrc(0x0102_0304), 0xffff_fff0, Duration::from_micros(123_456));
        assert_eq!(
            out,
            hex("80cc0003 00000007 48475550 0000c350
                 81cc0004 01020304 48475550 fffffff0 0001e240")
        );
        let ago = Duration::from_micros(123_456);
        write_over_limit(&mut out, Ssrc(0), Bitrate::kbps(8_000));
        assert_eq!(out[36..], hex("82cc0003 00000000 48475550 00001f40"));
        assert_eq!(
            parse_compound(&out).unwrap(),
            [
                Rtcp::LeastDelay { delay: Duration::from_millis(50) },
                Rtcp::Captured { ssrc: Ssrc(0x0102_0304), rtp_timestamp: 0xffff_fff0, ago },
                Rtcp::OverLimit { limit: Bitrate::kbps(8_000) },
            ]
        );
    }

    #[test]
    fn other_applications_and_short_ones_are_skipped() {
        for datagram in [
            "80cc0000",
            "80cc0001 00000007",
            "80cc0002 00000007 48475550",
            "81cc0003 00000007 48475550 0000c350",
            "82cc0002 00000007 48475550",
            "83cc0003 00000007 48475550 0000c350",
            "80cc0003 00000007 4e414d45 0000c350",
        ] {
            assert_eq!(parse_compound(&hex(datagram)), Ok(vec![Rtcp::Other]), "{datagram}");
        }
    }

    #[test]
    fn long_times_are_cut() {
        let mut out = Vec::new();
        write_least_delay(&mut out, Ssrc(0), Duration::MAX);
        assert_eq!(out[12..], [0xff; 4]);
    }
}
