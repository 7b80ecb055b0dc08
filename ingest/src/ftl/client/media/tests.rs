#![allow(clippy::unwrap_used, reason = "tests")]
use heliograph_media::{rtcp, rtp::RtpHeader};

use super::*;

const SPS_NAL: &[u8] = &[0x67, 0x42, 0xe0, 0x1f, 1];
const PPS_NAL: &[u8] = &[0x68, 2, 3];
const WALL: Duration = Duration::from_secs(1_700_000_000);
const FRAME: Duration = Duration::from_millis(40);

fn idr(len: usize) -> Vec<u8> {
    let mut nal = vec![0x55; len];
    nal[0] = 0x65;
    nal
}

fn sender(settings: MediaSettings) -> (MediaSender, Instant) {
    let now = Instant::now();
    (MediaSender::begin(settings, 1234, now, WALL), now)
}

/// Everything that may leave at `now`, RTP only.
fn drain(sender: &mut MediaSender, now: Instant) -> Vec<Bytes> {
    std::iter::from_fn(|| sender.poll_send(now).ok())
        .filter(|packet| matches!(packet[1] & 0x7f, 96 | 97))
        .collect()
}

fn headers(packets: &[Bytes]) -> Vec<(u8, u16, u32, bool, u32)> {
    packets
        .iter()
        .map(|packet| {
            let header = RtpHeader::parse(packet).unwrap();
            (header.payload_type.get(), header.seq.0, header.timestamp, header.marker, header.ssrc.0)
        })
        .collect()
}

#[test]
fn nothing_before_audio_was_offered_and_an_sps_came() {
    let (mut sender, now) = sender(MediaSettings::default());
    let source = Duration::from_secs(5);
    sender.video(now, source, &[SPS_NAL, PPS_NAL, &idr(10)]);
    assert!(drain(&mut sender, now).is_empty(), "no audio yet");
    sender.audio(now, source, &[0xfc, 1]);
    sender.video(now, source + FRAME, &[&[0x41, 9][..]]);
    sender.audio(now, source + FRAME, &[0xfc, 2]);
    assert!(drain(&mut sender, now).is_empty(), "no SPS yet");
    sender.video(now, source + 2 * FRAME, &[&[0x06, 1][..], SPS_NAL, PPS_NAL, &idr(10)]);
    sender.audio(now, source + 2 * FRAME + FRAME / 2, &[0xfc, 3]);
    assert_eq!(
        headers(&drain(&mut sender, now)),
        [(97, 0, 960, false, 1234), (96, 0, 0, false, 1235), (96, 1, 0, false, 1235), (96, 2, 0, true, 1235)],
        "what stood before the SPS is dropped, and the audio keeps its place on the video's clock"
    );
}

#[test]
fn like_the_sdk_each_medium_can_count_from_its_own_start() {
    let settings = MediaSettings { zero: TimestampZero::PerMedium, ..MediaSettings::default() };
    let (mut sender, now) = sender(settings);
    sender.audio(now, Duration::ZERO, &[0xfc]);
    sender.video(now, Duration::from_millis(7), &[SPS_NAL, PPS_NAL, &idr(10)]);
    sender.audio(now, Duration::from_millis(20), &[0xfc]);
    sender.audio(now, Duration::from_millis(40), &[0xfc]);
    let sent = headers(&drain(&mut sender, now));
    assert_eq!(
        sent.iter().map(|packet| (packet.0, packet.2)).collect::<Vec<_>>(),
        [(97, 0), (97, 960), (96, 0), (96, 0), (96, 0)]
    );
}

#[test]
fn sizes_are_the_sdks() {
    for (nal, expected) in [
        (1380, vec![1392]),
        (1381, vec![1392, 12 + 2 + 2]),
        (1 + 1378 * 3, vec![1392, 1392, 1392]),
        (1 + 1378 * 3 + 1, vec![1392, 1392, 1392, 15]),
    ] {
        let (mut sender, now) = sender(MediaSettings { audio: false, ..MediaSettings::default() });
        sender.video(now, FRAME, &[SPS_NAL, PPS_NAL, &idr(nal)]);
        let sent = drain(&mut sender, now);
        assert_eq!(sent[2..].iter().map(Bytes::len).collect::<Vec<_>>(), expected, "NAL of {nal}");
        let marked = headers(&sent).iter().filter(|packet| packet.3).count();
        assert_eq!(marked, 1);
        assert!(RtpHeader::parse(sent.last().unwrap()).unwrap().marker);
    }
}

#[test]
fn nacked_packets_come_back_byte_for_byte_and_at_once() {
    let (mut sender, now) =
        sender(MediaSettings { audio: false, peak: Some(Bitrate::kbps(100)), ..MediaSettings::default() });
    sender.video(now, FRAME, &[SPS_NAL, PPS_NAL, &idr(20_000)]);
    let later = now + Duration::from_millis(500);
    let mut sent = drain(&mut sender, now);
    sent.extend(drain(&mut sender, later));
    assert!(sent.len() < 15, "the pacer holds the rest back");
    let mut nack = Vec::new();
    rtcp::write_nack(
        &mut nack,
        Ssrc(1),
        Ssrc(1235),
        &[heliograph_media::WireSeq(1), heliograph_media::WireSeq(900)],
    );
    sender.on_datagram(later, &nack);
    assert_eq!(drain(&mut sender, later), [sent[1].clone()]);
    assert_eq!((sender.stats().nacked, sender.stats().resent), (2, 1));
}

#[test]
fn pings_every_25_ms_and_their_echo_gives_the_round_trip() {
    let (mut sender, start) = sender(MediaSettings::default());
    let mut pings = Vec::new();
    let mut now = start;
    while now < start + Duration::from_millis(990) {
        sender.on_deadline(now);
        match sender.poll_send(now) {
            Ok(ping) => pings.push(ping),
            Err(later) => now = later,
        }
    }
    assert_eq!(pings.len(), 40);
    sender.on_datagram(start + Duration::from_millis(3), &pings[0]);
    assert_eq!(sender.stats().round_trip, Some(Duration::from_millis(3)));
}

#[test]
fn reports_put_both_media_on_one_clock() {
    let (mut sender, now) = sender(MediaSettings::default());
    sender.audio(now, Duration::ZERO, &[0xfc]);
    sender.video(now, Duration::ZERO, &[SPS_NAL, PPS_NAL, &idr(10)]);
    sender.video(now, Duration::from_secs(1), &[&[0x41, 1][..]]);
    sender.audio(now, Duration::from_millis(500), &[0xfc, 7]);
    drain(&mut sender, now);
    let then = now + REPORT_EVERY;
    sender.on_deadline(then);
    let reports: Vec<Bytes> =
        std::iter::from_fn(|| sender.poll_send(then).ok()).filter(|packet| packet[1] == 200).collect();
    assert_eq!(reports.iter().map(Bytes::len).collect::<Vec<_>>(), [28, 28]);
    let field = |report: &Bytes, at: usize| u32::from_be_bytes(report[at..at + 4].try_into().unwrap());
    assert_eq!((field(&reports[0], 4), field(&reports[0], 16), field(&reports[0], 20)), (1235, 90_000, 4));
    assert_eq!((field(&reports[1], 4), field(&reports[1], 16), field(&reports[1], 24)), (1234, 24_000, 2));
    assert_eq!(field(&reports[0], 8) - field(&reports[1], 8), 1, "a second apart, with the fraction");
}

#[test]
fn a_full_ring_drops_until_the_next_keyframe_and_stays_contiguous() {
    let (mut sender, now) =
        sender(MediaSettings { audio: false, peak: Some(Bitrate::kbps(1)), ..MediaSettings::default() });
    sender.video(now, FRAME, &[SPS_NAL, PPS_NAL, &idr(10)]);
    sender.video(now, 2 * FRAME, &[&idr(1378 * 3000)[..]]);
    sender.video(now, 3 * FRAME, &[&[0x41, 1][..]]);
    assert_eq!(sender.stats().dropped_frames, 1);
    assert_eq!(sender.stats().waiting, 2048);
    let mut now = now;
    let mut sent = Vec::new();
    while sender.stats().waiting > 0 {
        match sender.poll_send(now) {
            Ok(packet) => sent.push(packet),
            Err(_) => now += Duration::from_secs(20),
        }
    }
    sender.video(now, 4 * FRAME, &[SPS_NAL, PPS_NAL, &idr(10)]);
    now += Duration::from_secs(60);
    while let Ok(packet) = sender.poll_send(now) {
        sent.push(packet);
        now += Duration::from_secs(1);
    }
    let media = headers(&sent);
    assert!(media.iter().enumerate().all(|(index, packet)| usize::from(packet.1) == index));
    assert_eq!(sent[2048][12..], *SPS_NAL);
}

#[test]
fn a_rehearsed_loss_can_be_asked_for_again() {
    let (mut sender, now) =
        sender(MediaSettings { audio: false, lose_every: Some(3), ..MediaSettings::default() });
    sender.video(now, FRAME, &[SPS_NAL, PPS_NAL, &idr(5000)]);
    let sent = headers(&drain(&mut sender, now));
    assert_eq!(sent.iter().map(|packet| packet.1).collect::<Vec<_>>(), [0, 1, 3, 4]);
    assert_eq!(sender.stats().withheld, 2);
}
