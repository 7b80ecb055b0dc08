//! Refused requests: RFC 9457 problem details.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

/// Status, a stable code, words for people.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal(pub(crate) StatusCode, pub(crate) &'static str, pub(crate) &'static str);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(status, code, detail) = self;
        let title = status.canonical_reason().unwrap_or("Error");
        let body = json!({"code": code, "title": title, "status": status.as_u16(), "detail": detail});
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}
