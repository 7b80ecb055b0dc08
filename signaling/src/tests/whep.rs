//! WHEP's rules, one by one.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use heliograph_media::Codec;
use heliograph_relay::{
    CloseReason, StreamState, Uplink, UplinkBasis, ViewerEvent, WatchError, capacity::Limit,
};

use super::{
    fake_relay::FakeRelay,
    requests::{Answer, ask, public, settings},
};

const SDP: &[(&str, &str)] = &[("content-type", "application/sdp")];
const OFFER: &str = "v=0\r\na=ice-ufrag:first\r\n";

async fn joined() -> (Arc<FakeRelay>, axum::Router, Answer) {
    let relay = FakeRelay::new();
    relay.publish(24_000, Some("den"), StreamState::Live);
    let router = public(&relay, settings(|_| {}));
    let answer = ask(&router, "POST /whep/den", SDP, OFFER).await;
    (relay, router, answer)
}

#[tokio::test]
async fn a_viewer_is_answered_with_everything_it_needs() {
    let relay = FakeRelay::new();
    relay.publish(24_000, Some("den"), StreamState::Live);
    let router = public(
        &relay,
        settings(|settings| {
            settings.default_port = Some(24_000);
            settings.ice_servers = vec!["stun:a.example:3478".into(), "turn:b.example".into()];
        }),
    );
    for path in ["/whep/den", "/whep?port=24000", "/whep?channel=den", "/whep"] {
        let answer = ask(&router, &format!("POST {path}"), SDP, OFFER).await;
        assert_eq!(answer.status.as_u16(), 201, "{path}: {}", answer.body);
        assert_eq!(answer.header("content-type"), "application/sdp");
        assert!(answer.body.starts_with("v=0"));
        let id = answer.header("location").strip_prefix("/whep/session/").unwrap();
        assert_eq!(id.len(), 32, "128 random bits");
        assert!(answer.header("etag").starts_with('"'));
        let links: Vec<_> =
            answer.headers.get_all("link").iter().map(|link| link.to_str().unwrap()).collect();
        assert_eq!(
            links,
            ["<stun:a.example:3478>; rel=\"ice-server\"", "<turn:b.example>; rel=\"ice-server\""]
        );
        assert_eq!(answer.header("accept-patch"), "application/trickle-ice-sdpfrag");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        let exposed = answer.header("access-control-expose-headers");
        assert!(["Location", "Link", "ETag"].iter().all(|name| exposed.contains(name)));
    }
}

#[tokio::test]
async fn refusals() {
    let wrong_type = &[("content-type", "text/plain")][..];
    let html = &[("content-type", "application/sdp"), ("accept", "text/html")][..];
    for (head, headers, body, status, code) in [
        ("POST /whep/nobody", SDP, OFFER, 404, "unknown_stream"),
        ("POST /whep/bad%20name", SDP, OFFER, 404, "unknown_stream"),
        ("POST /whep?port=1", SDP, OFFER, 404, "unknown_stream"),
        ("POST /whep?port=70000", SDP, OFFER, 404, "unknown_stream"),
        ("POST /whep", SDP, OFFER, 404, "unknown_stream"),
        ("GET /whep/den", &[], "", 405, "wrong_method"),
        ("PUT /whep?port=24000", SDP, OFFER, 405, "wrong_method"),
        ("POST /whep/den", html, OFFER, 406, "not_acceptable"),
        ("POST /whep/den", wrong_type, OFFER, 415, "wrong_type"),
        ("POST /whep/den", &[], OFFER, 415, "wrong_type"),
        ("POST /whep/den", SDP, "hello", 400, "bad_sdp"),
        ("POST /whep/den?playout_max_ms=soon", SDP, OFFER, 400, "bad_query"),
        ("POST /whep/den?playout_min_ms=9&playout_max_ms=1", SDP, OFFER, 400, "bad_query"),
        (
            "PATCH /whep/session/00000000000000000000000000000000",
            &[("content-type", "application/trickle-ice-sdpfrag"), ("if-match", "*")],
            "a=x",
            404,
            "no_session",
        ),
        ("DELETE /whep/session/00000000000000000000000000000000", &[], "", 404, "no_session"),
        ("DELETE /whep/session/short", &[], "", 404, "no_session"),
        ("POST /whep/session/00000000000000000000000000000000", SDP, OFFER, 405, "wrong_method"),
        ("GET /whep/session/00000000000000000000000000000000", &[], "", 405, "wrong_method"),
    ] {
        let relay = FakeRelay::new();
        relay.publish(24_000, Some("den"), StreamState::Live);
        let router = public(&relay, settings(|_| {}));
        let answer = ask(&router, head, headers, body).await;
        assert_eq!(answer.status.as_u16(), status, "{head}: {}", answer.body);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let problem = answer.json();
        assert_eq!(
            (problem["code"].as_str(), problem["status"].as_u64()),
            (Some(code), Some(u64::from(status)))
        );
        assert_eq!(
            answer.header("access-control-allow-origin"),
            "*",
            "a page must be able to read the reason"
        );
    }
}

#[tokio::test]
async fn the_playout_delay_is_asked_for_in_the_address() {
    for (query, wanted) in [
        ("", "min=0, max=500, limit=4000"),
        ("?playout_max_ms=2000", "min=0, max=2000, limit=4000"),
        ("?playout_min_ms=100&playout_max_ms=40000", "min=100, max=4000, limit=4000"),
    ] {
        let relay = FakeRelay::new();
        relay.publish(24_000, Some("den"), StreamState::Live);
        let router = public(&relay, settings(|_| {}));
        let answer = ask(&router, &format!("POST /whep/den{query}"), SDP, OFFER).await;
        assert_eq!((answer.status.as_u16(), answer.header("playout-delay")), (201, wanted), "{query}");
        assert!(answer.header("access-control-expose-headers").contains("Playout-Delay"));
    }
}

#[tokio::test]
async fn what_the_relay_refuses() {
    for (error, status, code, retry) in [
        (WatchError::UnknownStream, 404, "unknown_stream", true),
        (WatchError::Full, 503, "full", true),
        (WatchError::Overloaded(Limit::Network), 503, "full", true),
        (WatchError::TooManyPending, 503, "too_many_pending", true),
        (WatchError::BadSdp("no m-line".into()), 400, "bad_sdp", false),
        (WatchError::CodecNotSupported(vec![Codec::H264]), 422, "codec_not_supported", false),
        (WatchError::Internal("secret detail".into()), 500, "internal", false),
    ] {
        let relay = FakeRelay::new();
        relay.publish(24_000, Some("den"), StreamState::Live);
        let detail = error.to_string();
        relay.refusals.lock().unwrap().push(error);
        let answer = ask(&public(&relay, settings(|_| {})), "POST /whep/den", SDP, OFFER).await;
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!(answer.json()["code"], code);
        assert_eq!(answer.headers.contains_key("retry-after"), retry, "{code}");
        assert!(!answer.body.contains("secret detail"));
        assert!(code != "full" || answer.json()["detail"] == detail, "which limit: {}", answer.body);
    }
}

#[tokio::test]
async fn an_offer_without_end_is_cut_off() {
    let relay = FakeRelay::new();
    relay.publish(24_000, Some("den"), StreamState::Live);
    let router = public(&relay, settings(|_| {}));
    let long = format!("v=0\r\n{}", "a=x\r\n".repeat(13_200));
    assert_eq!(ask(&router, "POST /whep/den", SDP, &long).await.status.as_u16(), 413);
    assert_eq!(ask(&router, "POST /whep/den", SDP, &long[..64 * 1024]).await.status.as_u16(), 201);
}

#[tokio::test]
async fn options_for_preflights_and_for_the_curious() {
    let relay = FakeRelay::new();
    let router = public(&relay, settings(|_| {}));
    for (path, methods, accept, kind) in [
        ("/whep", "POST, OPTIONS", "accept-post", "application/sdp"),
        ("/whep/den", "POST, OPTIONS", "accept-post", "application/sdp"),
        (
            "/whep/session/00000000000000000000000000000000",
            "PATCH, DELETE, OPTIONS",
            "accept-patch",
            "application/trickle-ice-sdpfrag",
        ),
        (
            "/whep/session/00000000000000000000000000000000/messages",
            "POST, OPTIONS",
            "accept-post",
            "application/json",
        ),
    ] {
        let preflight = [("origin", "https://a.example"), ("access-control-request-method", "POST")];
        let answer = ask(&router, &format!("OPTIONS {path}"), &preflight, "").await;
        assert_eq!(answer.status.as_u16(), 200);
        assert_eq!(answer.header("access-control-allow-methods"), methods);
        assert_eq!(answer.header(accept), kind);
        let allowed = answer.header("access-control-allow-headers");
        assert!(["Content-Type", "Authorization", "If-Match"].iter().all(|name| allowed.contains(name)));
        assert_eq!(answer.header("access-control-allow-origin"), "*");
    }
}

#[tokio::test]
async fn trickle_and_restart() {
    let (relay, router, answer) = joined().await;
    let session = answer.header("location").to_owned();
    let tag = answer.header("etag").to_owned();
    let patch = async |condition: Option<&str>, kind: &str, body: &str| {
        let mut headers = vec![("content-type", kind)];
        headers.extend(condition.map(|tag| ("if-match", tag)));
        ask(&router, &format!("PATCH {session}"), &headers, body).await
    };
    let fragment = "application/trickle-ice-sdpfrag";
    let candidates = "a=ice-ufrag:first\r\na=candidate:1 1 udp 1 x.local 9 typ host\r\n";
    let restart = "a=ice-ufrag:next\r\na=ice-pwd:0123456789abcdef012345\r\n";

    assert_eq!(patch(Some(&tag), "application/sdp", candidates).await.status.as_u16(), 415);
    assert_eq!(patch(Some("\"other\""), fragment, candidates).await.status.as_u16(), 412);
    assert_eq!(patch(Some(&tag), fragment, "nonsense").await.status.as_u16(), 400);
    for condition in [Some(format!("\"x\", {tag}")), Some("*".to_owned()), None] {
        let answer = patch(condition.as_deref(), fragment, candidates).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (204, ""), "{condition:?}");
    }

    assert_eq!(patch(None, fragment, restart).await.status.as_u16(), 428);
    let answer = patch(Some("*"), fragment, restart).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, fragment));
    assert_eq!(answer.body, "a=ice-ufrag:ours\r\n");
    let new_tag = answer.header("etag").to_owned();
    assert_ne!(new_tag, tag);
    assert_eq!(patch(Some(&tag), fragment, restart).await.status.as_u16(), 412);
    // Candidates of the new ICE session repeat its name, which restarts nothing.
    assert_eq!(patch(Some(&new_tag), fragment, restart).await.status.as_u16(), 204);
    assert_eq!(*relay.viewer(0).await.restarts.lock().unwrap(), ["next"]);
}

#[tokio::test]
async fn leaving() {
    let (relay, router, answer) = joined().await;
    let session = answer.header("location").to_owned();
    assert_eq!(ask(&router, &format!("DELETE {session}"), &[], "").await.status.as_u16(), 200);
    let viewer = relay.viewer(0).await;
    assert_eq!(*viewer.closed.lock().unwrap(), Some(CloseReason::ViewerLeft));
    // The answer may overtake the end of the task by a moment.
    for _ in 0..100 {
        if viewer.gone.load(Ordering::SeqCst) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(viewer.gone.load(Ordering::SeqCst));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(ask(&router, &format!("DELETE {session}"), &[], "").await.status.as_u16(), 404);
}

#[tokio::test]
async fn a_session_that_the_relay_ends_leaves_nothing_behind() {
    let relay = FakeRelay::new();
    relay.publish(24_000, Some("den"), StreamState::Live);
    let app = crate::app::App::new(Arc::clone(&relay) as _, settings(|_| {}));
    let stream = relay.publish(24_001, None, StreamState::Live);
    let request = heliograph_relay::WatchRequest {
        local_ip: None,
        remote: std::net::Ipv4Addr::LOCALHOST.into(),
        transport: "whep",
    };
    let (viewer, _) = app.backend.watch_answer(stream, request, OFFER).await.unwrap();
    let client = crate::client::Client { ip: std::net::Ipv4Addr::LOCALHOST.into(), local: None };
    app.whep.start(viewer, client, stream, OFFER);
    assert_eq!(app.whep.count(), 1);
    relay.viewer(0).await.events.send(ViewerEvent::Ended(CloseReason::ConsentLost)).unwrap();
    for _ in 0..100 {
        if app.whep.count() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the session is still there");
}

#[tokio::test]
async fn a_viewer_asks_for_a_layer() {
    let relay = FakeRelay::new();
    relay.publish(24_000, Some("den"), StreamState::Live);
    let router = public(&relay, settings(|_| {}));
    let answer = ask(&router, "POST /whep/den?layer=m", SDP, OFFER).await;
    assert_eq!(answer.status.as_u16(), 201);
    let say = format!("POST {}/messages", answer.header("location"));
    let json = &[("content-type", "application/json")][..];
    for wish in ["\"l\"", "null"] {
        let body = format!(r#"{{"event":"layer","data":{wish}}}"#);
        assert_eq!(ask(&router, &say, json, &body).await.status.as_u16(), 204);
    }
    let viewer = relay.viewer(0).await;
    assert_eq!(*viewer.layers.lock().unwrap(), [Some("m".to_owned()), Some("l".to_owned()), None]);
    for name in [String::new(), "x".repeat(33)] {
        let refused = ask(&router, &format!("POST /whep/den?layer={name}"), SDP, OFFER).await;
        assert_eq!((refused.status.as_u16(), refused.json()["code"].as_str()), (400, Some("bad_query")));
    }
}

#[tokio::test]
async fn a_viewer_changes_its_playout_delay_while_it_watches() {
    let (_, router, answer) = joined().await;
    let say = format!("POST {}/messages", answer.header("location"));
    let json = &[("content-type", "application/json")][..];
    for (wish, granted) in [(r#"{"max_ms":2000}"#, 2000), (r#"{"max_ms":30000}"#, 4000)] {
        let said = ask(&router, &say, json, &format!(r#"{{"event":"playout","data":{wish}}}"#)).await;
        let wanted = serde_json::json!({"event": "playout",
            "data": {"min_ms": 0, "max_ms": granted, "limit_ms": 4000}});
        assert_eq!((said.status.as_u16(), said.json()), (200, wanted), "{wish}");
    }
    let usual = ask(&router, &say, json, r#"{"event":"playout","data":null}"#).await;
    assert_eq!((usual.status.as_u16(), &usual.json()["data"]["max_ms"]), (200, &serde_json::json!(500)));
}

#[tokio::test]
async fn a_viewer_asks_for_the_clock_and_says_how_late_it_is() {
    let (relay, router, answer) = joined().await;
    let uplink = Uplink {
        delay: Duration::from_millis(120),
        on_arrival: Duration::from_millis(20),
        basis: UplinkBasis::Network,
    };
    relay.set_uplink(24_000, uplink);
    let say = format!("POST {}/messages", answer.header("location"));
    let json = &[("content-type", "application/json")][..];
    let clock = ask(&router, &say, json, r#"{"event":"clock","data":{"client_us":42}}"#).await;
    let wanted = serde_json::json!({"event": "clock", "data": {"client_us": 42,
        "server_us": 1_700_000_000_123_456_u64, "uplink": {"delay_ms": 120, "arrival_ms": 20, "basis": "network"}}});
    assert_eq!((clock.status.as_u16(), clock.json()), (200, wanted));
    let delay = r#"{"event":"delay","data":{"delay_ms":140}}"#;
    assert_eq!(ask(&router, &say, json, delay).await.status.as_u16(), 204);
    let viewer = relay.viewer(0).await;
    assert_eq!(*viewer.delays.lock().unwrap(), [Duration::from_millis(140)]);

    for (headers, body, status, code) in [
        (json, r#"{"event":"layer","data":7}"#, 400, "bad_message"),
        (json, r#"{"event":"playout","data":{"min_ms":2,"max_ms":1}}"#, 400, "bad_message"),
        (json, r#"{"event":"candidate","data":null}"#, 400, "bad_message"),
        (json, r#"{"event":"delay","data":{"delay_ms":-1}}"#, 400, "bad_message"),
        (json, "", 400, "bad_message"),
        (SDP, delay, 415, "wrong_type"),
    ] {
        let refused = ask(&router, &say, headers, body).await;
        assert_eq!(
            (refused.status.as_u16(), refused.json()["code"].as_str()),
            (status, Some(code)),
            "{body}"
        );
    }
    let nobody = ask(&router, &format!("POST /whep/session/{}/messages", "0".repeat(32)), json, delay).await;
    assert_eq!(nobody.status.as_u16(), 404);
    let mut flood = 0;
    while ask(&router, &say, json, delay).await.status.as_u16() == 204 {
        flood += 1;
        assert!(flood < 5_000);
    }
    assert!(flood >= 190, "{flood}");
}
