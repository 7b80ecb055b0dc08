//! `GET /preview`.

use std::{sync::Arc, time::Instant};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use heliograph_http::Refusal;
use heliograph_media::MediaKind;
use heliograph_relay::StreamSnapshot;

use super::budget::Spent;
use crate::{
    app::App,
    client::Client,
    query::{self, Pairs},
};

/// `GET /preview?port=N` or `?channel=NAME`: a film of one picture, the newest keyframe.
pub(crate) async fn preview(
    State(app): State<Arc<App>>,
    client: Client,
    pairs: Pairs,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let now = Instant::now();
    app.previews.request(now, client.ip).map_err(spent)?;
    let stream = asked(&app, &pairs.0).ok_or_else(|| {
        Refusal::new(StatusCode::NOT_FOUND, "unknown_stream", "nothing is on the air there")
    })?;
    let none = || {
        Refusal::new(StatusCode::NOT_FOUND, "no_picture", "no whole keyframe has come yet")
            .header(header::RETRY_AFTER, "2")
    };
    let keyframe = app.keyframes.newest(stream.id).ok_or_else(none)?;
    let etag = format!("\"{}-{}\"", stream.id, keyframe.number);
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|sent| sent.as_bytes() == etag.as_bytes());
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let codec = stream.tracks.iter().find(|track| track.kind == MediaKind::Video).ok_or_else(none)?.codec;
        let film = keyframe.film(codec).ok_or_else(none)?;
        app.previews.send(now, film.bytes.len()).map_err(spent)?;
        ([(header::CONTENT_TYPE, HeaderValue::from_static(film.content_type))], film.bytes).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=2"));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, etag);
    }
    Ok(response)
}

fn spent(spent: Spent) -> Refusal {
    let (status, code, detail) = match spent {
        Spent::Address => (
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_previews",
            "too many stills were asked for from this address in a short time",
        ),
        Spent::Total => (
            StatusCode::SERVICE_UNAVAILABLE,
            "previews_spent",
            "the server sends no more stills for some seconds: it has sent as many bytes as it may",
        ),
    };
    Refusal::new(status, code, detail).header(header::RETRY_AFTER, "6")
}

fn asked(app: &App, pairs: &[(String, String)]) -> Option<StreamSnapshot> {
    match query::first(pairs, "channel") {
        Some(channel) => app.backend.stream_by_channel(channel),
        None => query::stream_by_port(app, pairs),
    }
}
