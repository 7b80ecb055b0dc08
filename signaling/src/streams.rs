//! What is live, as a document and as events; what a page needs to find the server; whether the server is well.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use heliograph_http::Refusal;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    admission::{Admitted, Refused},
    app::App,
    client::Client,
    control::host_of,
    directory::Listing,
    messages::{IceServer, PageConfig},
};

/// How often counts are looked at again while nothing else changes.
const COUNTS_INTERVAL: Duration = Duration::from_secs(5);
/// Proxies cut a connection that is silent for 60 s.
const KEEP_ALIVE: Duration = Duration::from_secs(25);

/// `GET /streams`
pub(crate) async fn streams(State(app): State<Arc<App>>) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, app.directory.document()).into_response()
}

/// `GET /capacity`
pub(crate) async fn capacity(State(app): State<Arc<App>>) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(app.backend.capacity())).into_response()
}

/// `GET /healthz`
pub(crate) async fn health(State(app): State<Arc<App>>) -> (StatusCode, &'static str) {
    if app.settings.shutdown.begun() {
        return (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n");
    }
    (StatusCode::OK, "ok\n")
}

/// `GET /config.json`
pub(crate) async fn config(
    State(app): State<Arc<App>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let ws_url = match &app.settings.ws_url {
        Some(url) => with_path(url),
        None => {
            let host = host_of(&uri, &headers).ok_or_else(|| {
                Refusal::new(StatusCode::BAD_REQUEST, "no_host", "the request names no usable host")
            })?;
            let scheme = if is_secure(app.settings.tls, &headers) { "wss" } else { "ws" };
            format!("{scheme}://{host}/websocket")
        }
    };
    let ice_servers =
        app.settings.ice_servers.iter().map(|url| IceServer { urls: vec![url.clone()] }).collect();
    let config = PageConfig { ws_url, ice_servers, branding: app.settings.branding.clone() };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(config)).into_response())
}

/// `ws://host` is meant as `ws://host/websocket`: so the variable was used that this setting replaces.
fn with_path(url: &str) -> String {
    let bare = url.trim_end_matches('/');
    match bare.split_once("://") {
        Some((_, rest)) if !rest.contains(['/', '?']) => format!("{bare}/websocket"),
        _ => url.to_owned(),
    }
}

/// Whether the page came over TLS, ours or a proxy's. A lie here misleads only whoever tells it.
fn is_secure(tls: bool, headers: &HeaderMap) -> bool {
    tls || headers
        .get("x-forwarded-proto")
        .is_some_and(|scheme| scheme.as_bytes().eq_ignore_ascii_case(b"https"))
}

/// `GET /events`: the document of `/streams` at once and at each change.
pub(crate) async fn events(State(app): State<Arc<App>>, client: Client) -> Result<Response, Refusal> {
    if app.settings.shutdown.begun() {
        return Err(Refusal::shutting_down());
    }
    let admitted = app.event_readers.enter(client.ip).map_err(|refused| {
        let (status, detail) = match refused {
            Refused::Total => (StatusCode::SERVICE_UNAVAILABLE, "too many readers of events"),
            Refused::Address => {
                (StatusCode::TOO_MANY_REQUESTS, "too many readers of events from this address")
            }
        };
        Refusal::new(status, "too_many_readers", detail).header(header::RETRY_AFTER, "10")
    })?;
    let reader = EventReader {
        listing: app.directory.subscribe(),
        app,
        _admitted: admitted,
        sent: None,
        written: Instant::now(),
    };
    let body = Body::from_stream(stream::unfold(reader, EventReader::next));
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx would collect the events in a buffer.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// One reader of `/events`. Nothing is queued for it: when it is ready for more, it gets what is newest.
struct EventReader {
    app: Arc<App>,
    listing: watch::Receiver<Arc<Listing>>,
    _admitted: Admitted,
    /// The document it has, and since when.
    sent: Option<(Bytes, Instant)>,
    written: Instant,
}

impl EventReader {
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        loop {
            if let Some((_, sent_at)) = &self.sent {
                let not_before = *sent_at + self.app.settings.events_interval;
                tokio::select! {
                    changed = self.listing.changed() => {
                        changed.ok()?;
                        tokio::select! {
                            () = sleep_until(not_before) => {}
                            () = self.app.settings.shutdown.wait() => return None,
                        }
                        self.listing.mark_unchanged();
                    }
                    () = sleep(COUNTS_INTERVAL) => {}
                    () = self.app.settings.shutdown.wait() => return None,
                }
            }
            let document = self.app.directory.document();
            let event = match &self.sent {
                Some((sent, _)) if *sent == document => {
                    if self.written.elapsed() < KEEP_ALIVE {
                        continue;
                    }
                    Bytes::from_static(b":\n\n")
                }
                _ => {
                    let event = [b"event: streams\ndata: ", &document[..], b"\n\n"].concat();
                    self.sent = Some((document, Instant::now()));
                    Bytes::from(event)
                }
            };
            self.written = Instant::now();
            return Some((Ok(event), self));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_websocket_address_gets_the_path() {
        for (given, wanted) in [
            ("ws://localhost:8080", "ws://localhost:8080/websocket"),
            ("wss://example.org/", "wss://example.org/websocket"),
            ("wss://example.org/websocket", "wss://example.org/websocket"),
            ("wss://example.org/live/ws?port=65535", "wss://example.org/live/ws?port=65535"),
        ] {
            assert_eq!(with_path(given), wanted);
        }
    }
}
