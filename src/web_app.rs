//! The embedded web app: one file to deploy.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};
use tower_http::compression::CompressionLayer;

#[derive(RustEmbed)]
#[folder = "web/dist"]
struct Dist;

/// The custom element for pages of other sites.
const ELEMENT: &str = "heliograph-player.js";

/// Files of the web app, and its first page for every path that is one of its routes.
pub(crate) fn router() -> Router {
    Router::new().fallback(file).layer(CompressionLayer::new().gzip(true))
}

async fn file(request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response();
    }
    let path = request.uri().path().trim_start_matches('/');
    if let Some(file) = Dist::get(path) {
        return respond(path, &file, &request);
    }
    // A name with a dot was meant as a file, unless it is a channel's; anything else is a route of the page itself.
    let of_a_channel = path.starts_with("c/") || path.starts_with("embed/");
    if !of_a_channel && path.rsplit('/').next().is_some_and(|name| name.contains('.')) {
        return (StatusCode::NOT_FOUND, "there is no such file\n").into_response();
    }
    match Dist::get("index.html") {
        Some(page) => {
            let mut response = respond("index.html", &page, &request);
            let headers = response.headers_mut();
            if path.starts_with("embed/") {
                headers
                    .insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("frame-ancestors *"));
                headers.remove(header::X_FRAME_OPTIONS);
            }
            response
        }
        None => (
            StatusCode::SERVICE_UNAVAILABLE,
            "This build has no web page in it. Build with `make build`, which builds the page first.\n",
        )
            .into_response(),
    }
}

fn respond(path: &str, file: &EmbeddedFile, request: &Request) -> Response {
    let etag = format!("\"{}\"", hex(&file.metadata.sha256_hash()[..16]));
    let known =
        request.headers().get(header::IF_NONE_MATCH).is_some_and(|sent| sent.as_bytes() == etag.as_bytes());
    // The build puts a content hash into the names under assets/, so those never change.
    let cache = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mime = file.metadata.mimetype();
        let mime = if mime.starts_with("text/") { format!("{mime}; charset=utf-8") } else { mime.to_owned() };
        let mut response = Body::from(file.data.clone().into_owned()).into_response();
        if let Ok(mime) = HeaderValue::from_str(&mime) {
            response.headers_mut().insert(header::CONTENT_TYPE, mime);
        }
        response
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // Nothing but the player for other sites may be framed: a page in a frame can be made to be clicked unseen.
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("frame-ancestors 'none'"));
    if path == ELEMENT {
        // A module script is loaded with CORS, and pages of other sites load this one.
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    }
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, etag);
    }
    response
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}
