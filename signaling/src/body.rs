//! Reading a request body: bounded in size and in time.

use axum::{body::Body, http::StatusCode};
use bytes::{Buf, Bytes};
use futures_util::StreamExt;
use tokio::time::timeout;

use crate::{
    problem::Refusal,
    settings::{MAX_BODY, SignalingSettings},
};

/// The whole body as text.
pub(crate) async fn read_text(body: Body, settings: &SignalingSettings) -> Result<String, Refusal> {
    let bytes = timeout(settings.body_limit, collect(body)).await.map_err(|_| {
        Refusal::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", "the body did not arrive in time")
    })??;
    String::from_utf8(bytes)
        .map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "not_text", "the body is not UTF-8 text"))
}

async fn collect(body: Body) -> Result<Vec<u8>, Refusal> {
    let mut collected = Vec::new();
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk: Bytes = chunk.map_err(|_| {
            Refusal::new(StatusCode::BAD_REQUEST, "body_broken", "the body ended before its time")
        })?;
        if collected.len() + chunk.remaining() > MAX_BODY {
            return Err(Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body_too_large",
                format!("the body is longer than {MAX_BODY} bytes"),
            ));
        }
        collected.extend_from_slice(&chunk);
    }
    Ok(collected)
}
