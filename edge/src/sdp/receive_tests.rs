//! Publishers' offers as real clients write them, and our answers.
#![allow(clippy::unwrap_used, reason = "tests")]

use heliograph_media::{Codec, MediaKind, PayloadType};
use proptest::prelude::*;

use super::*;
use crate::dtls::DtlsRole;

const CHROME: &str = include_str!("testdata/chrome_whip_offer.sdp");
const OBS: &str = include_str!("testdata/obs_whip_offer.sdp");

fn receive_it(offer: &str) -> Result<(String, Incoming), SdpError> {
    let ice = IceCredentials {
        ufrag: "AAEAAAACq83vEjRW".to_owned(),
        pwd: "0123456789abcdef0123456789abcdef".to_owned(),
    };
    let fingerprint = format!("sha-256 {}", ["AB"; 32].join(":")).parse().unwrap();
    let candidates = ["192.0.2.1:8190".parse().unwrap()];
    receive(offer, LocalTransport { ice: &ice, fingerprint: &fingerprint, candidates: &candidates })
}

fn payload_type(number: u8) -> PayloadType {
    PayloadType::new(number).unwrap()
}

/// The lines of the section with this m-line word.
fn section<'s>(sdp: &'s str, media: &str) -> Vec<&'s str> {
    let mut lines = sdp.lines().skip_while(|line| !line.starts_with(&format!("m={media} ")));
    let first = lines.next().unwrap();
    std::iter::once(first).chain(lines.take_while(|line| !line.starts_with("m="))).collect()
}

#[test]
fn a_browser_is_asked_for_h264_and_opus() {
    let (answer, incoming) = receive_it(CHROME).unwrap();
    let video = incoming.video.unwrap();
    assert_eq!((video.codec, video.payload_type), (Codec::H264, payload_type(102)));
    assert_eq!(video.rtx_payload_type, Some(payload_type(103)));
    assert!(video.nack && video.pli && video.fir && video.remb);
    assert_eq!((video.transport_cc_ext, video.mid.as_deref()), (Some(3), Some("1")));
    let audio = incoming.audio.unwrap();
    assert_eq!((audio.codec, audio.payload_type), (Codec::Opus, payload_type(111)));
    assert_eq!((audio.rtx_payload_type, audio.nack, audio.transport_cc_ext), (None, false, Some(3)));
    assert_eq!(incoming.remote_ufrag, "N9Fk");

    let lines = section(&answer, "video");
    assert_eq!(lines[0], "m=video 9 UDP/TLS/RTP/SAVPF 102 103");
    for line in [
        "a=recvonly",
        "a=setup:passive",
        "a=rtcp-mux",
        "a=mid:1",
        "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid",
        "a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
        "a=rtpmap:102 H264/90000",
        "a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f",
        "a=rtcp-fb:102 transport-cc",
        "a=rtcp-fb:102 goog-remb",
        "a=rtcp-fb:102 nack",
        "a=rtcp-fb:102 nack pli",
        "a=rtcp-fb:102 ccm fir",
        "a=rtpmap:103 rtx/90000",
        "a=fmtp:103 apt=102",
    ] {
        assert!(lines.contains(&line), "{line} in {lines:#?}");
    }
    assert!(answer.contains("a=ice-lite\r\n") && answer.contains("a=group:BUNDLE 0 1\r\n"));
    assert!(answer.contains(" 192.0.2.1 8190 typ host\r\n") && !answer.contains("a=ssrc"));
    assert!(section(&answer, "audio").contains(&"a=rtcp-fb:111 transport-cc"));
}

#[test]
fn layers_are_asked_for_by_their_names() {
    let rid = "a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n";
    let repaired = "a=extmap:11 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id\r\n";
    let names = "a=rid:hi send\r\na=rid:lo send\r\na=simulcast:send hi;lo\r\n";
    let (answer, incoming) = receive_it(&format!("{OBS}{rid}{repaired}{names}")).unwrap();
    let expected =
        Simulcast { rids: vec!["hi".to_owned(), "lo".to_owned()], rid_ext: 10, repaired_rid_ext: Some(11) };
    assert_eq!(incoming.video.unwrap().simulcast, Some(expected));
    let lines = section(&answer, "video");
    for line in [rid.trim(), repaired.trim(), "a=rid:hi recv", "a=rid:lo recv", "a=simulcast:recv hi;lo"] {
        assert!(lines.contains(&line), "{line} in {lines:#?}");
    }
    // Without the extension nobody could tell them apart; one layer is no simulcast.
    for offer in [
        format!("{OBS}{names}"),
        format!("{OBS}{rid}a=rid:hi send\r\na=simulcast:send hi\r\n"),
        format!("{OBS}{rid}a=rid:hi send\r\na=rid:lo send\r\n"),
    ] {
        let (answer, incoming) = receive_it(&offer).unwrap();
        assert_eq!(incoming.video.unwrap().simulcast, None);
        assert!(
            !answer.contains("a=simulcast") && !answer.contains("a=rid") && !answer.contains("stream-id")
        );
    }
}

#[test]
fn obs_gets_what_it_offers_and_no_more() {
    let (answer, incoming) = receive_it(OBS).unwrap();
    let video = incoming.video.unwrap();
    assert_eq!((video.payload_type, video.rtx_payload_type), (payload_type(96), None));
    assert!(video.nack && video.pli && !video.fir && video.remb);
    assert_eq!(video.transport_cc_ext, None);
    assert!(incoming.audio.is_some());
    let lines = section(&answer, "video");
    assert_eq!(lines[0], "m=video 9 UDP/TLS/RTP/SAVPF 96");
    assert!(
        !lines
            .iter()
            .any(|line| line.contains("transport-cc") || line.contains("rtx") || line.contains("extmap"))
    );
    assert!(
        lines.contains(&"a=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f")
    );
}

#[test]
fn what_cannot_be_taken_stands_on_port_0() {
    let (answer, incoming) = receive_it(&OBS.replace("H264/90000", "FLV1/90000")).unwrap();
    assert!(incoming.video.is_none() && incoming.audio.is_some());
    assert_eq!(section(&answer, "video")[0], "m=video 0 UDP/TLS/RTP/SAVPF 96");
    assert!(answer.contains("a=group:BUNDLE 0\r\n"));

    let both = OBS.replace("H264/90000", "FLV1/90000").replace("opus/48000/2", "PCMA/8000");
    let missing = vec![MediaKind::Audio, MediaKind::Video];
    assert_eq!(receive_it(&both).unwrap_err(), SdpError::NothingInCommon { missing });
    // Whoever wants to receive is at the wrong door.
    let watching = OBS.replace("a=sendonly", "a=recvonly");
    assert_eq!(receive_it(&watching).unwrap_err(), SdpError::NothingInCommon { missing: vec![] });
}

#[test]
fn packetization_mode_0_will_do() {
    let single = OBS.replace("packetization-mode=1", "packetization-mode=0");
    let (answer, incoming) = receive_it(&single).unwrap();
    assert!(incoming.video.is_some());
    assert!(answer.contains("packetization-mode=0;profile-level-id=42e01f\r\n"));
    let other = OBS.replace("packetization-mode=1", "packetization-mode=2");
    assert!(receive_it(&other).unwrap().1.video.is_none());
}

#[test]
fn what_webrtc_cannot_do_without() {
    let without = |prefix: &str| {
        let kept = OBS.lines().filter(|line| !line.starts_with(prefix));
        kept.map(|line| format!("{line}\r\n")).collect::<String>()
    };
    for (offer, wanted) in [
        (without("a=ice-ufrag"), SdpError::Missing("a=ice-ufrag")),
        (without("a=fingerprint"), SdpError::Missing("a=fingerprint with sha-256 or better")),
        (without("a=rtcp-mux"), SdpError::Missing("a=rtcp-mux")),
        (without("a=group:BUNDLE"), SdpError::NotBundled),
        (OBS.replace("a=group:LS 0 1", "a=ice-lite"), SdpError::PeerIsLite),
    ] {
        assert_eq!(receive_it(&offer).unwrap_err(), wanted);
    }
    // Whoever will not begin lets us.
    for (theirs, ours, line) in [
        ("setup:actpass", DtlsRole::Passive, "a=setup:passive\r\n"),
        ("setup:active", DtlsRole::Passive, "a=setup:passive\r\n"),
        ("setup:passive", DtlsRole::Active, "a=setup:active\r\n"),
    ] {
        let (answer, incoming) = receive_it(&OBS.replace("setup:actpass", theirs)).unwrap();
        assert_eq!(incoming.role, ours);
        assert_eq!(answer.matches("a=setup:").count(), answer.matches(line).count());
    }
    // A payload type that RTCP would be mistaken for.
    let clash = OBS.replace("SAVPF 96", "SAVPF 72").replace(":96 ", ":72 ");
    assert!(receive_it(&clash).unwrap().1.video.is_none());
}

#[test]
fn who_has_one_channel_is_not_told_to_prefer_two() {
    assert!(OBS.contains("a=fmtp:111 "), "the offer of OBS has parameters");
    for (theirs, in_stereo) in [("sprop-stereo=0", false), ("sprop-stereo=1", true), ("minptime=10", true)] {
        let parameters = format!("a=fmtp:111 {theirs};x=");
        let (answer, _) = receive_it(&OBS.replace("a=fmtp:111 ", &parameters)).unwrap();
        assert_eq!(answer.contains("stereo=1"), in_stereo, "{theirs}");
    }
}

proptest! {
    #[test]
    fn cut_and_damaged_offers_never_panic(at in 0_usize..4_000, byte in any::<u8>(), length in 0_usize..5_000) {
        for offer in [CHROME, OBS] {
            let mut bytes = offer.as_bytes().to_vec();
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            bytes.truncate(length);
            if let Ok((answer, incoming)) = receive_it(&String::from_utf8_lossy(&bytes)) {
                prop_assert!(incoming.video.is_some() || incoming.audio.is_some());
                prop_assert!(!incoming.fingerprints.is_empty());
                prop_assert!(answer.ends_with("\r\n"));
            }
        }
    }
}

#[test]
fn without_h264_the_publishers_first_codec_is_taken() {
    let codec = |offer: &str| {
        let (answer, incoming) = receive_it(offer).unwrap();
        let video = incoming.video.unwrap();
        (video.codec, video.payload_type.get(), section(&answer, "video").join("\n"))
    };
    let no_h264 = CHROME.replace("H264/90000", "H264X/90000");
    let (vp8, number, lines) = codec(&no_h264);
    assert_eq!((vp8, number), (Codec::Vp8, 96));
    assert!(lines.contains("a=rtpmap:96 VP8/90000") && !lines.contains("a=fmtp:96"), "{lines}");
    assert!(lines.contains("a=fmtp:97 apt=96"), "{lines}");
    let (av1, number, lines) = codec(&no_h264.replace("VP8/90000", "VP8X/90000"));
    assert_eq!((av1, number), (Codec::Av1, 45));
    assert!(lines.contains("a=fmtp:45 level-idx=5;profile=0;tier=0"), "{lines}");
    let no_av1 = no_h264.replace("VP8/90000", "VP8X/90000").replace("AV1/90000", "AV2/90000");
    assert_eq!(codec(&no_av1).0, Codec::Vp9);
    // A profile that browsers do not decode is none.
    assert!(receive_it(&no_av1.replace("profile-id=0", "profile-id=2")).unwrap().1.video.is_none());
    let h265 = OBS.replace("H264/90000", "H265/90000").replace(
        "profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1",
        "level-id=93;tx-mode=SRST",
    );
    let (h265, _, lines) = codec(&h265);
    assert_eq!(h265, Codec::H265);
    assert!(lines.contains("a=fmtp:96 level-id=93;tx-mode=SRST"), "{lines}");
}
