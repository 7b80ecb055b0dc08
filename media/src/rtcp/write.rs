use super::{ReportBlock, SenderInfo};
use crate::{NtpTime, Ssrc, WireSeq};

/// A report, and a goodbye, has room for so many streams.
pub const MAX_REPORTS: usize = 31;
/// One NACK carries at most so many pairs, so that it fits any path.
pub const MAX_PAIRS_PER_NACK: usize = 256;
/// A canonical name has at most so many bytes.
pub const MAX_CNAME_LEN: usize = 255;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
pub(super) const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;
const EXTENDED_REPORT: u8 = 207;

/// Appends a sender report (RFC 3550 section 6.4.1). Report blocks beyond [`MAX_REPORTS`] are left out.
pub fn write_sender_report(out: &mut Vec<u8>, sender: &SenderInfo, reports: &[ReportBlock]) {
    let reports = &reports[..reports.len().min(MAX_REPORTS)];
    let start = begin(out, reports.len(), SENDER_REPORT);
    put(out, sender.ssrc.0);
    out.extend(sender.ntp.0.to_be_bytes());
    put(out, sender.rtp_timestamp);
    put(out, sender.packets);
    put(out, sender.octets);
    put_reports(out, reports);
    end(out, start);
}

/// Appends a receiver report (RFC 3550 section 6.4.2). Report blocks beyond [`MAX_REPORTS`] are left out.
pub fn write_receiver_report(out: &mut Vec<u8>, ssrc: Ssrc, reports: &[ReportBlock]) {
    let reports = &reports[..reports.len().min(MAX_REPORTS)];
    let start = begin(out, reports.len(), RECEIVER_REPORT);
    put(out, ssrc.0);
    put_reports(out, reports);
    end(out, start);
}

/// Appends a source description with one canonical name (RFC 3550 section 6.5.1), cut at [`MAX_CNAME_LEN`]
/// bytes.
pub fn write_sdes_cname(out: &mut Vec<u8>, ssrc: Ssrc, cname: &str) {
    const CNAME: u8 = 1;
    let name = &cname.as_bytes()[..cname.len().min(MAX_CNAME_LEN)];
    let start = begin(out, 1, SOURCE_DESCRIPTION);
    put(out, ssrc.0);
    out.push(CNAME);
    out.push(u8::try_from(name.len()).expect("cut to 255"));
    out.extend_from_slice(name);
    // The list of items ends with at least one zero, up to the next word.
    let unaligned = (out.len() - start) % 4;
    out.extend_from_slice(&[0; 4][unaligned..]);
    end(out, start);
}

/// Appends the answer to a receiver's reference time (RFC 3611 section 4.5): which one was the last, and how long ago
/// it came, in 1/65536 s.
pub fn write_delay_since_reference_time(
    out: &mut Vec<u8>,
    sender: Ssrc,
    receiver: Ssrc,
    last: NtpTime,
    delay: u32,
) {
    const DELAY_SINCE_REFERENCE_TIME: u32 = 5 << 24;
    const WORDS: u32 = 3;
    let start = begin(out, 0, EXTENDED_REPORT);
    put(out, sender.0);
    put(out, DELAY_SINCE_REFERENCE_TIME | WORDS);
    put(out, receiver.0);
    put(out, last.middle32());
    put(out, delay);
    end(out, start);
}

/// Appends a generic NACK (RFC 4585 section 6.2.1) and says how many of `lost` it covers: fewer than all when
/// [`MAX_PAIRS_PER_NACK`] pairs are not enough. An empty list writes nothing. Ascending order packs best.
pub fn write_nack(out: &mut Vec<u8>, sender: Ssrc, media: Ssrc, lost: &[WireSeq]) -> usize {
    const GENERIC_NACK: usize = 1;
    if lost.is_empty() {
        return 0;
    }
    let start = begin(out, GENERIC_NACK, TRANSPORT_FEEDBACK);
    put(out, sender.0);
    put(out, media.0);
    let mut covered = 0;
    for _ in 0..MAX_PAIRS_PER_NACK {
        let Some((&pid, following)) = lost[covered..].split_first() else { break };
        let mut mask = 0_u16;
        covered += 1;
        for seq in following {
            match seq.0.wrapping_sub(pid.0) {
                0 => {}
                distance @ 1..=16 => mask |= 1 << (distance - 1),
                _ => break,
            }
            covered += 1;
        }
        out.extend(pid.0.to_be_bytes());
        out.extend(mask.to_be_bytes());
    }
    end(out, start);
    covered
}

/// Appends a picture loss indication (RFC 4585 section 6.3.1).
pub fn write_pli(out: &mut Vec<u8>, sender: Ssrc, media: Ssrc) {
    const PLI: usize = 1;
    let start = begin(out, PLI, PAYLOAD_FEEDBACK);
    put(out, sender.0);
    put(out, media.0);
    end(out, start);
}

/// Appends a receiver's estimate of the bandwidth (draft-alvestrand-rmcat-remb-03) for up to 255 streams, in bits per
/// second; rounded down to the 18 bits of the mantissa.
pub fn write_remb(out: &mut Vec<u8>, sender: Ssrc, bits_per_second: u64, media: &[Ssrc]) {
    const APPLICATION: usize = 15;
    let media = &media[..media.len().min(usize::from(u8::MAX))];
    let exponent = (u64::BITS - bits_per_second.leading_zeros()).saturating_sub(18);
    let mantissa = u32::try_from(bits_per_second >> exponent).expect("18 bits");
    let count = u32::try_from(media.len()).expect("at most 255");
    let start = begin(out, APPLICATION, PAYLOAD_FEEDBACK);
    put(out, sender.0);
    put(out, 0);
    out.extend_from_slice(b"REMB");
    put(out, count << 24 | exponent << 18 | mantissa);
    for ssrc in media {
        put(out, ssrc.0);
    }
    end(out, start);
}

/// Appends a full intra request for one stream (RFC 5104 section 4.3.1). `request` counts the requests; the
/// same number again is a repetition of the same request.
pub fn write_fir(out: &mut Vec<u8>, sender: Ssrc, media: Ssrc, request: u8) {
    const FIR: usize = 4;
    let start = begin(out, FIR, PAYLOAD_FEEDBACK);
    put(out, sender.0);
    // The media field of the common feedback header is not used by this message.
    put(out, 0);
    put(out, media.0);
    out.extend([request, 0, 0, 0]);
    end(out, start);
}

/// Appends a goodbye (RFC 3550 section 6.6). Streams beyond [`MAX_REPORTS`] are left out.
pub fn write_bye(out: &mut Vec<u8>, ssrcs: &[Ssrc]) {
    let ssrcs = &ssrcs[..ssrcs.len().min(MAX_REPORTS)];
    let start = begin(out, ssrcs.len(), GOODBYE);
    for ssrc in ssrcs {
        put(out, ssrc.0);
    }
    end(out, start);
}

/// Starts a packet and says where; `count` is the number of entries or the format of a feedback message.
pub(super) fn begin(out: &mut Vec<u8>, count: usize, packet_type: u8) -> usize {
    let start = out.len();
    out.extend([0x80 | u8::try_from(count).expect("at most 31"), packet_type, 0, 0]);
    start
}

/// Writes the length of the packet that started at `start` into its header, in words without the first.
pub(super) fn end(out: &mut [u8], start: usize) {
    let words = (out.len() - start) / 4 - 1;
    let length = u16::try_from(words).expect("every list here is bounded");
    out[start + 2..start + 4].copy_from_slice(&length.to_be_bytes());
}

pub(super) fn put(out: &mut Vec<u8>, word: u32) {
    out.extend(word.to_be_bytes());
}

fn put_reports(out: &mut Vec<u8>, reports: &[ReportBlock]) {
    for report in reports {
        put(out, report.ssrc.0);
        let lost = report.cumulative_lost.clamp(-(1 << 23), (1 << 23) - 1).cast_unsigned() & 0x00ff_ffff;
        put(out, u32::from(report.fraction_lost) << 24 | lost);
        put(out, report.highest_seq);
        put(out, report.jitter);
        put(out, report.last_sr);
        put(out, report.delay_since_last_sr);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rtcp::{Rtcp, parse_compound};

    /// Runs one writer and returns what it appended, as hex.
    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = b"before".to_vec();
        write(&mut out);
        out.drain(..6);
        out.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_sender_report_of_the_ftl_notes() {
        let sender = SenderInfo {
            ssrc: Ssrc(1235),
            ntp: NtpTime(0xe8fe_6f80_1f9a_cffa),
            rtp_timestamp: 90_000,
            packets: 600,
            octets: 700_000,
        };
        assert_eq!(
            written(|out| write_sender_report(out, &sender, &[])),
            "80c80006000004d3e8fe6f801f9acffa00015f9000000258000aae60"
        );
    }

    #[test]
    fn the_nack_of_the_ftl_notes() {
        let ssrc = Ssrc(1235);
        for (lost, pairs) in [
            (&[100, 102, 105][..], "00640012"),
            (&[100], "00640000"),
            (&[100, 116], "00648000"),
            (&[100, 117], "0064000000750000"),
            (&[65_535, 0, 15], "ffff8001"),
            (&[65_535, 16], "ffff000000100000"),
            (&[5, 5, 6], "00050001"),
            (&[6, 5], "0006000000050000"),
        ] {
            let lost: Vec<_> = lost.iter().copied().map(WireSeq).collect();
            let words = 2 + pairs.len() / 8;
            let expected = format!("81cd{words:04x}000004d3000004d3{pairs}");
            assert_eq!(written(|out| assert_eq!(write_nack(out, ssrc, ssrc, &lost), lost.len())), expected);
        }
        assert_eq!(written(|out| assert_eq!(write_nack(out, ssrc, ssrc, &[]), 0)), "");
    }

    #[test]
    fn a_nack_stays_small_and_says_how_far_it_got() {
        let lost: Vec<_> = (0..=u16::MAX).step_by(20).map(WireSeq).collect();
        let mut out = Vec::new();
        assert_eq!(write_nack(&mut out, Ssrc(1), Ssrc(2), &lost), MAX_PAIRS_PER_NACK);
        assert_eq!(out.len(), 12 + MAX_PAIRS_PER_NACK * 4);
    }

    #[test]
    fn small_packets() {
        let (a, b) = (Ssrc(0x0102_0304), Ssrc(0xf1f2_f3f4));
        assert_eq!(written(|out| write_pli(out, a, b)), "81ce000201020304f1f2f3f4");
        assert_eq!(written(|out| write_fir(out, a, b, 7)), "84ce00040102030400000000f1f2f3f407000000");
        for (bits, expected) in [
            (0, "8fce00050102030400000000".to_owned() + "52454d4201000000f1f2f3f4"),
            (262_143, "8fce00050102030400000000".to_owned() + "52454d420103fffff1f2f3f4"),
            (20_000_000, "8fce00050102030400000000".to_owned() + "52454d42011e625af1f2f3f4"),
        ] {
            assert_eq!(written(|out| write_remb(out, a, bits, &[b])), expected, "{bits}");
        }
        assert_eq!(written(|out| write_bye(out, &[a, b])), "82cb000201020304f1f2f3f4");
        assert_eq!(written(|out| write_receiver_report(out, a, &[])), "80c9000101020304");
        let last = NtpTime(0xe8fe_6f80_1f9a_cffa);
        assert_eq!(
            written(|out| write_delay_since_reference_time(out, a, b, last, 0x0001_8000)),
            "80cf00050102030405000003f1f2f3f46f801f9a00018000"
        );
        for (name, tail) in
            [("", "01000000"), ("a", "01016100"), ("ab", "0102616200000000"), ("abc", "0103616263000000")]
        {
            let words = 1 + tail.len() / 8;
            let expected = format!("81ca{words:04x}01020304{tail}");
            assert_eq!(written(|out| write_sdes_cname(out, a, name)), expected);
        }
        let long = "x".repeat(300);
        assert_eq!(written(|out| write_sdes_cname(out, a, &long)).len(), (4 + 4 + 2 + 255 + 3) * 2);
    }

    fn report_block() -> impl Strategy<Value = ReportBlock> {
        (
            any::<u32>(),
            any::<u8>(),
            -(1 << 23)..1 << 23,
            any::<u32>(),
            any::<u32>(),
            any::<u32>(),
            any::<u32>(),
        )
            .prop_map(
                |(ssrc, fraction_lost, cumulative_lost, highest_seq, jitter, last_sr, delay)| ReportBlock {
                    ssrc: Ssrc(ssrc),
                    fraction_lost,
                    cumulative_lost,
                    highest_seq,
                    jitter,
                    last_sr,
                    delay_since_last_sr: delay,
                },
            )
    }

    proptest! {
        #[test]
        fn a_compound_comes_back_as_written(
            ssrc: u32, media: u32, ntp: u64, rtp_timestamp: u32, packets: u32, octets: u32, request: u8,
            reports in proptest::collection::vec(report_block(), 0..=MAX_REPORTS),
            lost in proptest::collection::vec(any::<u16>(), 1..200),
            cname in "[a-z0-9]{0,80}",
        ) {
            let (ssrc, media, ntp) = (Ssrc(ssrc), Ssrc(media), NtpTime(ntp));
            let lost: Vec<_> = lost.into_iter().map(WireSeq).collect();
            let mut out = Vec::new();
            write_sender_report(&mut out, &SenderInfo { ssrc, ntp, rtp_timestamp, packets, octets }, &reports);
            write_receiver_report(&mut out, media, &reports);
            write_sdes_cname(&mut out, ssrc, &cname);
            prop_assert_eq!(write_nack(&mut out, ssrc, media, &lost), lost.len());
            write_pli(&mut out, ssrc, media);
            write_fir(&mut out, ssrc, media, request);
            write_bye(&mut out, &[ssrc, media]);

            let mut read = parse_compound(&out).unwrap();
            let Rtcp::Nack { sender, media: from, lost: read_lost } = read.remove(3) else {
                return Err(TestCaseError::fail("the fourth is a NACK"));
            };
            prop_assert_eq!((sender, from), (ssrc, media));
            let sorted = |list: &[WireSeq]| {
                let mut list: Vec<_> = list.iter().map(|seq| seq.0).collect();
                list.sort_unstable();
                list.dedup();
                list
            };
            prop_assert_eq!(sorted(&read_lost), sorted(&lost));
            prop_assert_eq!(read, vec![
                Rtcp::SenderReport { ssrc, ntp, rtp_timestamp, packets, octets, reports: reports.clone() },
                Rtcp::ReceiverReport { ssrc: media, reports },
                Rtcp::Other,
                Rtcp::Pli { media },
                Rtcp::Fir { media: vec![(media, request)] },
                Rtcp::Bye { ssrcs: vec![ssrc, media] },
            ]);
        }
    }
}
