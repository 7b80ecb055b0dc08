//! WHIP's requests, against a relay and an authoriser that write down what they are told.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, Request, StatusCode},
};
use heliograph_ingest::{
    auth::EndReason,
    house::{House, HouseSettings},
    whip::{Caller, WhipDoor, WhipSettings},
};
use heliograph_relay::{AllocateError, AnnouncedAddress, PublicPortSettings};
use support::*;
use tower::ServiceExt as _;

/// As libdatachannel writes it for OBS.
const OFFER: &str = include_str!("../../edge/src/sdp/testdata/obs_whip_offer.sdp");
const KEY: (&str, &str) = ("authorization", "Bearer 5-secret");
const SDP: (&str, &str) = ("content-type", "application/sdp");
const FRAGMENT: (&str, &str) = ("content-type", "application/trickle-ice-sdpfrag");

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The stable word of a problem.
    fn code(&self) -> String {
        let problem: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        problem["code"].as_str().unwrap_or_default().to_owned()
    }
}

struct Set {
    relay: Arc<FakeRelay>,
    authoriser: Arc<FakeAuthoriser>,
    house: Arc<House>,
    router: Router,
}

impl Set {
    fn new() -> Self {
        Self::with(FakeAuthoriser::new("secret"))
    }

    fn with(authoriser: Arc<FakeAuthoriser>) -> Self {
        Self::at(authoriser, |_| {})
    }

    fn at(authoriser: Arc<FakeAuthoriser>, change: impl FnOnce(&mut PublicPortSettings)) -> Self {
        let relay = FakeRelay::new();
        let house = House::new(HouseSettings::default(), authoriser.clone(), relay.clone());
        let usual = WhipSettings::default();
        let mut port =
            PublicPortSettings { address: Some("127.0.0.1".parse().unwrap()), port: 0, ..usual.port.clone() };
        change(&mut port);
        let ice_servers = vec!["stun:stun.example.org".to_owned()];
        let settings = WhipSettings { port, ice_servers, body_limit: Duration::from_millis(300), ..usual };
        let door = WhipDoor::open(settings, house.clone()).unwrap();
        Self { relay, authoriser, house, router: door.router() }
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let remote = "192.0.2.1:5000".parse().unwrap();
        let caller = Caller { remote, local: Some("127.0.0.1".parse().unwrap()) };
        let request = request.extension(caller).body(body.into()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    async fn publish(&self, path: &str) -> Answer {
        self.send("POST", path, &[KEY, SDP], OFFER).await
    }
}

/// What viewers are told of the way through a NAT, publishers are told too.
#[tokio::test]
async fn behind_a_nat_the_public_address_is_told() {
    // By hand.
    let set = Set::at(FakeAuthoriser::new("secret"), |port| {
        port.announced = vec![AnnouncedAddress::Ip("203.0.113.5".parse().unwrap())];
    });
    let answer = set.publish("/whip/c5").await;
    assert!(answer.body.contains(" 203.0.113.5 "), "{}", answer.body);

    // By a STUN server, whose address a stranger does not know.
    let server = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap().to_string();
    let set = Set::at(FakeAuthoriser::new("secret"), |port| port.stun_server = Some(address));
    let mut request = [0; 64];
    let (length, from) = server.recv_from(&mut request).await.unwrap();
    assert_eq!((length, &request[..2]), (20, &[0, 1][..]), "a binding request");
    // XOR-MAPPED-ADDRESS 192.0.2.7:4660; before it one of another transaction, 192.0.2.6.
    let mut answer = vec![1, 1, 0, 12, 0x21, 0x12, 0xa4, 0x42];
    answer.extend(&request[8..20]);
    answer.extend([0x00, 0x20, 0, 8, 0, 1, 0x12 ^ 0x21, 0x34 ^ 0x12]);
    answer.extend([192 ^ 0x21, 0x12, 2 ^ 0xa4, 7 ^ 0x42]);
    let mut forged = answer.clone();
    forged[19] ^= 1;
    forged[31] ^= 1;
    server.send_to(&forged, from).await.unwrap();
    server.send_to(&answer, from).await.unwrap();
    let mut tries = 0;
    loop {
        let answer = set.publish("/whip/c5").await;
        assert!(!answer.body.contains("192.0.2.6"), "a forged one is believed");
        if answer.body.contains(" 192.0.2.7 4660 ") {
            break;
        }
        tries += 1;
        assert!(tries < 100, "{}", answer.body);
        let resource = answer.header("location").to_owned();
        set.send("DELETE", &resource, &[], "").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_session_from_offer_to_delete() {
    let set = Set::new();
    let answer = set.publish("/whip/c5").await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    assert_eq!(answer.header("content-type"), "application/sdp");
    assert_eq!(answer.header("link"), "<stun:stun.example.org>; rel=\"ice-server\"");
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert!(answer.header("access-control-expose-headers").contains("Location"));
    let (resource, tag) = (answer.header("location").to_owned(), answer.header("etag").to_owned());
    assert_eq!(resource.strip_prefix("/whip/session/").map(str::len), Some(32));
    assert!(answer.body.contains("a=recvonly") && answer.body.contains(" 127.0.0.1 "), "{}", answer.body);
    let request = set.relay.requests().pop().unwrap();
    assert_eq!(request.channel.unwrap().as_str(), "c5");
    assert_eq!(request.tracks.len(), 2);

    // Whoever comes second is told so, and the first stays.
    let second = set.publish("/whip").await;
    assert_eq!((second.status, second.code().as_str()), (StatusCode::CONFLICT, "channel_in_use"));
    assert_ne!(second.header("retry-after"), "");

    let trickle = "a=mid:0\r\na=candidate:1 1 UDP 2122 192.0.2.9 50000 typ host\r\na=end-of-candidates\r\n";
    let answer = set.send("PATCH", &resource, &[FRAGMENT, ("if-match", &tag)], trickle).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    let restart = "a=ice-ufrag:Fresh\r\na=ice-pwd:0123456789abcdef01234567\r\n";
    for (condition, status) in [
        (None, StatusCode::PRECONDITION_REQUIRED),
        (Some("\"other\""), StatusCode::PRECONDITION_FAILED),
        (Some("*"), StatusCode::OK),
    ] {
        let condition = condition.map(|tag| ("if-match", tag));
        let headers: Vec<_> = [FRAGMENT].into_iter().chain(condition).collect();
        let answer = set.send("PATCH", &resource, &headers, restart).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        if status == StatusCode::OK {
            assert_ne!(answer.header("etag"), tag);
            assert!(
                answer.body.contains("a=ice-ufrag:") && answer.body.contains("a=mid:1"),
                "{}",
                answer.body
            );
        }
    }
    let answer = set.send("PATCH", &resource, &[FRAGMENT], "nonsense").await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::BAD_REQUEST, "bad_sdp"));
    let answer = set.send("PATCH", &resource, &[SDP], trickle).await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);

    assert_eq!(set.send("DELETE", &resource, &[], "").await.status, StatusCode::OK);
    let (publication, _) = set.authoriser.ended(EndReason::Disconnected).await;
    assert_eq!((publication.channel.as_str(), publication.channel_id), ("c5", 5));
    eventually("the session is forgotten", || set.house.snapshot().is_empty().then_some(())).await;
    for method in ["DELETE", "PATCH"] {
        let answer = set.send(method, &resource, &[FRAGMENT], "").await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::NOT_FOUND, "no_session"));
    }
    // The channel is free again, and keeps its port.
    assert_eq!(set.publish("/whip").await.status, StatusCode::CREATED);
    set.house.shutdown(Duration::from_secs(2)).await;
    set.authoriser.ended(EndReason::ServerShutdown).await;
    assert_eq!(set.publish("/whip").await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn refusals() {
    let set = Set::new();
    let video = OFFER.replace("H264", "FLV1").replace("opus", "speex");
    let long = "x".repeat(70_000);
    for (path, headers, body, status, code) in [
        ("/whip/c5", &[SDP][..], OFFER, 401, "no_key"),
        ("/whip/c5", &[SDP, ("authorization", "Basic NS1zZWNyZXQ=")], OFFER, 401, "no_key"),
        ("/whip/c5", &[SDP, ("authorization", "Bearer 5-other")], OFFER, 401, "wrong_key"),
        ("/whip/c5", &[SDP, ("authorization", "Bearer nonsense")], OFFER, 401, "wrong_key"),
        ("/whip/c6", &[SDP, KEY], OFFER, 401, "wrong_key"),
        ("/whip/c%206", &[SDP, KEY], OFFER, 404, "unknown_channel"),
        ("/whip/c5", &[KEY], OFFER, 415, "wrong_type"),
        ("/whip/c5", &[KEY, ("content-type", "text/plain")], OFFER, 415, "wrong_type"),
        ("/whip/c5", &[KEY, SDP, ("accept", "text/html")], OFFER, 406, "not_acceptable"),
        ("/whip/c5", &[KEY, SDP], "nonsense", 400, "bad_sdp"),
        ("/whip/c5", &[KEY, SDP], "", 400, "bad_sdp"),
        ("/whip/c5", &[KEY, SDP], &video, 422, "codec_not_supported"),
        ("/whip/c5", &[KEY, SDP], &long, 413, "body_too_large"),
    ] {
        let answer = set.send("POST", path, headers, body.to_owned()).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{path} {headers:?}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert_eq!(answer.header("www-authenticate").starts_with("Bearer"), status == 401);
        assert!(!answer.body.contains("secret"));
    }
    assert!(set.relay.requests().is_empty(), "nobody took a channel");
    let answer = set.send("GET", "/whip/c5", &[], "").await;
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "POST, OPTIONS"));
    let answer = set.send("OPTIONS", "/whip/c5", &[], "").await;
    assert_eq!((answer.status.as_u16(), answer.header("accept-post")), (200, "application/sdp"));
    assert!(answer.header("access-control-allow-headers").contains("Authorization"));
    let answer = set.send("OPTIONS", "/whip/session/x", &[], "").await;
    assert_eq!(answer.header("allow"), "PATCH, DELETE, OPTIONS");

    set.relay.fail(AllocateError::PoolEmpty);
    let answer = set.publish("/whip/c5").await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "relay_unavailable"));
    assert_ne!(answer.header("retry-after"), "");
}

#[tokio::test]
async fn a_body_that_does_not_come_ends_the_request() {
    let set = Set::new();
    let never = futures_util::stream::once(async { Ok::<_, std::io::Error>(Bytes::from_static(b"v=0\r\n")) });
    let never = futures_util::StreamExt::chain(never, futures_util::stream::pending());
    let answer = set.send("POST", "/whip/c5", &[KEY, SDP], Body::from_stream(never)).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (408, "body_too_slow"));
    let (_, ending) = set.authoriser.ended(EndReason::ProtocolError).await;
    assert_eq!(ending.bytes, 0);
}

#[tokio::test]
async fn a_thousand_wrong_keys_are_slowed_down() {
    let set = Arc::new(Set::new());
    let wrong = [SDP, ("authorization", "Bearer 5-wrong")];
    // One after the other: each waits longer, 100 ms, 200 ms, and so on.
    let began = Instant::now();
    for _ in 0..4 {
        assert_eq!(set.send("POST", "/whip/c5", &wrong, OFFER).await.status.as_u16(), 401);
    }
    assert!(began.elapsed() >= Duration::from_millis(1_500), "{:?}", began.elapsed());
    // All at once: most are not even heard.
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..1_000 {
        let set = Arc::clone(&set);
        tries.spawn(async move { set.send("POST", "/whip/c5", &wrong, OFFER).await.status.as_u16() });
    }
    let statuses = tries.join_all().await;
    let served = statuses.iter().filter(|status| **status == 401).count();
    assert!((1..=64).contains(&served), "{served}");
    assert_eq!(statuses.iter().filter(|status| **status == 503).count(), 1_000 - served);
    // The right key of the same address is served all the same.
    assert_eq!(set.publish("/whip/c5").await.status, StatusCode::CREATED);
}
