//! Compound RTCP datagrams: bounded lists, and whatever is understood survives being written again.
#![no_main]

use std::collections::BTreeSet;

use heliograph_media::{
    Ssrc, WireSeq,
    rtcp::{
        MAX_FEEDBACK_PACKETS, MAX_FIR_ENTRIES, MAX_LOST_PER_NACK, MAX_PACKETS_PER_COMPOUND, MAX_REPORTS,
        ReportBlock, Rtcp, SenderInfo, is_rtcp, parse_compound, write_bye, write_captured, write_least_delay,
        write_nack, write_over_limit, write_pli, write_receiver_report, write_sender_report,
    },
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|datagram: &[u8]| {
    let _ = is_rtcp(datagram);
    let Ok(packets) = parse_compound(datagram) else { return };
    assert!(packets.len() <= MAX_PACKETS_PER_COMPOUND);
    let mut out = Vec::new();
    for packet in &packets {
        out.clear();
        match packet {
            &Rtcp::SenderReport { ssrc, ntp, rtp_timestamp, packets, octets, ref reports } => {
                check_reports(reports);
                let sender = SenderInfo { ssrc, ntp, rtp_timestamp, packets, octets };
                write_sender_report(&mut out, &sender, reports);
            }
            Rtcp::ReceiverReport { ssrc, reports } => {
                check_reports(reports);
                write_receiver_report(&mut out, *ssrc, reports);
            }
            Rtcp::Nack { sender, media, lost } => {
                assert!(lost.len() <= MAX_LOST_PER_NACK);
                check_nack(*sender, *media, lost);
                continue;
            }
            Rtcp::Fir { media } => {
                assert!(media.len() <= MAX_FIR_ENTRIES);
                continue;
            }
            Rtcp::TransportFeedback(feedback) => {
                assert!(feedback.arrivals.len() <= MAX_FEEDBACK_PACKETS);
                continue;
            }
            // The sender is not kept, so any will do.
            Rtcp::Pli { media } => write_pli(&mut out, Ssrc(0), *media),
            Rtcp::Bye { ssrcs } => write_bye(&mut out, ssrcs),
            Rtcp::ReceiverReferenceTime { ssrc, ntp } => {
                out.extend([0x80, 207, 0, 4]);
                out.extend(ssrc.0.to_be_bytes());
                out.extend([4, 0, 0, 2]);
                out.extend(ntp.0.to_be_bytes());
            }
            // The sender is not kept here either.
            Rtcp::LeastDelay { delay } => write_least_delay(&mut out, Ssrc(0), *delay),
            Rtcp::Captured { ssrc, rtp_timestamp, ago } => {
                write_captured(&mut out, *ssrc, *rtp_timestamp, *ago);
            }
            Rtcp::OverLimit { limit } => write_over_limit(&mut out, Ssrc(0), *limit),
            Rtcp::Other => continue,
        }
        assert_eq!(parse_compound(&out).as_deref(), Ok(std::slice::from_ref(packet)));
    }
});

fn check_reports(reports: &[ReportBlock]) {
    assert!(reports.len() <= MAX_REPORTS);
    for report in reports {
        let _ = report.round_trip(Default::default());
    }
}

/// A NACK is written with other pairs than it was read from; the set of numbers is what counts.
fn check_nack(sender: Ssrc, media: Ssrc, lost: &[WireSeq]) {
    let mut out = Vec::new();
    let mut rest = lost;
    while !rest.is_empty() {
        let covered = write_nack(&mut out, sender, media, rest);
        assert!(covered > 0);
        rest = &rest[covered..];
    }
    let mut read = BTreeSet::new();
    for packet in parse_compound(&out).expect("what we write we read") {
        let Rtcp::Nack { sender: from, media: of, lost } = packet else { panic!("only NACKs were written") };
        assert_eq!((from, of), (sender, media));
        read.extend(lost.iter().map(|seq| seq.0));
    }
    assert_eq!(read, lost.iter().map(|seq| seq.0).collect());
}
