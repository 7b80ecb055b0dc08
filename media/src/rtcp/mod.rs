//! RTCP: reports, feedback and goodbyes (RFC 3550 section 6, RFC 3611, RFC 4585, RFC 5104), and what an ingest tells a relay.
//!
//! Reading goes through the `rtc-rtcp` library and gives owned values; writing appends to a `Vec` that the
//! caller keeps, without allocating once that has grown.

mod read;
mod reception;
mod report;
mod transport_feedback;
mod uplink;
mod write;

pub use read::{
    MAX_FIR_ENTRIES, MAX_LOST_PER_NACK, MAX_PACKETS_PER_COMPOUND, Rtcp, RtcpError, parse_compound,
};
pub use reception::Reception;
pub use report::{ReportBlock, SenderInfo};
pub use transport_feedback::{MAX_FEEDBACK_PACKETS, TransportFeedback, write_transport_feedback};
pub use uplink::{write_captured, write_least_delay, write_over_limit};
pub use write::{
    MAX_CNAME_LEN, MAX_PAIRS_PER_NACK, MAX_REPORTS, write_bye, write_delay_since_reference_time, write_fir,
    write_nack, write_pli, write_receiver_report, write_remb, write_sdes_cname, write_sender_report,
};

/// Whether a datagram on a port shared by RTP and RTCP is RTCP: version 2 and a second byte of 192 to 223
/// (RFC 5761 section 4).
#[must_use]
pub fn is_rtcp(datagram: &[u8]) -> bool {
    matches!(datagram, [first, 192..=223, ..] if first >> 6 == 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn told_apart_from_rtp_by_the_second_byte() {
        for (bytes, expected) in [
            (&[][..], false),
            (&[0x80], false),
            (&[0x80, 200], true),
            (&[0x81, 205], true),
            (&[0x80, 191], false),
            (&[0x80, 192], true),
            (&[0x80, 223], true),
            (&[0x80, 224], false),
            (&[0x40, 200], false),
            (&[0x80, 96], false),
            (&[0x80, 0xe0], false),
            // FTL ping.
            (&[0x81, 0xfa], false),
        ] {
            assert_eq!(is_rtcp(bytes), expected, "{bytes:02x?}");
        }
    }
}
