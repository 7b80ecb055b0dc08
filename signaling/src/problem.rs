//! What a refused request gets: RFC 9457 problem details, or plain words where old clients expect them.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::messages::Problem;

/// A refused request: status, a stable code, words for people, and headers that go with it.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    status: StatusCode,
    code: &'static str,
    detail: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    plain: bool,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), headers: Vec::new(), plain: false }
    }

    /// Adds a header with a fixed value.
    pub(crate) fn header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, HeaderValue::from_static(value)));
        self
    }

    /// Answers in plain text instead of JSON, as the servers did that this one replaces.
    pub(crate) fn plain(mut self) -> Self {
        self.plain = true;
        self
    }

    /// 404 for a stream that nobody knows: the old wording, in plain text.
    pub(crate) fn unknown_stream() -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown_stream", "unknown stream").plain()
    }

    /// 503 while the server goes down.
    pub(crate) fn shutting_down() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_shutdown", "the server is shutting down")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (kind, body) = if self.plain {
            ("text/plain; charset=utf-8", format!("{}\n", self.detail))
        } else {
            let problem = Problem {
                code: self.code.to_owned(),
                title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
                status: self.status.as_u16(),
                detail: self.detail,
            };
            let body = serde_json::to_string(&problem).expect("strings and a number become JSON");
            ("application/problem+json", body)
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
