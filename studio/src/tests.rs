//! The routes, with a publishers' side and a relay that write down what they are told.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures_util::{
    StreamExt as _,
    future::{BoxFuture, FutureExt as _},
};
use heliograph_relay::{ChannelName, StreamId, StreamSnapshot, StreamState, Warning};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::{
    HeldKey, NotLetIn, Publishers, Streams, StudioSettings,
    messages::{Doors, Uplink},
    router,
};

#[derive(Default)]
struct World {
    told: Mutex<Vec<String>>,
    on_air: Mutex<bool>,
    closed: Mutex<Option<Instant>>,
}

impl World {
    fn tell(&self, what: impl Into<String>) -> bool {
        self.told.lock().unwrap().push(what.into());
        *self.on_air.lock().unwrap()
    }
}

impl Publishers for World {
    fn channel_of(
        &self,
        _remote: std::net::SocketAddr,
        key: &str,
    ) -> BoxFuture<'_, Result<ChannelName, NotLetIn>> {
        let answer = match key {
            "1-right" => Ok("den".parse().unwrap()),
            "1-busy" => Err(NotLetIn::TooMany),
            "1-unknown" => Err(NotLetIn::NoVerdict),
            _ => Err(NotLetIn::WrongKey),
        };
        std::future::ready(answer).boxed()
    }

    fn uplink(&self, _channel: &ChannelName) -> Option<Uplink> {
        self.on_air.lock().unwrap().then(|| Uplink {
            door: "rtmp".to_owned(),
            encoder: "OBS".to_owned(),
            remote: "192.0.2.1".to_owned(),
            bitrate_bps: 2_600_000,
            limit_bps: Some(2_000_000),
            lost: 0,
            requested_again: 0,
            reencoded: true,
            tracks_left_out: 2,
            round_trip_ms: None,
            jitter_ms: Some(1.5),
        })
    }

    fn hold(&self, channel: &ChannelName, time: Duration) -> bool {
        *self.closed.lock().unwrap() = Some(Instant::now() + time);
        self.tell(format!("hold {channel}"))
    }

    fn open(&self, channel: &ChannelName) {
        *self.closed.lock().unwrap() = None;
        self.tell(format!("open {channel}"));
    }

    fn held_until(&self, _channel: &ChannelName) -> Option<Instant> {
        *self.closed.lock().unwrap()
    }

    fn publish(&self, channel: ChannelName, key: HeldKey, offer: Request<Body>) -> BoxFuture<'_, Response> {
        let kind = offer.headers().get(header::CONTENT_TYPE).map(|kind| kind.to_str().unwrap().to_owned());
        self.tell(format!("publish {channel} {} {kind:?}", key.reveal()));
        std::future::ready(StatusCode::CREATED.into_response()).boxed()
    }
}

impl Streams for World {
    fn stream(&self, channel: &ChannelName) -> Option<StreamSnapshot> {
        self.on_air.lock().unwrap().then(|| StreamSnapshot {
            id: StreamId(1),
            port: 24_000,
            channel: Some(channel.to_string()),
            name: Some("The den".to_owned()),
            since: SystemTime::UNIX_EPOCH + Duration::from_secs(1),
            state: StreamState::Live,
            permanent: false,
            layers: Vec::new(),
            tracks: Vec::new(),
            viewers: 3,
            muted: true,
            viewer_delays: heliograph_relay::ViewerDelays::default(),
            uplink: None,
            unplayable: heliograph_relay::Unplayable { without_picture: 1, without_sound: 0, turned_away: 2 },
            sound: None,
            warnings: vec![Warning::BFrames],
            refused: BTreeMap::new(),
        })
    }

    fn rename(&self, channel: &ChannelName, title: Option<&str>) -> bool {
        self.tell(format!("rename {channel} {title:?}"))
    }

    fn mute(&self, channel: &ChannelName, muted: bool) -> bool {
        self.tell(format!("mute {channel} {muted}"))
    }
}

fn start() -> (Arc<World>, Router) {
    let world = Arc::new(World::default());
    let doors = Doors { ftl_port: Some(8084), whip: true, ..Doors::default() };
    let settings = StudioSettings { tls: true, doors };
    (Arc::clone(&world), router(world.clone(), world, settings))
}

async fn ask(router: &Router, request: &str, headers: &[(&str, &str)], body: &str) -> Response {
    let (method, path) = request.split_once(' ').unwrap();
    let mut builder = Request::builder().method(method).uri(path).header(header::HOST, "tv.example");
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    router.clone().oneshot(builder.body(Body::from(body.to_owned())).unwrap()).await.unwrap()
}

async fn json_of(response: Response) -> Value {
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 16).await.unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

const JSON: (&str, &str) = ("content-type", "application/json");

async fn sign_in(router: &Router) -> String {
    let answer = ask(router, "POST /studio/api/session", &[JSON], r#"{"key": " 1-right\n"}"#).await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
    for part in ["; HttpOnly", "; SameSite=Strict", "; Secure", "; Path=/studio"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    cookie.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn the_key_opens_the_desk_and_nothing_else_does() {
    let (world, router) = start();
    for (body, status, code) in [
        (r#"{"key": "1-wrong"}"#, 401, "wrong_key"),
        (r#"{"key": "1-busy"}"#, 429, "too_many_tries"),
        (r#"{"key": "1-unknown"}"#, 503, "no_verdict"),
        (r#"{"key": 1}"#, 400, "bad_body"),
        ("", 400, "bad_body"),
    ] {
        let answer = ask(&router, "POST /studio/api/session", &[JSON], body).await;
        assert_eq!(answer.status().as_u16(), status, "{body}");
        assert_eq!(json_of(answer).await["code"], code);
    }
    assert_eq!(ask(&router, "GET /studio/api/desk", &[], "").await.status(), StatusCode::UNAUTHORIZED);
    let cookie = sign_in(&router).await;
    let headers = [("cookie", cookie.as_str())];
    let desk = json_of(ask(&router, "GET /studio/api/desk", &headers, "").await).await;
    assert_eq!((&desk["channel"], &desk["state"]), (&json!("den"), &json!("offline")));
    assert_eq!(desk["doors"]["ftl_port"], 8084);
    *world.on_air.lock().unwrap() = true;
    let desk = json_of(ask(&router, "GET /studio/api/desk", &headers, "").await).await;
    assert_eq!(
        (&desk["viewers"], &desk["muted"], &desk["since_ms"]),
        (&json!(3), &json!(true), &json!(1000))
    );
    let codes: Vec<_> = desk["warnings"].as_array().unwrap().iter().map(|one| &one["code"]).collect();
    assert_eq!(codes, ["b_frames", "reencoded", "tracks_left_out", "codec"]);
    let words = desk["warnings"][3]["message"].as_str().unwrap();
    assert!(
        words.starts_with("1 viewer sees no picture, because their browsers cannot decode it; 2 could play"),
        "{words}"
    );
    assert_eq!(desk["unplayable"], json!({"without_picture": 1, "without_sound": 0, "turned_away": 2}));
    assert_eq!(desk["uplink"]["door"], "rtmp");
    let out = ask(&router, "DELETE /studio/api/session", &headers, "").await;
    assert!(out.headers()[header::SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(ask(&router, "GET /studio/api/desk", &headers, "").await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn orders() {
    let (world, router) = start();
    let cookie = sign_in(&router).await;
    let headers = [JSON, ("cookie", cookie.as_str())];
    for (path, body) in [
        ("title", r#"{"title": "  A new title "}"#),
        ("title", r#"{"title": ""}"#),
        ("muted", r#"{"muted": true}"#),
        ("end", "{}"),
    ] {
        let request = format!("POST /studio/api/{path}");
        *world.on_air.lock().unwrap() = false;
        assert_eq!(ask(&router, &request, &headers, body).await.status(), StatusCode::CONFLICT);
        *world.on_air.lock().unwrap() = true;
        world.told.lock().unwrap().clear();
        assert_eq!(ask(&router, &request, &headers, body).await.status(), StatusCode::NO_CONTENT);
        // Not without a key, not from another page, not as a form.
        for headers in [
            &[JSON][..],
            &[JSON, ("cookie", &cookie), ("origin", "https://evil.example")],
            &[("content-type", "text/plain"), ("cookie", &cookie)],
        ] {
            assert!(ask(&router, &request, headers, body).await.status().is_client_error(), "{headers:?}");
        }
        assert_eq!(world.told.lock().unwrap().len(), 1, "{path}");
    }
    assert_eq!(*world.told.lock().unwrap(), ["hold den"]);
    let desk = json_of(ask(&router, "GET /studio/api/desk", &headers, "").await).await;
    assert_eq!(desk["closed_for_s"], 600);
    assert_eq!(ask(&router, "POST /studio/api/open", &headers, "{}").await.status(), StatusCode::NO_CONTENT);
    let desk = json_of(ask(&router, "GET /studio/api/desk", &headers, "").await).await;
    assert_eq!(desk["closed_for_s"], Value::Null);
    for bad in [json!("x".repeat(201)), json!("a\nb"), json!(1)] {
        let body = json!({"title": bad}).to_string();
        let answer = ask(&router, "POST /studio/api/title", &headers, &body).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    }
    let long = "x".repeat(5000);
    let answer = ask(&router, "POST /studio/api/title", &headers, &long).await;
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn the_browser_of_an_open_desk_may_publish_with_its_key() {
    let (world, router) = start();
    let cookie = sign_in(&router).await;
    let sdp = ("content-type", "application/sdp");
    let request = "POST /studio/api/publish";
    for (headers, status) in [
        (&[sdp][..], 401),
        (&[sdp, ("cookie", "heliograph_studio=00")], 401),
        (&[sdp, ("cookie", &cookie), ("origin", "https://evil.example")], 403),
        (&[sdp, ("cookie", &cookie), ("sec-fetch-site", "same-site")], 403),
        (&[("content-type", "text/plain"), ("cookie", &cookie)], 415),
    ] {
        assert_eq!(ask(&router, request, headers, "v=0").await.status(), status, "{headers:?}");
    }
    assert!(world.told.lock().unwrap().is_empty());
    // As long as offers are.
    let offer = "v=0".repeat(3000);
    let headers = [sdp, ("cookie", cookie.as_str()), ("origin", "https://tv.example")];
    assert_eq!(ask(&router, request, &headers, &offer).await.status(), StatusCode::CREATED);
    assert_eq!(*world.told.lock().unwrap(), [r#"publish den 1-right Some("application/sdp")"#]);
    ask(&router, "DELETE /studio/api/session", &headers, "").await;
    assert_eq!(ask(&router, request, &headers, "v=0").await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test(start_paused = true)]
async fn events_come_each_second_and_end_with_the_session() {
    let (_world, router) = start();
    let cookie = sign_in(&router).await;
    let headers = [("cookie", cookie.as_str())];
    let mut events =
        ask(&router, "GET /studio/api/events", &headers, "").await.into_body().into_data_stream();
    for _ in 0..3 {
        let event = events.next().await.unwrap().unwrap();
        assert!(event.starts_with(b"event: desk\ndata: {\"channel\":\"den\""), "{event:?}");
    }
    ask(&router, "DELETE /studio/api/session", &headers, "").await;
    assert!(events.next().await.is_none());
}
