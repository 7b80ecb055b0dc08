//! The wire shapes, word for word, and the generated TypeScript.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use heliograph_typescript::Declarations;
use serde_json::{Value, json};

#[test]
fn the_generated_typescript_is_current() {
    Declarations::of("signaling/src/messages.rs", env!("CARGO_PKG_NAME"))
        .and::<ServerMessage>()
        .and::<ViewerMessage>()
        .and::<SessionDescription>()
        .and::<SdpKind>()
        .and::<IceCandidate>()
        .and::<ViewerCount>()
        .and::<PlayoutWish>()
        .and::<PlayoutRange>()
        .and::<ClockQuestion>()
        .and::<DelayReport>()
        .and::<ClockAnswer>()
        .and::<Uplink>()
        .and::<UplinkBasis>()
        .and::<StateChange>()
        .and::<Layer>()
        .and::<ChannelState>()
        .and::<Notice>()
        .and::<StreamsDocument>()
        .and::<StreamEntry>()
        .and::<LayerEntry>()
        .and::<TrackEntry>()
        .and::<WarningEntry>()
        .and::<TrackKind>()
        .and::<PageConfig>()
        .and::<IceServer>()
        .and::<Branding>()
        .and::<BrandLogo>()
        .and::<Corner>()
        .and::<Problem>()
        .check(concat!(env!("CARGO_MANIFEST_DIR"), "/../web/src/core/messages.ts"));
}

#[track_caller]
fn check(message: &ServerMessage, wanted: &Value) {
    let text = serde_json::to_string(message).unwrap();
    assert_eq!(&serde_json::from_str::<Value>(&text).unwrap(), wanted);
    assert_eq!(&serde_json::from_str::<ServerMessage>(&text).unwrap(), message);
}

#[test]
fn server_messages_have_the_shapes_that_the_old_page_reads() {
    check(
        &ServerMessage::Offer(SessionDescription { kind: SdpKind::Offer, sdp: "v=0\r\n".into() }),
        &json!({"event": "offer", "data": {"type": "offer", "sdp": "v=0\r\n"}}),
    );
    check(
        &ServerMessage::Candidate(IceCandidate {
            candidate: "candidate:1".into(),
            ..IceCandidate::default()
        }),
        &json!({"event": "candidate", "data": {
            "candidate": "candidate:1", "sdpMid": null, "sdpMLineIndex": null, "usernameFragment": null}}),
    );
    check(
        &ServerMessage::Info(ViewerCount { no_connections: 3 }),
        &json!({"event": "info", "data": {"no_connections": 3}}),
    );
}

#[test]
fn the_new_server_messages() {
    check(
        &ServerMessage::State(StateChange {
            state: ChannelState::Live,
            channel: Some("den".into()),
            port: Some(24000),
            name: None,
            layers: vec![Layer { rid: "h".into(), width: 1280, height: 720 }],
        }),
        &json!({"event": "state", "data": {"state": "live", "channel": "den", "port": 24000,
            "layers": [{"rid": "h", "width": 1280, "height": 720}]}}),
    );
    check(
        &ServerMessage::Playout(PlayoutRange { min_ms: 0, max_ms: 2000, limit_ms: 4000 }),
        &json!({"event": "playout", "data": {"min_ms": 0, "max_ms": 2000, "limit_ms": 4000}}),
    );
    check(
        &ServerMessage::Clock(ClockAnswer {
            client_us: 12_345_678,
            server_us: 1_700_000_000_123_456,
            uplink: None,
        }),
        &json!({"event": "clock", "data": {"client_us": 12_345_678, "server_us": 1_700_000_000_123_456_u64}}),
    );
    let notice = Notice { code: "stream_ended".into(), message: "the stream has ended".into() };
    let data = json!({"code": "stream_ended", "message": "the stream has ended"});
    check(&ServerMessage::Error(notice.clone()), &json!({"event": "error", "data": data}));
    check(&ServerMessage::Close(notice), &json!({"event": "close", "data": data}));
}

#[test]
fn viewer_messages_as_browsers_write_them() {
    let chromium = json!({"event": "candidate", "data": {
        "candidate": "candidate:1 1 udp 2113937151 0c3a.local 51234 typ host generation 0 ufrag abcd",
        "sdpMid": "0", "sdpMLineIndex": 0, "usernameFragment": "abcd"}});
    let ViewerMessage::Candidate(Some(candidate)) = serde_json::from_value(chromium).unwrap() else {
        panic!("a candidate")
    };
    assert_eq!(candidate.sdp_m_line_index, Some(0));
    assert_eq!(candidate.username_fragment.as_deref(), Some("abcd"));

    let end: ViewerMessage = serde_json::from_value(json!({"event": "candidate", "data": null})).unwrap();
    assert_eq!(end, ViewerMessage::Candidate(None));
    let sparse: ViewerMessage =
        serde_json::from_value(json!({"event": "candidate", "data": {"candidate": ""}})).unwrap();
    assert_eq!(sparse, ViewerMessage::Candidate(Some(IceCandidate::default())));

    let answer: ViewerMessage =
        serde_json::from_value(json!({"event": "answer", "data": {"type": "answer", "sdp": "v=0"}})).unwrap();
    assert!(matches!(answer, ViewerMessage::Answer(SessionDescription { kind: SdpKind::Answer, .. })));
}
