use std::time::Duration;

use bytes::Buf;
use rtc_rtcp::{
    goodbye::Goodbye,
    header::{FORMAT_FIR, FORMAT_PLI, FORMAT_TLN, HEADER_LENGTH, Header, PacketType},
    payload_feedbacks::{
        full_intra_request::FullIntraRequest, picture_loss_indication::PictureLossIndication,
    },
    receiver_report::ReceiverReport,
    reception_report::ReceptionReport,
    sender_report::SenderReport,
    transport_feedbacks::transport_layer_nack::TransportLayerNack,
};
use rtc_shared::marshal::{Marshal, Unmarshal};
use thiserror::Error;

use super::{ReportBlock, TransportFeedback, transport_feedback, uplink};
use crate::{Bitrate, NtpTime, Ssrc, WireSeq};

/// The feedback message format of transport-wide feedback.
const FORMAT_TRANSPORT_WIDE: u8 = 15;
/// At most so many packets are taken from one datagram; a datagram with more is refused.
pub const MAX_PACKETS_PER_COMPOUND: usize = 32;
/// At most so many sequence numbers are taken from one NACK; the rest of it is ignored. Browsers keep at most
/// 1000 on their list.
pub const MAX_LOST_PER_NACK: usize = 1_024;
/// At most so many entries are taken from one full intra request; the rest of it is ignored.
pub const MAX_FIR_ENTRIES: usize = 32;

/// One RTCP packet, as far as a relay needs to understand it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rtcp {
    /// A sender's clock and counters.
    SenderReport {
        /// The sender.
        ssrc: Ssrc,
        /// The instant of the report on the sender's wall clock.
        ntp: NtpTime,
        /// The same instant on the track's clock.
        rtp_timestamp: u32,
        /// Packets sent so far; wraps.
        packets: u32,
        /// Payload bytes sent so far; wraps.
        octets: u32,
        /// What the sender received itself; at most 31.
        reports: Vec<ReportBlock>,
    },
    /// How well somebody receives.
    ReceiverReport {
        /// The receiver.
        ssrc: Ssrc,
        /// One for each stream it receives; at most 31.
        reports: Vec<ReportBlock>,
    },
    /// Packets that are asked for again (RFC 4585 section 6.2.1).
    Nack {
        /// Who asks.
        sender: Ssrc,
        /// The stream they are missing from.
        media: Ssrc,
        /// As listed, possibly with repetitions; at most [`MAX_LOST_PER_NACK`].
        lost: Vec<WireSeq>,
    },
    /// A decoder lost its picture (RFC 4585 section 6.3.1).
    Pli {
        /// The stream that should send a keyframe.
        media: Ssrc,
    },
    /// A keyframe is asked for (RFC 5104 section 4.3.1).
    Fir {
        /// The streams, each with a number that only changes for a new request; at most [`MAX_FIR_ENTRIES`].
        media: Vec<(Ssrc, u8)>,
    },
    /// When packets came, under a count for all of a transport.
    TransportFeedback(TransportFeedback),
    /// A receiver that sends nothing itself wants to measure the round trip (RFC 3611 section 4.4).
    ReceiverReferenceTime {
        /// The receiver.
        ssrc: Ssrc,
        /// The instant of the report on the receiver's wall clock.
        ntp: NtpTime,
    },
    /// Streams that end.
    Bye {
        /// Which ones; at most 31.
        ssrcs: Vec<Ssrc>,
    },
    /// From an ingest: media takes at least so long from its encoder until it leaves the ingest.
    LeastDelay {
        /// Whole microseconds.
        delay: Duration,
    },
    /// From an ingest that knows its publisher's clock: when something was captured.
    Captured {
        /// The track.
        ssrc: Ssrc,
        /// On the track's clock.
        rtp_timestamp: u32,
        /// How long before this was sent; whole microseconds.
        ago: Duration,
    },
    /// From an ingest: the publisher sends more than its channel may.
    OverLimit {
        /// Whole kilobits per second.
        limit: Bitrate,
    },
    /// A well-formed packet of a kind nobody here reads.
    Other,
}

/// Why a datagram is no RTCP. The whole datagram is refused then, as RFC 3550 appendix A.2 advises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RtcpError {
    /// Not a single packet.
    #[error("empty RTCP datagram")]
    Empty,
    /// Longer than any UDP datagram.
    #[error("RTCP datagram of {0} bytes")]
    TooLong(usize),
    /// A version other than 2, or a length that reaches past the datagram.
    #[error("malformed RTCP header at byte {at}")]
    Header {
        /// Where the packet starts in the datagram.
        at: usize,
    },
    /// The padding is empty, no multiple of four, or longer than its packet.
    #[error("malformed RTCP padding in the packet at byte {at}")]
    Padding {
        /// Where the packet starts in the datagram.
        at: usize,
    },
    /// The contents of a known packet contradict its length.
    #[error("malformed RTCP packet of type {packet_type} at byte {at}")]
    Body {
        /// Where the packet starts in the datagram.
        at: usize,
        /// The packet type byte.
        packet_type: u8,
    },
    /// More than [`MAX_PACKETS_PER_COMPOUND`].
    #[error("too many RTCP packets in one datagram")]
    TooMany,
}

/// Reads all packets of one datagram. A single feedback packet without a report in front is fine (RFC 5506).
///
/// # Errors
/// See [`RtcpError`].
pub fn parse_compound(datagram: &[u8]) -> Result<Vec<Rtcp>, RtcpError> {
    if datagram.is_empty() {
        return Err(RtcpError::Empty);
    }
    // The library counts some lengths in 16 bits of bytes.
    if datagram.len() > usize::from(u16::MAX) {
        return Err(RtcpError::TooLong(datagram.len()));
    }
    let mut packets = Vec::new();
    let mut rest = datagram;
    while !rest.is_empty() {
        if packets.len() == MAX_PACKETS_PER_COMPOUND {
            return Err(RtcpError::TooMany);
        }
        let at = datagram.len() - rest.len();
        let header = Header::unmarshal(&mut &*rest).map_err(|_| RtcpError::Header { at })?;
        let len = HEADER_LENGTH + usize::from(header.length) * 4;
        let (packet, behind) = rest.split_at_checked(len).ok_or(RtcpError::Header { at })?;
        let body = &packet[HEADER_LENGTH..];
        let transport_feedback = header.packet_type == PacketType::TransportSpecificFeedback
            && header.count == FORMAT_TRANSPORT_WIDE;
        // libwebrtc pads that one from any length to whole words. It says itself where it ends.
        let body = if header.padding && !transport_feedback {
            without_padding(body).ok_or(RtcpError::Padding { at })?
        } else {
            body
        };
        packets.push(parse_one(&header, body).map_err(|_| RtcpError::Body { at, packet_type: packet[1] })?);
        rest = behind;
    }
    Ok(packets)
}

/// Takes the padding off; its last byte says how long it is. In whole words, so that the rest stays aligned.
fn without_padding(body: &[u8]) -> Option<&[u8]> {
    let padding = usize::from(*body.last()?);
    if padding == 0 || !padding.is_multiple_of(4) {
        None
    } else {
        body.get(..body.len().checked_sub(padding)?)
    }
}

/// Only these six kinds go to the library: their parsers were read with hostile bytes in mind and build no list
/// longer than the packet. Others stay shut. The one for transport-wide feedback, for example, builds a list of
/// 65,535 entries from some 30 bytes; ours stops at those that anybody here would look at.
fn parse_one(header: &Header, body: &[u8]) -> Result<Rtcp, rtc_shared::error::Error> {
    Ok(match (header.packet_type, header.count) {
        (PacketType::SenderReport, _) => {
            let report: SenderReport = parse_with_library(header, body)?;
            Rtcp::SenderReport {
                ssrc: Ssrc(report.ssrc),
                ntp: NtpTime(report.ntp_time),
                rtp_timestamp: report.rtp_time,
                packets: report.packet_count,
                octets: report.octet_count,
                reports: report.reports.iter().map(report_block).collect(),
            }
        }
        (PacketType::ReceiverReport, _) => {
            let report: ReceiverReport = parse_with_library(header, body)?;
            Rtcp::ReceiverReport {
                ssrc: Ssrc(report.ssrc),
                reports: report.reports.iter().map(report_block).collect(),
            }
        }
        (PacketType::Goodbye, _) => {
            let goodbye: Goodbye = parse_with_library(header, body)?;
            Rtcp::Bye { ssrcs: goodbye.sources.into_iter().map(Ssrc).collect() }
        }
        (PacketType::TransportSpecificFeedback, FORMAT_TLN) => {
            let nack: TransportLayerNack = parse_with_library(header, body)?;
            let lost = nack.nacks.into_iter().flatten().map(WireSeq).take(MAX_LOST_PER_NACK).collect();
            Rtcp::Nack { sender: Ssrc(nack.sender_ssrc), media: Ssrc(nack.media_ssrc), lost }
        }
        (PacketType::TransportSpecificFeedback, FORMAT_TRANSPORT_WIDE) => {
            transport_feedback::read(body).map_or(Rtcp::Other, Rtcp::TransportFeedback)
        }
        (PacketType::PayloadSpecificFeedback, FORMAT_PLI) => {
            let pli: PictureLossIndication = parse_with_library(header, body)?;
            Rtcp::Pli { media: Ssrc(pli.media_ssrc) }
        }
        (PacketType::PayloadSpecificFeedback, FORMAT_FIR) => {
            let fir: FullIntraRequest = parse_with_library(header, body)?;
            let entries = fir.fir.iter().take(MAX_FIR_ENTRIES);
            Rtcp::Fir { media: entries.map(|entry| (Ssrc(entry.ssrc), entry.sequence_number)).collect() }
        }
        (PacketType::ExtendedReport, _) => receiver_reference_time(body).unwrap_or(Rtcp::Other),
        (PacketType::ApplicationDefined, subtype) => uplink::read(subtype, body).unwrap_or(Rtcp::Other),
        _ => Rtcp::Other,
    })
}

/// The first such block among those of an extended report (RFC 3611 section 3); other blocks are skipped. Blocks that
/// reach past the report end it.
fn receiver_reference_time(body: &[u8]) -> Option<Rtcp> {
    const RECEIVER_REFERENCE_TIME: u8 = 4;
    let (&ssrc, mut blocks) = body.split_first_chunk()?;
    while let Some((&[block_type, _, high, low], rest)) = blocks.split_first_chunk() {
        let (content, behind) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])) * 4)?;
        if let (RECEIVER_REFERENCE_TIME, &Ok(ntp)) = (block_type, &content.try_into()) {
            let (ssrc, ntp) = (Ssrc(u32::from_be_bytes(ssrc)), NtpTime(u64::from_be_bytes(ntp)));
            return Some(Rtcp::ReceiverReferenceTime { ssrc, ntp });
        }
        blocks = behind;
    }
    None
}

/// Gives the library a packet whose header says what is really there: no padding, and the length without it.
/// It would read padding as further entries.
fn parse_with_library<P: Unmarshal>(header: &Header, body: &[u8]) -> Result<P, rtc_shared::error::Error> {
    let words = u16::try_from(body.len() / 4).expect("not longer than the length field said");
    let honest = Header { padding: false, length: words, ..header.clone() };
    let mut head = [0; HEADER_LENGTH];
    honest.marshal_to(&mut head)?;
    P::unmarshal(&mut head.as_slice().chain(body))
}

fn report_block(report: &ReceptionReport) -> ReportBlock {
    ReportBlock {
        ssrc: Ssrc(report.ssrc),
        fraction_lost: report.fraction_lost,
        // 24 bits with a sign.
        cumulative_lost: (report.total_lost << 8).cast_signed() >> 8,
        highest_seq: report.last_sequence_number,
        jitter: report.jitter,
        last_sr: report.last_sender_report,
        delay_since_last_sr: report.delay,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::hex;

    fn lost(seqs: &[u16]) -> Vec<WireSeq> {
        seqs.iter().copied().map(WireSeq).collect()
    }

    #[test]
    fn packets_of_the_ftl_notes() {
        assert_eq!(
            parse_compound(&hex("80c80006 000004d3 e8fe6f80 1f9acffa 00015f90 00000258 000aae60")),
            Ok(vec![Rtcp::SenderReport {
                ssrc: Ssrc(1235),
                ntp: NtpTime(0xe8fe_6f80_1f9a_cffa),
                rtp_timestamp: 90_000,
                packets: 600,
                octets: 700_000,
                reports: vec![],
            }])
        );
        assert_eq!(
            parse_compound(&hex("81cd0003 000004d3 000004d3 0064 0012")),
            Ok(vec![Rtcp::Nack { sender: Ssrc(1235), media: Ssrc(1235), lost: lost(&[100, 102, 105]) }])
        );
    }

    #[test]
    fn transport_feedback_with_odd_padding() {
        // As Chromium writes it: five packets, one byte of padding.
        let feedback = TransportFeedback {
            first: WireSeq(9),
            reference: 0x0001_0203,
            arrivals: [4, 8, 12, 16, 20].map(Some).to_vec(),
        };
        let datagram = hex("afcd0006 00000001 00000002 00090005 01020300 2005 0404040404 01");
        assert_eq!(parse_compound(&datagram), Ok(vec![Rtcp::TransportFeedback(feedback)]));
    }

    #[test]
    fn a_browsers_compound() {
        // Receiver report with one block, source description, NACK, picture loss, bandwidth estimate, goodbye.
        let datagram = hex("81c90007 00000001 00000002 40fffffe 0001ffff 00000007 01020304 00010000
             81ca0002 00000001 01016100
             81cd0004 00000001 00000002 ffff8001 00050000
             81ce0002 00000001 00000002
             8fce0004 00000001 00000000 52454d42 00000000
             84ce0006 00000001 00000000 00000002 07000000 00000003 ff000000
             82cb0003 00000001 00000002 03627965");
        let report = ReportBlock {
            ssrc: Ssrc(2),
            fraction_lost: 0x40,
            cumulative_lost: -2,
            highest_seq: 0x0001_ffff,
            jitter: 7,
            last_sr: 0x0102_0304,
            delay_since_last_sr: 0x0001_0000,
        };
        assert_eq!(
            parse_compound(&datagram),
            Ok(vec![
                Rtcp::ReceiverReport { ssrc: Ssrc(1), reports: vec![report] },
                Rtcp::Other,
                Rtcp::Nack { sender: Ssrc(1), media: Ssrc(2), lost: lost(&[65_535, 0, 15, 5]) },
                Rtcp::Pli { media: Ssrc(2) },
                Rtcp::Other,
                Rtcp::Fir { media: vec![(Ssrc(2), 7), (Ssrc(3), 255)] },
                Rtcp::Bye { ssrcs: vec![Ssrc(1), Ssrc(2)] },
            ])
        );
    }

    #[test]
    fn reference_times() {
        let ntp = NtpTime(0xe8fe_6f80_1f9a_cffa);
        let time = Rtcp::ReceiverReferenceTime { ssrc: Ssrc(1), ntp };
        for (datagram, expected) in [
            ("80cf0004 00000001 04000002 e8fe6f80 1f9acffa", time.clone()),
            // Behind a block of another kind.
            ("80cf0006 00000001 07000001 00000000 04000002 e8fe6f80 1f9acffa", time),
            ("80cf0001 00000001", Rtcp::Other),
            ("80cf0000", Rtcp::Other),
            // Of a wrong length, and past the end.
            ("80cf0003 00000001 04000001 e8fe6f80", Rtcp::Other),
            ("80cf0003 00000001 04000002 e8fe6f80", Rtcp::Other),
            ("80cf0002 00000001 0400ffff", Rtcp::Other),
        ] {
            assert_eq!(parse_compound(&hex(datagram)), Ok(vec![expected]), "{datagram}");
        }
    }

    #[test]
    fn padding_is_no_content() {
        let nack = hex("a1cd0004 00000001 00000002 00640000 00000004");
        assert_eq!(
            parse_compound(&nack),
            Ok(vec![Rtcp::Nack { sender: Ssrc(1), media: Ssrc(2), lost: lost(&[100]) }])
        );
    }

    #[test]
    fn malformed() {
        let body = |at, packet_type| RtcpError::Body { at, packet_type };
        for (datagram, error) in [
            ("", RtcpError::Empty),
            ("80", RtcpError::Header { at: 0 }),
            ("40c90001 00000001", RtcpError::Header { at: 0 }),
            ("80c90002 00000001", RtcpError::Header { at: 0 }),
            ("80c90001 00000001 80c9", RtcpError::Header { at: 8 }),
            ("a0c90001 00000000", RtcpError::Padding { at: 0 }),
            ("a0c90001 00000003", RtcpError::Padding { at: 0 }),
            ("a0c90001 00000008", RtcpError::Padding { at: 0 }),
            ("a0c90000", RtcpError::Padding { at: 0 }),
            // Padding that eats the sender.
            ("a0c90001 00000004", body(0, 201)),
            // Report blocks that are not there.
            ("81c90001 00000001", body(0, 201)),
            ("81c80006 00000001 00000000 00000000 00000000 00000000 00000000", body(0, 200)),
            ("80c80001 00000001", body(0, 200)),
            ("82cb0001 00000001", body(0, 203)),
            // A reason that is longer than the packet.
            ("81cb0002 00000001 ff616263", body(0, 203)),
            ("81cd0001 00000001", body(0, 205)),
            ("81ce0001 00000001", body(0, 206)),
            ("84ce0002 00000001 00000000", body(0, 206)),
            ("84ce0003 00000001 00000000 00000002", body(0, 206)),
            ("84ce0005 00000001 00000000 00000002 07000000 00000003", body(0, 206)),
            ("80c90001 00000001 81ce0001 00000001", body(8, 206)),
        ] {
            assert_eq!(parse_compound(&hex(datagram)), Err(error), "{datagram}");
        }
    }

    #[test]
    fn every_list_has_a_bound() {
        let many = |packet: &str, times| hex(&packet.repeat(times));
        assert_eq!(parse_compound(&many("80c90001 00000001", 32)).map(|packets| packets.len()), Ok(32));
        assert_eq!(parse_compound(&many("80c90001 00000001", 33)), Err(RtcpError::TooMany));
        assert_eq!(parse_compound(&vec![0; 65_536]), Err(RtcpError::TooLong(65_536)));

        let mut nack = hex("81cd3ffe 00000001 00000002");
        nack.resize(4 * 0x3fff, 0xff);
        let Rtcp::Nack { lost, .. } = &parse_compound(&nack).unwrap()[0] else { panic!("a NACK") };
        assert_eq!(lost.len(), MAX_LOST_PER_NACK);

        let mut fir = hex("84ce3ffe 00000001 00000002");
        fir.resize(4 * 0x3fff, 0xff);
        let Rtcp::Fir { media } = &parse_compound(&fir).unwrap()[0] else { panic!("a full intra request") };
        assert_eq!(media.len(), MAX_FIR_ENTRIES);
    }

    proptest! {
        #[test]
        fn never_panics(
            packets in proptest::collection::vec(
                (any::<u8>(), 190..=210_u8, 0..8_u16, proptest::collection::vec(any::<u8>(), 0..40)), 0..6),
        ) {
            let mut datagram = Vec::new();
            for (first, packet_type, length, body) in packets {
                datagram.extend([first & 0x3f | 0x80, packet_type]);
                datagram.extend(length.to_be_bytes());
                datagram.extend(body);
            }
            let _ = parse_compound(&datagram);
        }

        #[test]
        fn never_panics_with_right_lengths(
            packets in proptest::collection::vec(
                (any::<u8>(), 200..=207_u8, proptest::collection::vec(any::<u32>(), 0..12)), 1..6),
        ) {
            let mut datagram = Vec::new();
            for (first, packet_type, words) in packets {
                datagram.extend([first & 0x3f | 0x80, packet_type]);
                datagram.extend(u16::try_from(words.len()).unwrap().to_be_bytes());
                datagram.extend(words.iter().flat_map(|word| word.to_be_bytes()));
            }
            let _ = parse_compound(&datagram);
        }
    }
}
