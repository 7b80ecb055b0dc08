//! The allocation API on both listeners.

use heliograph_relay::{AllocateError, ChannelName};

use super::{
    fake_relay::FakeRelay,
    requests::{ask, control, public, settings},
};

#[tokio::test]
async fn an_old_ingest_gets_what_it_expects() {
    let relay = FakeRelay::new();
    let router = control(&relay, settings(|_| {}));
    let answer = ask(&router, "POST /stream", &[], "").await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, "{\"port\":24000}\n"));
    let answer = ask(&router, "DELETE /stream?port=24000", &[], "").await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (204, ""));
    assert_eq!(*relay.released.lock().unwrap(), [24_000]);
}

#[tokio::test]
async fn a_description_reaches_the_relay() {
    let relay = FakeRelay::new();
    let router = control(&relay, settings(|_| {}));
    let body = r#"{"channel":"den","name":"The den","tracks":[
        {"kind":"video","codec":"h264","payload_type":96,"clock_rate":90000},
        {"kind":"audio","codec":"opus","payload_type":97,"clock_rate":48000,"channels":2}]}"#;
    let answer = ask(&router, "POST /stream?port=24007", &[("content-type", "application/json")], body).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, "{\"port\":24007}\n"));
    let requests = relay.requests.lock().unwrap();
    assert_eq!(requests[0].channel.as_ref().map(ChannelName::as_str), Some("den"));
    assert_eq!(requests[0].tracks.len(), 2);
    assert_eq!(requests[0].port, Some(24_007));
}

#[tokio::test]
async fn status_codes_of_post() {
    let ok = Ok(24_000);
    for (query, body, relay_says, status) in [
        ("", "", ok.clone(), 200),
        ("", "{}", ok.clone(), 200),
        ("", " \n", ok.clone(), 200),
        ("?port=abc", "", ok.clone(), 200),
        ("?port=0", "", ok.clone(), 200),
        ("?port=24001", "", ok.clone(), 200),
        ("?port=70000", "", ok.clone(), 400),
        ("?port=-5", "", ok.clone(), 400),
        ("", "not json", ok.clone(), 400),
        ("", "[]", ok.clone(), 400),
        ("", r#"{"channel":"a/b"}"#, ok.clone(), 400),
        ("", r#"{"tracks":[{"kind":"smell"}]}"#, ok.clone(), 400),
        ("", "", Err(AllocateError::PoolEmpty), 503),
        ("?port=24001", "", Err(AllocateError::PortTaken), 409),
        ("?port=9", "", Err(AllocateError::OutsidePool), 400),
        ("", "", Err(AllocateError::Unsupported("VP8 is not relayed".into())), 400),
    ] {
        let relay = FakeRelay::new();
        *relay.allocation.lock().unwrap() = Some(relay_says);
        let router = control(&relay, settings(|_| {}));
        let answer = ask(&router, &format!("POST /stream{query}"), &[], body).await;
        assert_eq!(answer.status.as_u16(), status, "{query} {body}: {}", answer.body);
        assert!(status == 200 || answer.body.len() > 5, "a reason is given");
    }
}

#[tokio::test]
async fn status_codes_of_other_methods() {
    let relay = FakeRelay::new();
    let router = control(&relay, settings(|_| {}));
    for (head, status) in [
        ("DELETE /stream?port=24000", 204),
        ("DELETE /stream?port=1", 204),
        ("DELETE /stream", 400),
        ("DELETE /stream?port=abc", 400),
        ("DELETE /stream?port=70000", 400),
        ("GET /stream", 405),
        ("PUT /stream", 405),
        ("OPTIONS /stream", 405),
    ] {
        let answer = ask(&router, head, &[], "").await;
        assert_eq!(answer.status.as_u16(), status, "{head}");
        assert!(status != 405 || answer.header("allow") == "POST, DELETE");
    }
}

#[tokio::test]
async fn a_body_without_end_is_cut_off() {
    let relay = FakeRelay::new();
    let router = control(&relay, settings(|_| {}));
    let answer = ask(&router, "POST /stream", &[], &" ".repeat(65 * 1024)).await;
    assert_eq!(answer.status.as_u16(), 413);
    assert!(relay.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn capability_bug_g_web_pages_and_rebound_names_cannot_reach_the_control_listener() {
    let relay = FakeRelay::new();
    let router = control(&relay, settings(|settings| settings.control_hosts = vec!["Relay.internal".into()]));
    for (headers, status) in [
        (&[("host", "127.0.0.1:8081")][..], 200),
        (&[("host", "localhost")], 200),
        (&[("host", "[::1]:8081")], 200),
        (&[("host", "relay.internal:8081")], 200),
        (&[("host", "relay.internal.example.org")], 403),
        (&[("host", "evil.example.org")], 403),
        (&[("host", "192.0.2.1:8081")], 403),
        (&[("host", "")], 403),
        (&[("host", "localhost"), ("origin", "http://localhost:8080")], 403),
        (&[("host", "localhost"), ("origin", "null")], 403),
    ] {
        for head in ["POST /stream", "GET /streams", "GET /healthz"] {
            assert_eq!(ask(&router, head, headers, "").await.status.as_u16(), status, "{head} {headers:?}");
        }
        let absent = ask(&router, "GET /nothing/here", headers, "").await.status.as_u16();
        assert_eq!(absent, if status == 200 { 404 } else { 403 });
    }
}

#[tokio::test]
async fn capability_bug_g_the_public_listener_wants_the_token() {
    let relay = FakeRelay::new();
    let settings = settings(|_| {});
    let router = public(&relay, settings.clone());
    let right = format!("Bearer {}", settings.token.secret());
    for (headers, status) in [
        (&[][..], 401),
        (&[("authorization", "Bearer wrong")], 401),
        (&[("authorization", "Basic Og==")], 401),
        (&[("authorization", "Bearer ")], 401),
        (&[("authorization", right.as_str())], 200),
        (&[("authorization", right.as_str()), ("origin", "https://evil.example.org")], 403),
    ] {
        let answer = ask(&router, "POST /stream", headers, "").await;
        assert_eq!(answer.status.as_u16(), status, "{headers:?}");
        assert!(!answer.body.contains(settings.token.secret()));
        let answer = ask(&router, "DELETE /stream?port=1", headers, "").await;
        assert_eq!(answer.status.as_u16(), if status == 200 { 204 } else { status });
    }
    assert_eq!(relay.requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn open_access_is_for_programs_and_never_for_web_pages() {
    let relay = FakeRelay::new();
    let router = public(&relay, settings(|settings| settings.stream_api_open = true));
    assert_eq!(ask(&router, "POST /stream", &[], "").await.status.as_u16(), 200);
    assert_eq!(
        ask(&router, "POST /stream", &[("origin", "http://a.example")], "").await.status.as_u16(),
        403
    );
}

#[tokio::test]
async fn capability_bug_j_no_port_means_one_of_the_pool_and_not_of_the_system() {
    let relay = FakeRelay::new();
    let router = control(&relay, settings(|_| {}));
    for query in ["", "?port=0", "?port=whatever"] {
        ask(&router, &format!("POST /stream{query}"), &[], "").await;
    }
    assert!(relay.requests.lock().unwrap().iter().all(|request| request.port.is_none()));
}
