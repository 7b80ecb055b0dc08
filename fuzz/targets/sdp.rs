//! Offers, answers and trickle fragments of viewers, and offers of publishers.
#![no_main]

use std::net::SocketAddr;

use heliograph_edge::{
    dtls::Fingerprint,
    ice::IceCredentials,
    sdp::{
        AudioSource, LocalDescription, LocalTransport, Negotiated, NegotiatedTrack, SdpError, VideoSource,
        answer, is_candidate, parse_answer, parse_candidate_fragment, receive, restart_fragment,
    },
};
use heliograph_media::{Codec, MediaKind, Ssrc, video::VideoFormat};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let ice =
        IceCredentials { ufrag: "AAEAAAACAAAAAAAA".to_owned(), pwd: "0123456789abcdef01234567".to_owned() };
    let fingerprint: Fingerprint =
        ["sha-256 A0", &":A1".repeat(31)].concat().parse().expect("32 pairs of digits");
    let candidates = [SocketAddr::from(([192, 0, 2, 1], 20_000))];
    let local = LocalDescription {
        ice: &ice,
        fingerprint: &fingerprint,
        candidates: &candidates,
        cname: "cname",
        msid: "stream",
        video: Some(VideoSource {
            format: VideoFormat::H264 { profile_level_id: [0x64, 0, 0x1f] },
            ssrc: Ssrc(1),
            rtx_ssrc: Ssrc(2),
            fec_ssrc: Ssrc(4),
        }),
        audio: Some(AudioSource { ssrc: Ssrc(3) }),
    };

    let transport = LocalTransport { ice: &ice, fingerprint: &fingerprint, candidates: &candidates };
    match receive(text, transport) {
        Ok((written, incoming)) => {
            check_lines(&written);
            assert!(written.len() <= 4_096 + 8 * text.len());
            assert!(incoming.video.is_some() || incoming.audio.is_some());
            assert!(incoming.audio.is_none_or(|track| track.codec == Codec::Opus));
            if let Some(track) = &incoming.video {
                assert_ne!(track.rtx_payload_type, Some(track.payload_type));
                assert!(!(64..96).contains(&track.payload_type.get()));
            }
        }
        Err(error) => check_error(&error),
    }
    // The same stream in a codec whose parameters go back as they came.
    let other = LocalDescription {
        video: Some(VideoSource {
            format: VideoFormat::Vp9 { profile: 0 },
            ssrc: Ssrc(1),
            rtx_ssrc: Ssrc(2),
            fec_ssrc: Ssrc(4),
        }),
        ..local
    };
    if let Ok((written, _)) = answer(text, &other) {
        check_lines(&written);
    }
    match answer(text, &local) {
        Ok((written, negotiated)) => {
            check_lines(&written);
            check_negotiated(&negotiated);
            // The library skips carriage returns in front of a line.
            let sections = |sdp: &str| {
                sdp.split('\n').filter(|line| line.trim_start_matches('\r').starts_with("m=")).count()
            };
            assert_eq!(sections(&written), sections(text), "{text}\n{written}");
            assert!(written.len() <= 4_096 + 8 * text.len());
            check_lines(&restart_fragment(&ice, &candidates, &negotiated));
        }
        Err(error) => check_error(&error),
    }
    match parse_answer(text, &local) {
        Ok(negotiated) => check_negotiated(&negotiated),
        Err(error) => check_error(&error),
    }
    match parse_candidate_fragment(text) {
        Ok(fragment) => assert!(fragment.candidates <= text.len() / 12),
        Err(error) => check_error(&error),
    }
    let _ = is_candidate(text);
    if let Ok(fingerprint) = text.parse::<Fingerprint>() {
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
    }
});

/// Nothing that a peer wrote can break out of its line.
fn check_lines(sdp: &str) {
    assert!(sdp.ends_with("\r\n"));
    for line in sdp.split_terminator("\r\n") {
        let bytes = line.as_bytes();
        assert!(bytes.len() >= 2 && bytes[0].is_ascii_lowercase() && bytes[1] == b'=', "{line:?}");
        assert!(!line.contains(char::is_control), "{line:?}");
    }
}

fn check_negotiated(negotiated: &Negotiated) {
    assert!(negotiated.video.is_some() || negotiated.audio.is_some());
    assert!(!negotiated.fingerprints.is_empty() && negotiated.fingerprints.len() <= 8);
    assert!((4..=256).contains(&negotiated.remote_ufrag.len()));
    assert!((22..=256).contains(&negotiated.remote_pwd.len()));
    for (kind, track) in [(MediaKind::Video, &negotiated.video), (MediaKind::Audio, &negotiated.audio)] {
        if let Some(track) = track {
            check_track(kind, track);
            assert!(!negotiated.missing.contains(&kind));
        }
    }
}

fn check_track(kind: MediaKind, track: &NegotiatedTrack) {
    assert_eq!(track.rtx_payload_type.is_some(), track.rtx_ssrc.is_some());
    assert_ne!(track.rtx_payload_type, Some(track.payload_type));
    assert_eq!(track.profile_level_id.is_some(), kind == MediaKind::Video);
    let ids = [track.playout_delay_ext, track.mid_ext, track.transport_cc_ext, track.capture_time_ext];
    let ids: Vec<u8> = ids.into_iter().flatten().collect();
    for (index, id) in ids.iter().enumerate() {
        assert!((1..=14).contains(id));
        assert!(!ids[..index].contains(id), "two header extensions under one id");
    }
}

/// Error texts go to the peer and into logs.
fn check_error(error: &SdpError) {
    let text = error.to_string();
    assert!(text.len() <= 600 && !text.contains(char::is_control), "{text:?}");
}
