//! What can be read over HTTP: the streams, the page's configuration, events, health.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, http::Request};
use bytes::Bytes;
use futures_util::StreamExt;
use heliograph_media::SeqNo;
use heliograph_relay::{
    Capacity, CloseReason, FeedBatch, FeedItem, Packet, StartParts, StreamState, Track, Warning,
    capacity::Limit,
};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use tower::ServiceExt;

use crate::preview::testing::{IDR, PPS, SPS};

use super::{
    fake_relay::FakeRelay,
    requests::{ask, control, public, settings},
};

#[tokio::test]
async fn itg_fault_5_and_capability_bug_m_streams_and_their_ports_can_be_found() {
    let relay = FakeRelay::new();
    relay.publish(24_001, Some("den"), StreamState::Live);
    relay.publish(24_000, None, StreamState::Waiting);
    for router in [public(&relay, settings(|_| {})), control(&relay, settings(|_| {}))] {
        let answer = ask(&router, "GET /streams", &[], "").await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"));
        let document = answer.json();
        let streams = document["streams"].as_array().unwrap();
        assert_eq!(
            streams.iter().map(|s| s["port"].clone()).collect::<Vec<_>>(),
            [json!(24_000), json!(24_001)]
        );
        assert_eq!(streams[0]["channel"], Value::Null);
        assert_eq!(
            streams[1],
            json!({"channel": "den", "name": "den on air", "port": 24001, "since_ms": 1_700_000_000_123_u64,
                "state": "live", "viewers": 2, "bitrate_bps": 2_660_000,
                "tracks": [
                    {"kind": "video", "codec": "h264", "profile": "4d401f", "width": 1280, "height": 720,
                        "fps": null, "keyframe_interval_ms": null, "bitrate_bps": 2_500_000},
                    {"kind": "audio", "codec": "opus", "profile": null, "width": null, "height": null,
                        "fps": null, "keyframe_interval_ms": null, "bitrate_bps": 160_000}],
                "uplink": null,
                "warnings": [{"code": "b_frames", "message": Warning::BFrames.to_string()}]})
        );
    }
}

#[tokio::test]
async fn streams_are_never_older_than_the_newest_change() {
    let relay = FakeRelay::new();
    let router = public(&relay, settings(|_| {}));
    assert_eq!(ask(&router, "GET /streams", &[], "").await.json(), json!({"streams": []}));
    relay.publish(24_000, None, StreamState::Live);
    assert_eq!(ask(&router, "GET /streams", &[], "").await.json()["streams"][0]["state"], "live");
    relay.end(24_000, &CloseReason::StreamEnded);
    assert_eq!(ask(&router, "GET /streams", &[], "").await.json(), json!({"streams": []}));
}

#[tokio::test]
async fn the_page_finds_the_websocket() {
    let relay = FakeRelay::new();
    let plain = public(&relay, settings(|_| {}));
    let tls = public(&relay, settings(|settings| settings.tls = true));
    let fixed = public(
        &relay,
        settings(|settings| {
            settings.ws_url = Some("wss://tv.example.org".into());
            settings.ice_servers = vec!["stun:stun.example.org:3478".into(), "turn:turn.example.org".into()];
        }),
    );
    for (router, headers, wanted) in [
        (&plain, &[("host", "tv.local:8080")][..], "ws://tv.local:8080/websocket"),
        (&plain, &[("host", "tv.local"), ("x-forwarded-proto", "https")], "wss://tv.local/websocket"),
        (&plain, &[("host", "[2001:db8::1]:8080")], "ws://[2001:db8::1]:8080/websocket"),
        (&tls, &[("host", "tv.local")], "wss://tv.local/websocket"),
        (&fixed, &[("host", "whatever")], "wss://tv.example.org/websocket"),
    ] {
        let answer = ask(router, "GET /config.json", headers, "").await;
        assert_eq!(answer.json()["wsUrl"], wanted);
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    let ice = ask(&fixed, "GET /config.json", &[], "").await.json()["iceServers"].clone();
    assert_eq!(ice, json!([{"urls": ["stun:stun.example.org:3478"]}, {"urls": ["turn:turn.example.org"]}]));
    assert_eq!(ask(&plain, "GET /config.json", &[("host", "x\"y")], "").await.status.as_u16(), 400);
}

#[tokio::test]
async fn any_page_may_read_and_nothing_else() {
    let relay = FakeRelay::new();
    let router = public(&relay, settings(|_| {}));
    for path in ["/streams", "/capacity", "/config.json", "/healthz"] {
        let answer = ask(&router, &format!("GET {path}"), &[("origin", "https://other.example")], "").await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("access-control-allow-origin")),
            (200, "*"),
            "{path}"
        );
        let answer =
            ask(&router, &format!("OPTIONS {path}"), &[("origin", "https://other.example")], "").await;
        assert_eq!(answer.status.as_u16(), 200);
        let answer = ask(&router, &format!("POST {path}"), &[], "").await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "GET, HEAD, OPTIONS"));
        assert_eq!(ask(&router, &format!("HEAD {path}"), &[], "").await.status.as_u16(), 200);
    }
}

#[tokio::test]
async fn the_capacity_is_told_on_both_listeners() {
    let relay = FakeRelay::new();
    *relay.capacity.lock().unwrap() =
        Capacity { viewers: 3, can_carry: 900, limited_by: Limit::Cpu, ..Capacity::default() };
    let settings = settings(|_| {});
    for router in [public(&relay, Arc::clone(&settings)), control(&relay, settings)] {
        let answer = ask(&router, "GET /capacity", &[("host", "localhost")], "").await;
        assert_eq!(answer.status.as_u16(), 200);
        let told = answer.json();
        assert_eq!(
            (&told["viewers"], &told["can_carry"], &told["limited_by"]),
            (&json!(3), &json!(900), &json!("cpu"),)
        );
    }
}

#[tokio::test]
async fn health_in_plain_words() {
    let relay = FakeRelay::new();
    let settings = settings(|_| {});
    let router = public(&relay, Arc::clone(&settings));
    let answer = ask(&router, "GET /healthz", &[], "").await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, "ok\n"));
    settings.shutdown.begin();
    let answer = ask(&router, "GET /healthz", &[], "").await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (503, "shutting down\n"));
    for head in ["GET /events", "POST /stream"] {
        let token = format!("Bearer {}", settings.token.secret());
        assert_eq!(ask(&router, head, &[("authorization", &token)], "").await.status.as_u16(), 503, "{head}");
    }
}

/// The next event of a stream of events, as (name, data).
async fn next_event(body: &mut axum::body::BodyDataStream) -> Option<(String, Value)> {
    let chunk = timeout(Duration::from_secs(5), body.next()).await.expect("an event in time")?.unwrap();
    let text = String::from_utf8(chunk.to_vec()).unwrap();
    let name = text.lines().find_map(|line| line.strip_prefix("event: "))?.to_owned();
    let data = text.lines().find_map(|line| line.strip_prefix("data: "))?;
    assert!(text.ends_with("\n\n"));
    Some((name, serde_json::from_str(data).unwrap()))
}

async fn open_events(router: &axum::Router) -> axum::body::BodyDataStream {
    let request = Request::get("/events").body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    response.into_body().into_data_stream()
}

#[tokio::test]
async fn events_tell_of_changes_at_once_but_not_more_often_than_agreed() {
    let relay = FakeRelay::new();
    let settings = settings(|settings| settings.events_interval = Duration::from_millis(200));
    let router = public(&relay, Arc::clone(&settings));
    let mut events = open_events(&router).await;
    assert_eq!(next_event(&mut events).await, Some(("streams".into(), json!({"streams": []}))));

    let began = Instant::now();
    for port in 24_000..24_050 {
        relay.publish(port, None, StreamState::Live);
    }
    let (_, data) = next_event(&mut events).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(150), "{:?}", began.elapsed());
    assert_eq!(data["streams"].as_array().unwrap().len(), 50, "one event for all of them");

    settings.shutdown.begin();
    assert_eq!(next_event(&mut events).await, None);
}

#[tokio::test]
async fn readers_of_events_are_counted() {
    let relay = FakeRelay::new();
    let router = public(&relay, settings(|settings| settings.max_event_readers_per_address = 1));
    let first = open_events(&router).await;
    assert_eq!(ask(&router, "GET /events", &[], "").await.status.as_u16(), 429);
    drop(first);
    let _ = open_events(&router).await;
}

#[tokio::test]
async fn the_newest_keyframe_is_a_film_that_browsers_may_keep_for_a_moment() {
    let relay = FakeRelay::new();
    let stream = relay.publish(24_000, Some("den"), StreamState::Live);
    let router = public(&relay, settings(|_| {}));
    for (path, code) in [
        ("/preview?port=24001", "unknown_stream"),
        ("/preview", "unknown_stream"),
        ("/preview?channel=den", "no_picture"),
    ] {
        let answer = ask(&router, &format!("GET {path}"), &[], "").await;
        assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (404, &json!(code)), "{path}");
    }
    let payloads = [SPS, PPS, IDR];
    let packets = payloads.iter().zip(0_u64..).map(|(payload, at)| {
        Arc::new(Packet {
            seq: SeqNo(at),
            timestamp: 90_000,
            marker: at == 2,
            frame_start: at == 0,
            keyframe_start: at == 0,
            parts: StartParts::NONE,
            arrival: std::time::Instant::now(),
            payload: Bytes::from_static(payload),
        })
    });
    let items = vec![FeedItem::Packets { track: Track::Video, packets: packets.collect() }];
    relay.readers.lock().unwrap()[0].deliver(&Arc::new(FeedBatch { stream, items }));

    for path in ["/preview?port=24000", "/preview?channel=den&v=7"] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (200, &"video/mp4".parse().unwrap())
        );
        assert_eq!(response.headers()["cache-control"], "public, max-age=2");
        let etag = response.headers()["etag"].to_str().unwrap().to_owned();
        let film = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        assert_eq!(&film[4..8], b"ftyp");
        let again = ask(&router, &format!("GET {path}"), &[("if-none-match", &etag)], "").await;
        assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
    }
}

#[tokio::test]
async fn whoever_asks_for_stills_too_often_is_told_so() {
    let relay = FakeRelay::new();
    relay.publish(24_000, None, StreamState::Live);
    let router = public(&relay, settings(|_| {}));
    for _ in 0..2_000 {
        let answer = ask(&router, "GET /preview?port=24000", &[], "").await;
        if answer.status.as_u16() == 429 {
            assert_eq!(answer.json()["code"], "too_many_previews");
            assert_eq!(answer.header("retry-after"), "6");
            return;
        }
        assert_eq!(answer.status.as_u16(), 404);
    }
    panic!("2000 requests at once");
}
