//! Reading a request body: bounded in size and in time.

use std::time::Duration;

use axum::{body::Body, http::StatusCode};
use futures_util::StreamExt as _;
use tokio::time::timeout;

use crate::Refusal;

/// Longest body in bytes: as long as an offer or an answer may be.
pub const MAX_BODY: usize = 64 * 1024;

/// The whole body as text.
///
/// # Errors
/// 408 when it takes longer than `limit`, 413 when it is longer than [`MAX_BODY`], 400 when it breaks off or is no UTF-8.
pub async fn read_text(body: Body, limit: Duration) -> Result<String, Refusal> {
    let bytes = timeout(limit, collect(body)).await.map_err(|_| {
        Refusal::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", "the body did not arrive in time")
    })??;
    String::from_utf8(bytes).map_err(|_| Refusal::bad("not_text", &"the body is not UTF-8 text"))
}

async fn collect(body: Body) -> Result<Vec<u8>, Refusal> {
    let mut collected = Vec::new();
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Refusal::bad("body_broken", &"the body ended before its time"))?;
        if collected.len() + chunk.len() > MAX_BODY {
            let detail = format!("the body is longer than {MAX_BODY} bytes");
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail));
        }
        collected.extend_from_slice(&chunk);
    }
    Ok(collected)
}
