//! Cross-origin access: a page on any site may publish, if it has the key. No cookies are read here, so there is nothing
//! to steal.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

/// Response headers that a page may read.
const EXPOSED: &str = "Location, Link, ETag, Accept-Post, Accept-Patch, Retry-After, WWW-Authenticate";
/// Request headers that a page may send. `Authorization` must be named: `*` does not cover it.
const ALLOWED: &str = "Content-Type, Accept, Authorization, If-Match";
/// How long a browser may remember the answer to a preflight, in seconds.
const PREFLIGHT_AGE: &str = "86400";

/// Adds the headers that let any page read the response.
pub(super) async fn any_origin(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    response
}

/// The answer to `OPTIONS`, preflight or not.
pub(super) fn options(methods: &'static str) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::ALLOW, HeaderValue::from_static(methods));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(PREFLIGHT_AGE));
    (StatusCode::OK, headers).into_response()
}
