//! What a refused request gets: RFC 9457 problem details, or plain words where old clients expect them.

use std::fmt::Display;

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

/// A refused request: status, a stable code, words for people, and headers that go with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    status: StatusCode,
    code: &'static str,
    detail: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    plain: bool,
}

impl Refusal {
    /// `code` is a short stable word for programs, `detail` is for people.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), headers: Vec::new(), plain: false }
    }

    /// 503, and after how many seconds to try again.
    #[must_use]
    pub fn unavailable(code: &'static str, detail: impl Into<String>, retry_after: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).header(header::RETRY_AFTER, retry_after)
    }

    /// 503 while the server goes down.
    #[must_use]
    pub fn shutting_down() -> Self {
        Self::unavailable("server_shutdown", "the server is shutting down", "10")
    }

    /// 404 for a session that ended, or never was.
    #[must_use]
    pub fn no_session() -> Self {
        Self::new(StatusCode::NOT_FOUND, "no_session", "there is no such session, or it has ended")
    }

    /// 405; `methods` as in `Allow`.
    #[must_use]
    pub fn wrong_method(methods: &'static str) -> Self {
        let detail = format!("allowed here: {methods}");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", detail).header(header::ALLOW, methods)
    }

    /// 415; `accept` is the header that names the type `wanted`, such as `Accept-Post`.
    #[must_use]
    pub fn wrong_type(wanted: &'static str, accept: HeaderName) -> Self {
        let detail = format!("the body must be {wanted}");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "wrong_type", detail).header(accept, wanted)
    }

    /// 406 for whoever does not take an SDP answer.
    #[must_use]
    pub fn not_acceptable() -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", "the answer is application/sdp")
    }

    /// 428: RFC 9725 section 4.3.3 wants an ICE restart to name the session.
    #[must_use]
    pub fn if_match_required() -> Self {
        let detail = "to restart ICE, If-Match must be * or name the ICE session (its ETag)";
        Self::new(StatusCode::PRECONDITION_REQUIRED, "if_match_required", detail)
    }

    /// 412: another ICE session than the present one was named.
    #[must_use]
    pub fn other_ice_session() -> Self {
        let detail = "ICE has been restarted since, or was never in that session";
        Self::new(StatusCode::PRECONDITION_FAILED, "other_ice_session", detail)
    }

    /// 500; the cause is for the log, which the caller writes.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the server made a mistake")
    }

    /// 400.
    #[must_use]
    pub fn bad(code: &'static str, error: &dyn Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, error.to_string())
    }

    /// Adds a header with a fixed value.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, HeaderValue::from_static(value)));
        self
    }

    /// Answers in plain text instead of JSON, as the servers did that this one replaces.
    #[must_use]
    pub fn plain(mut self) -> Self {
        self.plain = true;
        self
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (kind, body) = if self.plain {
            ("text/plain; charset=utf-8", format!("{}\n", self.detail))
        } else {
            let problem = json!({
                "code": self.code,
                "title": self.status.canonical_reason().unwrap_or("Error"),
                "status": self.status.as_u16(),
                "detail": self.detail,
            });
            ("application/problem+json", problem.to_string())
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        response
    }
}
