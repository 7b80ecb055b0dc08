//! Descriptions as real clients write them, and what ours look like.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

const CHROME_ANSWER: &str = include_str!("testdata/chrome_answer.sdp");
const FIREFOX_ANSWER: &str = include_str!("testdata/firefox_answer.sdp");
const CHROME_OFFER: &str = include_str!("testdata/chrome_offer.sdp");
const FIREFOX_OFFER: &str = include_str!("testdata/firefox_offer.sdp");
const SAFARI_OFFER: &str = include_str!("testdata/safari_offer.sdp");
const GSTREAMER_OFFER: &str = include_str!("testdata/gstreamer_offer.sdp");

const BASELINE: [u8; 3] = [0x42, 0xe0, 0x1f];
const MAIN: [u8; 3] = [0x4d, 0x40, 0x28];
const HIGH: [u8; 3] = [0x64, 0x00, 0x28];

/// Calls `with` with the description of a stream whose video has `profile`; `None`: no video.
fn local<T>(profile: Option<[u8; 3]>, audio: bool, with: impl FnOnce(&LocalDescription<'_>) -> T) -> T {
    let ice = IceCredentials {
        ufrag: "AAEAAAACq83vEjRW".to_owned(),
        pwd: "0123456789abcdef0123456789abcdef".to_owned(),
    };
    let fingerprint = format!("sha-256 {}", ["AB"; 32].join(":")).parse().unwrap();
    with(&LocalDescription {
        ice: &ice,
        fingerprint: &fingerprint,
        candidates: &["192.0.2.1:20000".parse().unwrap(), "[2001:db8::1]:20000".parse().unwrap()],
        cname: "helio",
        msid: "live",
        video: profile.map(|profile_level_id| VideoSource {
            format: VideoFormat::H264 { profile_level_id },
            ssrc: Ssrc(1001),
            rtx_ssrc: Ssrc(1002),
            fec_ssrc: Ssrc(1003),
        }),
        audio: audio.then_some(AudioSource { ssrc: Ssrc(2001) }),
    })
}

fn offer_of(profile: Option<[u8; 3]>, audio: bool) -> String {
    local(profile, audio, offer)
}

fn read_answer(text: &str, profile: Option<[u8; 3]>, audio: bool) -> Result<Negotiated, SdpError> {
    local(profile, audio, |local| parse_answer(text, local))
}

fn answer_to(text: &str, profile: [u8; 3]) -> Result<(String, Negotiated), SdpError> {
    local(Some(profile), true, |local| answer(text, local))
}

fn lines(sdp: &str) -> Vec<&str> {
    assert!(sdp.ends_with("\r\n"));
    sdp.split_terminator("\r\n").collect()
}

/// The lines of the section with this m-line word.
fn section<'s>(sdp: &'s str, media: &str) -> Vec<&'s str> {
    let all = lines(sdp);
    let start = all.iter().position(|line| line.starts_with(&format!("m={media} "))).unwrap();
    let len =
        all[start + 1..].iter().position(|line| line.starts_with("m=")).unwrap_or(all.len() - start - 1);
    all[start..=start + len].to_vec()
}

/// Drops the lines that start with `prefix`.
fn without(sdp: &str, prefix: &str) -> String {
    sdp.lines().filter(|line| !line.starts_with(prefix)).map(|line| format!("{line}\r\n")).collect()
}

fn pt(number: u8) -> PayloadType {
    PayloadType::new(number).unwrap()
}

#[test]
fn our_offer_word_for_word() {
    let transport = "a=ice-ufrag:AAEAAAACq83vEjRW\n\
                     a=ice-pwd:0123456789abcdef0123456789abcdef\n\
                     a=candidate:1 1 udp 2130706175 192.0.2.1 20000 typ host\n\
                     a=candidate:2 1 udp 2130705919 2001:db8::1 20000 typ host\n\
                     a=end-of-candidates\n\
                     a=fingerprint:sha-256 FP\n\
                     a=setup:actpass\n\
                     a=rtcp-mux\n\
                     a=rtcp-rsize\n"
        .replace("FP", &["AB"; 32].join(":"));
    let expected = format!(
        "v=0\n\
         o=- SESSION 1 IN IP4 127.0.0.1\n\
         s=-\n\
         t=0 0\n\
         a=group:BUNDLE 0 1\n\
         a=msid-semantic:WMS *\n\
         a=ice-lite\n\
         a=ice-options:trickle\n\
         m=video 9 UDP/TLS/RTP/SAVPF 102 103 104 105 118\n\
         c=IN IP4 0.0.0.0\n\
         {transport}\
         a=mid:0\n\
         a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\n\
         a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/playout-delay\n\
         a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\n\
         a=extmap:4 http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time\n\
         a=sendonly\n\
         a=rtpmap:102 H264/90000\n\
         a=rtcp-fb:102 transport-cc\n\
         a=rtcp-fb:102 nack\n\
         a=rtcp-fb:102 nack pli\n\
         a=rtcp-fb:102 ccm fir\n\
         a=rtcp-fb:102 rrtr\n\
         a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\n\
         a=rtpmap:103 rtx/90000\n\
         a=fmtp:103 apt=102\n\
         a=rtpmap:104 H264/90000\n\
         a=rtcp-fb:104 transport-cc\n\
         a=rtcp-fb:104 nack\n\
         a=rtcp-fb:104 nack pli\n\
         a=rtcp-fb:104 ccm fir\n\
         a=rtcp-fb:104 rrtr\n\
         a=fmtp:104 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640028\n\
         a=rtpmap:105 rtx/90000\n\
         a=fmtp:105 apt=104\n\
         a=rtpmap:118 flexfec-03/90000\n\
         a=fmtp:118 repair-window=10000000\n\
         a=msid:live video\n\
         a=ssrc-group:FID 1001 1002\n\
         a=ssrc-group:FEC-FR 1001 1003\n\
         a=ssrc:1001 cname:helio\n\
         a=ssrc:1002 cname:helio\n\
         a=ssrc:1003 cname:helio\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 111\n\
         c=IN IP4 0.0.0.0\n\
         {transport}\
         a=mid:1\n\
         a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\n\
         a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/playout-delay\n\
         a=extmap:4 http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time\n\
         a=sendonly\n\
         a=rtpmap:111 opus/48000/2\n\
         a=fmtp:111 minptime=10;useinbandfec=1;stereo=1;sprop-stereo=1\n\
         a=msid:live audio\n\
         a=ssrc:2001 cname:helio\n"
    );
    let written = offer_of(Some(HIGH), true);
    let id = written.lines().nth(1).unwrap().split(' ').nth(1).unwrap();
    assert!(id.parse::<i64>().is_ok(), "{id}");
    assert_eq!(written, expected.replace("SESSION", id).replace('\n', "\r\n"));
}

#[test]
fn offers_of_one_medium_keep_their_mids() {
    let video = offer_of(Some(BASELINE), false);
    assert!(video.contains("a=group:BUNDLE 0\r\n") && video.contains("SAVPF 102 103 118\r\n"), "{video}");
    assert!(!video.contains("m=audio"));
    let audio = offer_of(None, true);
    assert!(audio.contains("a=group:BUNDLE 1\r\n") && audio.contains("a=mid:1\r\n"), "{audio}");
}

#[test]
fn chrome_answers() {
    for text in [CHROME_ANSWER.to_owned(), CHROME_ANSWER.replace('\n', "\r\n")] {
        let negotiated = read_answer(&text, Some(HIGH), true).unwrap();
        assert_eq!((negotiated.remote_ufrag.as_str(), negotiated.remote_pwd.len()), ("k9Xw", 24));
        assert_eq!(negotiated.fingerprints.len(), 1);
        assert_eq!(negotiated.missing, []);
        let expected = NegotiatedTrack {
            mid: Some("0".to_owned()),
            payload_type: pt(104),
            rtx_payload_type: Some(pt(105)),
            profile_level_id: Some([0x64, 0, 0x1f]),
            nack: true,
            playout_delay_ext: Some(2),
            mid_ext: Some(1),
            capture_time_ext: None,
            transport_cc_ext: None,
            ssrc: Ssrc(1001),
            rtx_ssrc: Some(Ssrc(1002)),
            fec: None,
        };
        assert_eq!(negotiated.video, Some(expected));
        let expected = NegotiatedTrack {
            mid: Some("1".to_owned()),
            payload_type: pt(111),
            rtx_payload_type: None,
            profile_level_id: None,
            nack: false,
            playout_delay_ext: Some(2),
            mid_ext: Some(1),
            capture_time_ext: None,
            transport_cc_ext: None,
            ssrc: Ssrc(2001),
            rtx_ssrc: None,
            fec: None,
        };
        assert_eq!(negotiated.audio, Some(expected));
    }
}

#[test]
fn arrival_times_are_told_by_who_gets_packets_again_as_others() {
    let line = "a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\n";
    let told = CHROME_ANSWER.replace("a=recvonly\n", &format!("{line}a=recvonly\n"));
    let with = told.replace("a=rtcp-fb:104 nack\n", "a=rtcp-fb:104 nack\na=rtcp-fb:104 transport-cc\n");
    let ext = |text: &str| read_answer(text, Some(HIGH), true).unwrap().video.unwrap().transport_cc_ext;
    assert_eq!(ext(&with), Some(3));
    assert_eq!(ext(&told), None, "the feedback was refused");
    assert_eq!(ext(&with.replace("apt=104", "apt=1")), None, "no RTX");

    let (answer, negotiated) = answer_to(CHROME_OFFER, MAIN).unwrap();
    let id = negotiated.video.unwrap().transport_cc_ext;
    assert_eq!(section(&answer, "video").iter().any(|line| line.contains("transport-cc")), id.is_some());
}

#[test]
fn capture_times_are_told_to_who_asks_and_gets_packets_again_as_others() {
    let line = "a=extmap:9 http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time\n";
    let asked = CHROME_ANSWER.replace("a=recvonly\n", &format!("{line}a=recvonly\n"));
    let ids = |text: &str| {
        let negotiated = read_answer(text, Some(HIGH), true).unwrap();
        (negotiated.video.unwrap().capture_time_ext, negotiated.audio.unwrap().capture_time_ext)
    };
    assert_eq!(ids(&asked), (Some(9), Some(9)));
    assert_eq!(ids(&asked.replace("apt=104", "apt=1")), (None, Some(9)), "no RTX");
    assert_eq!(ids(&asked.replace("extmap:9 ", "extmap:15 ")), (None, None), "no id of the one-byte form");
    assert_eq!(ids(CHROME_ANSWER), (None, None));

    let (plain, _) = answer_to(CHROME_OFFER, MAIN).unwrap();
    assert!(!plain.contains("abs-capture-time"), "nobody has offered it: {plain}");
    let line = line.replace("extmap:9", "extmap:12/recvonly");
    let offer = CHROME_OFFER.replace("a=recvonly", &format!("{line}a=recvonly"));
    let (answer, negotiated) = answer_to(&offer, MAIN).unwrap();
    assert_eq!(negotiated.video.unwrap().capture_time_ext, Some(12));
    for media in ["video", "audio"] {
        let expected = "a=extmap:12 http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time";
        assert!(section(&answer, media).contains(&expected), "{media}: {answer}");
    }
}

/// As Chromium 156 writes it.
#[test]
fn parity_packets_are_for_who_takes_them() {
    let takes = |text: &str, first: u8, number: u8| {
        let lines = format!("a=rtpmap:{number} flexfec-03/90000\na=fmtp:{number} repair-window=10000000\n");
        let (before, video) = text.split_once("m=video").unwrap();
        let video = video.replacen(&format!("SAVPF {first}"), &format!("SAVPF {first} {number}"), 1);
        format!("{before}m=video{}", video.replacen("a=rtpmap:", &format!("{lines}a=rtpmap:"), 1))
    };
    let fec = |number| Some(NegotiatedFec { payload_type: pt(number), ssrc: Ssrc(1003) });
    let answered = read_answer(&takes(CHROME_ANSWER, 102, 118), Some(HIGH), true).unwrap();
    assert_eq!(answered.video.unwrap().fec, fec(118));
    assert_eq!(answered.audio.unwrap().fec, None);

    let (answer, negotiated) = answer_to(CHROME_OFFER, MAIN).unwrap();
    assert_eq!(negotiated.video.unwrap().fec, None);
    assert!(!answer.contains("FEC"));
    let offered = takes(CHROME_OFFER, 96, 49);
    let (answer, negotiated) = answer_to(&offered, MAIN).unwrap();
    assert_eq!(negotiated.video.unwrap().fec, fec(49));
    let video = section(&answer, "video");
    assert_eq!(video[0], "m=video 9 UDP/TLS/RTP/SAVPF 117 118 49");
    for line in ["a=rtpmap:49 flexfec-03/90000", "a=ssrc-group:FEC-FR 1001 1003", "a=ssrc:1003 cname:helio"] {
        assert!(video.contains(&line), "{line}");
    }
}

/// Firefox takes the baseline and nothing else; the stream goes there under that payload type.
#[test]
fn firefox_answers() {
    let negotiated = read_answer(FIREFOX_ANSWER, Some(HIGH), true).unwrap();
    let video = negotiated.video.unwrap();
    assert_eq!((video.payload_type, video.rtx_payload_type), (pt(102), Some(pt(103))));
    assert_eq!(negotiated.audio.unwrap().playout_delay_ext, None);
    assert_eq!(negotiated.fingerprints.len(), 1, "of the session");
}

#[test]
fn answers_that_take_only_a_part() {
    let no_video = CHROME_ANSWER.replace("m=video 50612", "m=video 0");
    let negotiated = read_answer(&no_video, Some(HIGH), true).unwrap();
    assert_eq!((negotiated.video, negotiated.missing), (None, vec![MediaKind::Video]));
    assert!(negotiated.audio.is_some());

    let unwanted = CHROME_ANSWER.replacen("a=recvonly", "a=inactive", 1);
    let negotiated = read_answer(&unwanted, Some(HIGH), true).unwrap();
    assert_eq!((negotiated.video, negotiated.missing), (None, vec![]), "unwanted is not missing");

    let nothing = CHROME_ANSWER.replace("m=video 50612", "m=video 0").replace("m=audio 9", "m=audio 0");
    let missing = vec![MediaKind::Video, MediaKind::Audio];
    assert_eq!(read_answer(&nothing, Some(HIGH), true), Err(SdpError::NothingInCommon { missing }));

    let other = CHROME_ANSWER.replace("packetization-mode=1", "packetization-mode=0");
    assert_eq!(read_answer(&other, Some(HIGH), true).unwrap().missing, [MediaKind::Video]);
}

#[test]
fn answers_without_parameters_mean_ours() {
    let bare = without(CHROME_ANSWER, "a=fmtp");
    let video = read_answer(&bare, Some(HIGH), true).unwrap().video.unwrap();
    assert_eq!((video.payload_type, video.rtx_payload_type), (pt(104), None));
    assert_eq!(video.profile_level_id, Some(HIGH));
}

#[test]
fn answers_renumber_as_they_like() {
    let renumbered = CHROME_ANSWER.replace("102", "96").replace("111", "97");
    let negotiated = read_answer(&renumbered, Some(BASELINE), true).unwrap();
    assert_eq!(negotiated.video.unwrap().payload_type, pt(96));
    assert_eq!(negotiated.audio.unwrap().payload_type, pt(97));
}

#[test]
fn answers_that_will_not_do() {
    let answer = |text: &str| read_answer(text, Some(HIGH), true).map(|_| ());
    for (text, error) in [
        (CHROME_ANSWER.replace("setup:active", "setup:passive"), SdpError::PeerIsPassive),
        (CHROME_ANSWER.replace("setup:active", "setup:holdconn"), SdpError::Missing("a=setup")),
        (without(CHROME_ANSWER, "a=rtcp-mux"), SdpError::Missing("a=rtcp-mux")),
        (without(CHROME_ANSWER, "a=group"), SdpError::NotBundled),
        (CHROME_ANSWER.replace("BUNDLE 0 1", "BUNDLE 0"), SdpError::NotBundled),
        (without(CHROME_ANSWER, "a=ice-ufrag"), SdpError::Missing("a=ice-ufrag")),
        (without(CHROME_ANSWER, "a=ice-pwd"), SdpError::Missing("a=ice-pwd")),
        (CHROME_ANSWER.replace("ice-ufrag:k9Xw", "ice-ufrag:k9"), SdpError::Missing("a=ice-ufrag")),
        (CHROME_ANSWER.replace("ice-ufrag:k9Xw", "ice-ufrag:k9:w"), SdpError::Missing("a=ice-ufrag")),
        (
            CHROME_ANSWER.replace("sha-256", "sha-1"),
            SdpError::Missing("a=fingerprint with sha-256 or better"),
        ),
        (CHROME_ANSWER.replacen("t=0 0", "t=0 0\na=ice-lite", 1), SdpError::PeerIsLite),
        (CHROME_ANSWER.replace("a=mid:0", "a=mid:video"), SdpError::WrongMedia),
        (CHROME_ANSWER.replace("m=audio", "m=video"), SdpError::WrongMedia),
        (format!("{CHROME_ANSWER}m=audio 9 UDP/TLS/RTP/SAVPF 0\n"), SdpError::WrongMedia),
        ("x".repeat(MAX_SDP_BYTES + 1), SdpError::TooLong),
    ] {
        assert_eq!(answer(&text), Err(error), "{text}");
    }
    for text in ["", "hello", "v=0\r\n", "v=1\r\ns=-\r\n", "{\"type\":\"answer\"}"] {
        assert!(matches!(answer(text), Err(SdpError::Syntax(_) | SdpError::WrongMedia)), "{text:?}");
    }
    let many = (0..40).map(|_| "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n").collect::<String>();
    let many = format!("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n{many}");
    assert!(matches!(answer(&many), Err(SdpError::Syntax(_))));
}

/// An answer without a DTLS role: the peer connects.
#[test]
fn a_missing_role_is_active() {
    assert!(read_answer(&without(CHROME_ANSWER, "a=setup"), Some(HIGH), true).is_ok());
}

#[test]
fn chrome_offers_audio_then_bundle_only_video_then_data() {
    let (answer, negotiated) = answer_to(CHROME_OFFER, MAIN).unwrap();
    assert_eq!(negotiated.missing, []);
    assert_eq!(negotiated.video.as_ref().unwrap().payload_type, pt(117));
    assert_eq!(negotiated.video.as_ref().unwrap().rtx_payload_type, Some(pt(118)));
    assert_eq!(negotiated.video.as_ref().unwrap().playout_delay_ext, Some(5));
    assert_eq!(negotiated.audio.as_ref().unwrap().payload_type, pt(111));
    let media: Vec<&str> = lines(&answer).into_iter().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(
        media,
        [
            "m=audio 9 UDP/TLS/RTP/SAVPF 111",
            "m=video 9 UDP/TLS/RTP/SAVPF 117 118",
            "m=application 0 UDP/DTLS/SCTP webrtc-datachannel",
        ]
    );
    assert!(lines(&answer).contains(&"a=group:BUNDLE 0 1") && lines(&answer).contains(&"a=ice-lite"));
    let video = section(&answer, "video");
    for line in [
        "a=mid:1",
        "a=sendonly",
        "a=setup:passive",
        "a=rtcp-mux",
        "a=end-of-candidates",
        "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid",
        "a=extmap:5 http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
        "a=fmtp:117 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=4d001f",
        "a=rtcp-fb:117 nack pli",
        "a=rtcp-fb:117 ccm fir",
        "a=fmtp:118 apt=117",
        "a=ssrc-group:FID 1001 1002",
        "a=msid:live video",
    ] {
        assert!(video.contains(&line), "{line} in {video:#?}");
    }
    assert_eq!(section(&answer, "application")[2..], ["a=mid:2", "a=inactive"]);
}

#[test]
fn the_payload_type_follows_the_stream() {
    for (offer, profile, expected) in [
        (CHROME_OFFER, BASELINE, 109),
        (CHROME_OFFER, [0x42, 0xc0, 0x28], 109),
        (CHROME_OFFER, [0x42, 0x00, 0x1e], 103),
        (CHROME_OFFER, MAIN, 117),
        (CHROME_OFFER, HIGH, 109),
        (FIREFOX_OFFER, HIGH, 126),
        (SAFARI_OFFER, [0x64, 0x0c, 0x28], 96),
        (SAFARI_OFFER, HIGH, 98),
        (GSTREAMER_OFFER, MAIN, 96),
    ] {
        let (_, negotiated) = answer_to(offer, profile).unwrap();
        assert_eq!(negotiated.video.unwrap().payload_type, pt(expected), "{profile:x?}");
    }
}

#[test]
fn firefox_offers() {
    let (answer, negotiated) = answer_to(FIREFOX_OFFER, BASELINE).unwrap();
    let video = negotiated.video.unwrap();
    assert_eq!((video.playout_delay_ext, video.mid_ext, video.nack), (Some(6), Some(3), true));
    assert_eq!(negotiated.audio.unwrap().payload_type, pt(109));
    assert!(section(&answer, "audio").contains(&"a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid"));
}

#[test]
fn safari_offers() {
    let (answer, negotiated) = answer_to(SAFARI_OFFER, BASELINE).unwrap();
    assert_eq!(negotiated.video.unwrap().rtx_payload_type, Some(pt(99)));
    assert_eq!(section(&answer, "video")[0], "m=video 9 UDP/TLS/RTP/SAVPF 98 99");
}

/// Own mids, bundle-only audio, capital OPUS without fmtp.
#[test]
fn gstreamer_offers() {
    let (answer, negotiated) = answer_to(GSTREAMER_OFFER, BASELINE).unwrap();
    assert_eq!(negotiated.audio.as_ref().unwrap().payload_type, pt(98));
    assert_eq!(negotiated.video.unwrap().playout_delay_ext, None);
    assert!(lines(&answer).contains(&"a=group:BUNDLE video0 audio1"));
    assert!(!answer.contains("extmap"));
    assert!(section(&answer, "audio")[0].starts_with("m=audio 9 "));
}

#[test]
fn what_we_cannot_serve_is_on_port_0() {
    let no_h264 = CHROME_OFFER.replace("H264", "H263");
    let (answer, negotiated) = answer_to(&no_h264, MAIN).unwrap();
    assert_eq!((negotiated.missing, negotiated.video), (vec![MediaKind::Video], None));
    assert_eq!(
        section(&answer, "video"),
        [
            "m=video 0 UDP/TLS/RTP/SAVPF 96",
            "c=IN IP4 0.0.0.0",
            "a=mid:1",
            "a=inactive",
            "a=rtpmap:96 VP8/90000"
        ]
    );
    assert!(lines(&answer).contains(&"a=group:BUNDLE 0"));

    let (answer, negotiated) = local(None, true, |local| super::answer(CHROME_OFFER, local)).unwrap();
    assert_eq!(negotiated.missing, [], "the stream has no video to miss");
    assert!(section(&answer, "video")[0].starts_with("m=video 0 "));

    let sends = CHROME_OFFER.replace("a=recvonly", "a=sendonly");
    let missing = vec![];
    assert_eq!(answer_to(&sends, MAIN).unwrap_err(), SdpError::NothingInCommon { missing });

    let neither = no_h264.replace("opus/", "speex/");
    let missing = vec![MediaKind::Video, MediaKind::Audio];
    assert_eq!(answer_to(&neither, MAIN).unwrap_err(), SdpError::NothingInCommon { missing });
}

#[test]
fn the_second_section_of_a_kind_is_refused() {
    let extra = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:9\r\na=recvonly\r\na=rtcp-mux\r\n\
                 a=rtpmap:111 opus/48000/2\r\n";
    let (answer, _) = answer_to(&format!("{}{extra}", without(SAFARI_OFFER, "#")), BASELINE).unwrap();
    let media: Vec<&str> = lines(&answer).into_iter().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(media[2], "m=audio 0 UDP/TLS/RTP/SAVPF 111");
}

#[test]
fn offers_that_will_not_do() {
    let refused = |text: &str| answer_to(text, MAIN).unwrap_err();
    for (text, error) in [
        (CHROME_OFFER.replace("setup:actpass", "setup:passive"), SdpError::PeerIsPassive),
        (CHROME_OFFER.replace("BUNDLE 0 1 2", "BUNDLE 0 2"), SdpError::NotBundled),
        (CHROME_OFFER.replace("a=setup:actpass", "a=ice-lite"), SdpError::Missing("a=ice-ufrag")),
        (without(CHROME_OFFER, "a=fingerprint"), SdpError::Missing("a=fingerprint with sha-256 or better")),
    ] {
        let text =
            if error == SdpError::Missing("a=ice-ufrag") { without(&text, "a=ice-ufrag") } else { text };
        assert_eq!(refused(&text), error);
    }
    assert!(answer_to(&CHROME_OFFER.replace("setup:actpass", "setup:active"), MAIN).is_ok());
    for mid in ["a=mid:", "a=mid:one two", &format!("a=mid:{}", "x".repeat(65))] {
        let text = CHROME_OFFER.replace("a=mid:0", mid);
        assert!(matches!(refused(&text), SdpError::Syntax(_)), "{mid}");
    }
}

#[test]
fn header_extension_ids_beyond_the_one_byte_form_are_not_used() {
    let far = CHROME_OFFER.replace("a=extmap:5 ", "a=extmap:15 ");
    let (answer, negotiated) = answer_to(&far, MAIN).unwrap();
    assert_eq!(negotiated.video.unwrap().playout_delay_ext, None);
    assert!(!answer.contains("playout-delay"));
}

#[test]
fn feedback_for_all_payload_types() {
    let wildcard =
        without(GSTREAMER_OFFER, "a=rtcp-fb:96").replace("a=rtpmap:96", "a=rtcp-fb:* nack\r\na=rtpmap:96");
    let (answer, negotiated) = answer_to(&wildcard, BASELINE).unwrap();
    assert!(negotiated.video.unwrap().nack);
    assert!(answer.contains("a=rtcp-fb:96 nack\r\n") && !answer.contains("nack pli"));
}

#[test]
fn a_large_description_is_read_and_a_larger_one_is_not() {
    let padding = "a=candidate:1 1 udp 1 192.0.2.1 1 typ host\r\n";
    let room = MAX_SDP_BYTES - without(CHROME_ANSWER, "#").len();
    let large = format!("{}{}", without(CHROME_ANSWER, "#"), padding.repeat(room / padding.len()));
    assert!(read_answer(&large, Some(HIGH), true).is_ok());
    let larger = format!("{large}{padding}{padding}");
    assert_eq!(read_answer(&larger, Some(HIGH), true), Err(SdpError::TooLong));
}

#[test]
fn candidates_are_checked_for_shape() {
    for candidate in [
        "",
        "candidate:1 1 udp 2122260223 192.168.1.2 50612 typ host generation 0 ufrag k9Xw network-id 1",
        "candidate:2999745851 1 UDP 2122260223 5f2a6d34-7e5c-4a3a-9b11-0a5f2c7d9e10.local 50612 typ host",
        "a=candidate:0 1 TCP 1518280447 2001:db8::1 9 typ host tcptype active",
        "candidate:8 1 udp 41885439 203.0.113.5 61000 typ relay raddr 0.0.0.0 rport 0",
    ] {
        assert!(is_candidate(candidate), "{candidate}");
    }
    for candidate in [
        "candidate:",
        "candidate:1 1 udp 5 192.168.1.2 50612",
        "candidate:1 1 udp 5 192.168.1.2 70000 typ host",
        "candidate:1 1 udp -5 192.168.1.2 50612 typ host",
        "candidate:1 1000 udp 5 192.168.1.2 50612 typ host",
        "candidate:1 1 u(d)p 5 192.168.1.2 50612 typ host",
        "192.168.1.2:50612",
        &format!("candidate:1 1 udp 5 {} 1 typ host", "x".repeat(2_000)),
    ] {
        assert!(!is_candidate(candidate), "{candidate}");
    }
}

#[test]
fn fragments() {
    let text = "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\n\
                a=candidate:1 1 udp 2122260223 192.168.1.2 50612 typ host\r\na=end-of-candidates\r\n";
    let expected = Fragment {
        ufrag: Some("EsAw".to_owned()),
        pwd: Some("P2uYro0UCOQ4zxjKXaWCBui1".to_owned()),
        candidates: 1,
        end_of_candidates: true,
    };
    assert_eq!(parse_candidate_fragment(text), Ok(expected.clone()));
    assert_eq!(parse_candidate_fragment(&text.replace("\r\n", "\n")), Ok(expected));
    assert_eq!(parse_candidate_fragment(""), Ok(Fragment::default()));
    for text in ["a=candidate:x", "hello", "a=ice-ufrag:x", "a=ice-pwd:short", "ab=c"] {
        assert!(matches!(parse_candidate_fragment(text), Err(SdpError::Syntax(_))), "{text}");
    }
    assert_eq!(parse_candidate_fragment(&"a=x\n".repeat(20_000)), Err(SdpError::TooLong));
}

#[test]
fn a_restart_is_answered_with_a_fragment() {
    let (_, negotiated) = answer_to(CHROME_OFFER, MAIN).unwrap();
    let text = local(None, false, |local| restart_fragment(local.ice, local.candidates, &negotiated));
    assert!(
        text.contains("a=ice-lite\r\n") && text.contains("m=video 9 UDP/TLS/RTP/SAVPF 117\r\na=mid:1\r\n")
    );
    let read = parse_candidate_fragment(&text).unwrap();
    assert_eq!((read.candidates, read.end_of_candidates), (2, true));
    assert_eq!(read.ufrag.as_deref(), Some("AAEAAAACq83vEjRW"));
}

fn any_real() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        CHROME_ANSWER,
        FIREFOX_ANSWER,
        CHROME_OFFER,
        FIREFOX_OFFER,
        SAFARI_OFFER,
        GSTREAMER_OFFER,
    ])
}

proptest! {
    #[test]
    fn never_panics(text in "\\PC{0,400}") {
        let _ = answer_to(&text, MAIN);
        let _ = read_answer(&text, Some(MAIN), true);
        let _ = parse_candidate_fragment(&text);
        let _ = is_candidate(&text);
    }

    /// Real descriptions with lines dropped, doubled, cut and scrambled.
    #[test]
    fn damaged_descriptions_never_panic(
        text in any_real(),
        damage in prop::collection::vec((0usize..200, 0u8..5, any::<u8>(), "\\PC{0,20}"), 1..6),
    ) {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for (at, how, cut, junk) in damage {
            let at = at % lines.len();
            let line = lines[at].clone();
            match how {
                0 => { lines.remove(at); }
                1 => lines.insert(at, line),
                2 => lines[at] = line.chars().take(cut as usize).collect(),
                3 => lines[at] = format!("{line}{junk}"),
                _ => lines[at] = junk,
            }
            if lines.is_empty() {
                break;
            }
        }
        let damaged = lines.join("\r\n") + "\r\n";
        if let Ok((answer, negotiated)) = answer_to(&damaged, MAIN) {
            prop_assert!(!negotiated.fingerprints.is_empty());
            prop_assert!(negotiated.video.is_some() || negotiated.audio.is_some());
            // Whatever came in, what goes out is an SDP with as many sections.
            let sections = |sdp: &str| sdp.lines().filter(|line| line.starts_with("m=")).count();
            prop_assert_eq!(sections(&answer), sections(&damaged));
        }
        let _ = read_answer(&damaged, Some(HIGH), true);
    }
}

/// Calls `with` with the description of a stream in this format.
fn local_in<T>(format: VideoFormat, with: impl FnOnce(&LocalDescription<'_>) -> T) -> T {
    local(Some(BASELINE), true, |local| {
        let video = Some(VideoSource { format, ..local.video.unwrap() });
        with(&LocalDescription { video, ..*local })
    })
}

#[test]
fn other_codecs_are_offered_and_answered_by_name_and_profile() {
    for (format, rtpmap, fmtp) in [
        (VideoFormat::Vp8, "VP8", None),
        (VideoFormat::Vp9 { profile: 0 }, "VP9", Some("profile-id=0")),
        (VideoFormat::Av1 { profile: 0, level: 5, tier: 0 }, "AV1", Some("level-idx=5;profile=0;tier=0")),
        (
            VideoFormat::H265 { profile: 1, high_tier: false, level: 93 },
            "H265",
            Some("level-id=93;profile-id=1;tier-flag=0;tx-mode=SRST"),
        ),
    ] {
        let offer = local_in(format, offer);
        let video = section(&offer, "video");
        assert_eq!(video[0], "m=video 9 UDP/TLS/RTP/SAVPF 102 103 118");
        assert!(video.contains(&format!("a=rtpmap:102 {rtpmap}/90000").as_str()), "{video:#?}");
        let described = video.iter().find_map(|line| line.strip_prefix("a=fmtp:102 "));
        assert_eq!(described, fmtp);

        // A viewer without the codec hears only, and we know why.
        let answered = local_in(format, |local| answer(GSTREAMER_OFFER, local));
        let (text, negotiated) = answered.unwrap();
        assert_eq!((negotiated.missing, negotiated.video), (vec![MediaKind::Video], None), "{text}");
    }
    let (text, negotiated) = local_in(VideoFormat::Vp8, |local| answer(CHROME_OFFER, local)).unwrap();
    let video = negotiated.video.unwrap();
    assert!(video.rtx_payload_type.is_some() && video.profile_level_id.is_none() && video.nack);
    let lines = section(&text, "video");
    assert!(lines.iter().any(|line| line.ends_with("VP8/90000")), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("H264")), "{lines:#?}");
}
