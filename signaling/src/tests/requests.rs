//! Requests without a network, for tables of HTTP rules.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode},
};
use tower::ServiceExt;

use super::fake_relay::FakeRelay;
use crate::{ControlToken, SignalingSettings};

pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Answer {
    #[track_caller]
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap()
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Settings with a token that a test may know.
pub(super) fn settings(change: impl FnOnce(&mut SignalingSettings)) -> Arc<SignalingSettings> {
    let mut settings = SignalingSettings { token: ControlToken::generate(), ..SignalingSettings::default() };
    change(&mut settings);
    Arc::new(settings)
}

pub(super) fn public(relay: &Arc<FakeRelay>, settings: Arc<SignalingSettings>) -> Router {
    crate::public(Arc::clone(relay) as _, settings)
}

pub(super) fn control(relay: &Arc<FakeRelay>, settings: Arc<SignalingSettings>) -> Router {
    crate::control(Arc::clone(relay) as _, settings)
}

/// One request; `head` is `METHOD PATH`. `Host` is localhost unless given.
pub(super) async fn ask(router: &Router, head: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let (method, path) = head.split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request = request.header("host", "localhost:8081");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    Answer { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
}
