//! `GET /websocket`: the door. What can be refused is refused before the upgrade; the rest is `socket`'s.

use std::sync::Arc;

use axum::{
    extract::{Query, State, WebSocketUpgrade, ws::rejection::WebSocketUpgradeRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use heliograph_http::{Refusal, body::MAX_BODY};
use tracing::debug;

use crate::{
    admission::Refused,
    app::App,
    client::Client,
    query::{Pairs, Target},
    socket,
};

/// Read and write buffers of a socket. The library's default of 128 KiB each would be most of a viewer's memory. Longer
/// messages, of which there is one of some kilobytes, are read and written in pieces.
const BUFFER: usize = 1024;
/// Most that waits to be written to one socket: a long offer, and small messages around it.
const MAX_UNSENT: usize = 2 * MAX_BODY;

/// `GET /websocket[?port=N | ?channel=NAME]`
pub(crate) async fn open(
    State(app): State<Arc<App>>,
    client: Client,
    Query(pairs): Pairs,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Refusal> {
    if app.settings.shutdown.begun() {
        return Err(Refusal::shutting_down().plain());
    }
    let target = Target::asked(&app, &pairs).ok_or_else(unknown_stream)?;
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return Ok(rejection.into_response()),
    };
    let admitted = app.sockets.enter(client.ip).map_err(|refused| {
        debug!(remote = %client.ip, ?refused, "viewer refused: too many sockets");
        too_many(refused)
    })?;
    let tracked = app.settings.shutdown.clone();
    Ok(upgrade
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_write_buffer_size(MAX_UNSENT)
        .max_message_size(MAX_BODY)
        .max_frame_size(MAX_BODY)
        .on_upgrade(move |socket| tracked.track(socket::run(app, socket, client, target, admitted))))
}

/// 404 for a stream that nobody knows: the old wording, in plain text.
fn unknown_stream() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "unknown_stream", "unknown stream").plain()
}

fn too_many(refused: Refused) -> Refusal {
    let (status, detail) = match refused {
        Refused::Total => (StatusCode::SERVICE_UNAVAILABLE, "the server is full"),
        Refused::Address => (StatusCode::TOO_MANY_REQUESTS, "too many viewers from this address are waiting"),
    };
    Refusal::new(status, "too_many_sockets", detail).header(header::RETRY_AFTER, "5").plain()
}
