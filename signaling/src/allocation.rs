//! `POST` and `DELETE /stream`: how an ingest gets a port from the relay and gives it back.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use heliograph_http::{Refusal, body::read_text};
use heliograph_relay::{AllocateError, Allocation, StreamRequest};
use tracing::{info, warn};

use crate::{
    app::App,
    query::{Pairs, PortWish, port},
};

/// `POST /stream`
pub(crate) async fn allocate(
    State(app): State<Arc<App>>,
    Query(pairs): Pairs,
    body: Body,
) -> Result<Response, Refusal> {
    if app.settings.shutdown.begun() {
        return Err(Refusal::shutting_down().plain());
    }
    let text = read_text(body, app.settings.body_limit).await.map_err(Refusal::plain)?;
    let mut request = match text.trim() {
        "" => StreamRequest::default(),
        // Without the brace, serde would also read a list as the fields in their order.
        json if json.starts_with('{') => serde_json::from_str(json)
            .map_err(|error| malformed(format!("the body is no request: {error}")))?,
        _ => return Err(malformed("the body is no request: not a JSON object")),
    };
    request.port = match port(&pairs) {
        // The old server took 0 and anything that is no number for "any free port".
        PortWish::Unstated | PortWish::Port(0) => None,
        PortWish::Port(port) => Some(port),
        PortWish::Impossible => return Err(malformed("that is no port")),
    };
    let channel = request.channel.clone();
    match app.backend.allocator().allocate(request).await {
        Ok(allocation) => {
            info!(
                port = allocation.port,
                channel = channel.as_ref().map(tracing::field::display),
                "stream allocated"
            );
            Ok(allocated(allocation))
        }
        Err(error) => {
            warn!(%error, channel = channel.as_ref().map(tracing::field::display), "stream refused");
            Err(refusal(&error))
        }
    }
}

/// The old ingest reads up to the newline.
fn allocated(allocation: Allocation) -> Response {
    let body = format!("{{\"port\":{}}}\n", allocation.port);
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], body).into_response()
}

/// `DELETE /stream?port=N`: also 204 when there is no such stream, so that it can be repeated.
pub(crate) async fn release(State(app): State<Arc<App>>, Query(pairs): Pairs) -> Result<StatusCode, Refusal> {
    let PortWish::Port(port) = port(&pairs) else {
        return Err(malformed("?port=N must name a port"));
    };
    match app.backend.allocator().release(port).await {
        Ok(existed) => {
            info!(port, existed, "stream released");
            Ok(StatusCode::NO_CONTENT)
        }
        Err(error) => Err(refusal(&error)),
    }
}

/// Other methods.
pub(crate) async fn wrong_method() -> Response {
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", "POST or DELETE")
        .header(header::ALLOW, "POST, DELETE")
        .plain()
        .into_response()
}

fn malformed(detail: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "malformed", detail).plain()
}

fn refusal(error: &AllocateError) -> Refusal {
    let (status, code) = match error {
        AllocateError::PoolEmpty => (StatusCode::SERVICE_UNAVAILABLE, "pool_empty"),
        AllocateError::PortTaken => (StatusCode::CONFLICT, "port_taken"),
        AllocateError::OutsidePool => (StatusCode::BAD_REQUEST, "outside_pool"),
        AllocateError::Unsupported { .. } => (StatusCode::BAD_REQUEST, "unsupported"),
        AllocateError::Unreachable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "unreachable"),
    };
    Refusal::new(status, code, error.to_string()).plain()
}
