//! Cross-origin access: a page on any site may watch, and publish if it has the key. No cookies are read by what this
//! stands in front of, so there is nothing to steal.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

/// Response headers that a page may read.
const EXPOSED: &str =
    "Location, Link, ETag, Accept-Post, Accept-Patch, Retry-After, Playout-Delay, WWW-Authenticate";
/// Request headers that a page may send. `Authorization` must be named: `*` does not cover it.
const ALLOWED: &str = "Content-Type, Accept, Authorization, If-Match, Last-Event-ID";
/// How long a browser may remember the answer to a preflight, in seconds.
const PREFLIGHT_AGE: &str = "86400";

/// Adds the headers that let any page read the response.
pub async fn any_origin(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    response
}

/// The answer to `OPTIONS`, preflight or not.
#[must_use]
pub fn options(methods: &'static str) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::ALLOW, HeaderValue::from_static(methods));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(PREFLIGHT_AGE));
    (StatusCode::OK, headers).into_response()
}

/// For resources that can only be read: answers `OPTIONS`, refuses what is not `GET` or `HEAD`.
pub async fn read_only(request: Request) -> Response {
    const METHODS: &str = "GET, HEAD, OPTIONS";
    if request.method() == Method::OPTIONS {
        return options(METHODS);
    }
    (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, METHODS)]).into_response()
}
