//! WHEP (draft-ietf-wish-whep, after WHIP, RFC 9725): watching by HTTP alone. The viewer offers, we answer.
//!
//! This file is the HTTP: what a request must look like and how it is answered. The sessions live in
//! [`crate::whep_sessions`].

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::Body,
    extract::{Path, Query, State},
    handler::Handler,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, options, patch, post},
};
use heliograph_http::{
    Refusal,
    body::read_text,
    cors,
    headers::{ACCEPT_PATCH, ACCEPT_POST, FRAGMENT, SDP, accepts_sdp, ascii, is_type, with},
};
use heliograph_relay::{ChannelName, StreamId, WatchError, WatchRequest};
use tokio::time::timeout;
use tracing::warn;

use crate::{
    app::App,
    client::Client,
    inbound::{self, Inbound},
    messages::{PlayoutRange, ServerMessage},
    playout,
    query::{Pairs, stream_by_port},
    whep_sessions::{Condition, Patched, SessionId, Word},
};

const ENDPOINT_METHODS: &str = "POST, OPTIONS";
const JSON: &str = "application/json";
const RESOURCE_METHODS: &str = "PATCH, DELETE, OPTIONS";
/// Time for the relay to make an answer.
const JOIN_LIMIT: Duration = Duration::from_secs(10);

/// The playout delay in force, in milliseconds.
const PLAYOUT_DELAY: HeaderName = HeaderName::from_static("playout-delay");

/// An address that viewers post their offers to.
pub(crate) fn endpoint<H, T>(join: H) -> MethodRouter<Arc<App>>
where
    H: Handler<T, Arc<App>>,
    T: 'static,
{
    post(join)
        .merge(options(async || with(cors::options(ENDPOINT_METHODS), ACCEPT_POST, SDP)))
        .fallback(async || Refusal::wrong_method(ENDPOINT_METHODS))
}

/// The address of a session.
pub(crate) fn resource() -> MethodRouter<Arc<App>> {
    patch(trickle)
        .delete(leave)
        .options(async || with(cors::options(RESOURCE_METHODS), ACCEPT_PATCH, FRAGMENT))
        .fallback(async || Refusal::wrong_method(RESOURCE_METHODS))
}

/// Where a viewer says what has no place in WHEP, where the session's own address takes no `POST`.
pub(crate) fn messages() -> MethodRouter<Arc<App>> {
    post(say)
        .merge(options(async || with(cors::options(ENDPOINT_METHODS), ACCEPT_POST, JSON)))
        .fallback(async || Refusal::wrong_method(ENDPOINT_METHODS))
}

/// `POST /whep/{channel}`
pub(crate) async fn join_channel(
    State(app): State<Arc<App>>,
    client: Client,
    Path(channel): Path<String>,
    Query(pairs): Pairs,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let stream =
        ChannelName::new(channel).ok().and_then(|channel| app.backend.stream_by_channel(channel.as_str()));
    let stream = stream.ok_or_else(not_live)?.id;
    join(&app, client, stream, &pairs, &headers, body).await
}

/// `POST /whep?port=N`; also `?channel=NAME`, as on the WebSocket.
pub(crate) async fn join_by_query(
    State(app): State<Arc<App>>,
    client: Client,
    Query(pairs): Pairs,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let stream = match crate::query::first(&pairs, "channel") {
        Some(channel) => app.backend.stream_by_channel(channel),
        None => stream_by_port(&app, &pairs),
    };
    let stream = stream.ok_or_else(not_live)?.id;
    join(&app, client, stream, &pairs, &headers, body).await
}

async fn join(
    app: &App,
    client: Client,
    stream: StreamId,
    pairs: &[(String, String)],
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    if app.settings.shutdown.begun() {
        return Err(Refusal::shutting_down());
    }
    if !is_type(headers, SDP) {
        return Err(Refusal::wrong_type(SDP, ACCEPT_POST));
    }
    if !accepts_sdp(headers) {
        return Err(Refusal::not_acceptable());
    }
    let playout =
        playout::asked(pairs).map_err(|why| Refusal::new(StatusCode::BAD_REQUEST, "bad_query", why))?;
    let layer = crate::query::first(pairs, "layer");
    if layer.is_some_and(|rid| rid.is_empty() || rid.len() > inbound::MAX_RID) {
        let why = format!("layer is the name of a layer, 1 to {} bytes", inbound::MAX_RID);
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "bad_query", why));
    }
    let offer = read_text(body, app.settings.body_limit).await?;
    let request = WatchRequest { local_ip: client.local, remote: client.ip, transport: "whep" };
    let joined = timeout(JOIN_LIMIT, app.backend.watch_answer(stream, request, &offer)).await;
    let joined = joined.unwrap_or_else(|_| Err(WatchError::Internal("no answer in time".to_owned())));
    let (mut viewer, answer) = joined.map_err(|error| refusal(&error))?;
    let PlayoutRange { min_ms, max_ms, limit_ms } = playout::apply(&mut *viewer, playout);
    if layer.is_some() {
        viewer.pick_layer(layer);
    }
    let (id, tag) = app.whep.start(viewer, client, stream, &offer);

    let mut response = (StatusCode::CREATED, answer).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(SDP));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::LOCATION, ascii(&format!("/whep/session/{id}")));
    headers.insert(header::ETAG, ascii(&tag));
    headers.insert(ACCEPT_PATCH, HeaderValue::from_static(FRAGMENT));
    headers.insert(PLAYOUT_DELAY, ascii(&format!("min={min_ms}, max={max_ms}, limit={limit_ms}")));
    for server in &app.settings.ice_servers {
        if let Ok(link) = HeaderValue::from_str(&format!("<{server}>; rel=\"ice-server\"")) {
            headers.append(header::LINK, link);
        }
    }
    Ok(response)
}

/// `PATCH`: more candidates (RFC 9725 section 4.3.2), or an ICE restart (4.3.3).
async fn trickle(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let id = addressed(&id, &headers, FRAGMENT, ACCEPT_PATCH)?;
    let condition = match headers.get(header::IF_MATCH).map(HeaderValue::to_str) {
        None => Condition::None,
        Some(Ok("*")) => Condition::Any,
        Some(tags) => Condition::Tags(tags.unwrap_or_default().to_owned()),
    };
    let fragment = read_text(body, app.settings.body_limit).await?;
    match app.whep.patch(id, condition, fragment).await.ok_or_else(Refusal::no_session)?? {
        Patched::Trickled => Ok(StatusCode::NO_CONTENT.into_response()),
        Patched::Restarted { fragment, tag } => {
            let mut response = (StatusCode::OK, fragment).into_response();
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(FRAGMENT));
            response.headers_mut().insert(header::ETAG, ascii(&tag));
            Ok(response)
        }
    }
}

/// `POST`: what a viewer of the WebSocket says while it watches, `clock`, `delay` and `layer`.
async fn say(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let id = addressed(&id, &headers, JSON, ACCEPT_POST)?;
    let bad = |why: String| Refusal::new(StatusCode::BAD_REQUEST, "bad_message", why);
    let message = read_text(body, app.settings.body_limit).await?;
    let word = match inbound::parse(message.as_bytes()).map_err(bad)? {
        Inbound::Clock(client_us) => {
            let heard = app.whep.say(id, Word::Nothing).await.ok_or_else(Refusal::no_session)??;
            return Ok(reply(ServerMessage::Clock(app.clock(client_us, Some(heard.stream)))));
        }
        Inbound::Delay(delay) => Word::Delay(delay),
        Inbound::Layer(rid) => Word::Layer(rid),
        Inbound::Playout(wish) => Word::Playout(wish),
        _ => {
            return Err(bad("a WHEP session takes clock, delay, layer and playout, nothing else".to_owned()));
        }
    };
    let heard = app.whep.say(id, word).await.ok_or_else(Refusal::no_session)??;
    let answer = heard.playout.map(|range| reply(ServerMessage::Playout(range)));
    Ok(answer.unwrap_or_else(|| StatusCode::NO_CONTENT.into_response()))
}

fn reply(message: ServerMessage) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(message)).into_response()
}

/// Which session a body of the type `wanted` is for; `accept` is the header that names that type.
fn addressed(
    id: &str,
    headers: &HeaderMap,
    wanted: &'static str,
    accept: HeaderName,
) -> Result<SessionId, Refusal> {
    let id = SessionId::parse(id).ok_or_else(Refusal::no_session)?;
    if is_type(headers, wanted) { Ok(id) } else { Err(Refusal::wrong_type(wanted, accept)) }
}

/// `DELETE`
async fn leave(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<StatusCode, Refusal> {
    let id = SessionId::parse(&id).ok_or_else(Refusal::no_session)?;
    app.whep.end(id).await.ok_or_else(Refusal::no_session)?;
    Ok(StatusCode::OK)
}

fn not_live() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "unknown_stream", "nothing is on the air there")
        .header(header::RETRY_AFTER, "2")
}

/// What the relay's refusal is in HTTP.
pub(crate) fn refusal(error: &WatchError) -> Refusal {
    match error {
        WatchError::UnknownStream => not_live(),
        WatchError::Full => Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "full", error.to_string())
            .header(header::RETRY_AFTER, "10"),
        WatchError::Overloaded(_) => Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "full", error.to_string())
            .header(header::RETRY_AFTER, "30"),
        WatchError::TooManyPending => Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too_many_pending",
            "too many viewers from this address are joining",
        )
        .header(header::RETRY_AFTER, "2"),
        WatchError::BadSdp(why) => Refusal::new(StatusCode::BAD_REQUEST, "bad_sdp", why.clone()),
        WatchError::CodecNotSupported(_) => {
            Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "codec_not_supported", error.to_string())
        }
        WatchError::WrongState => Refusal::new(StatusCode::CONFLICT, "wrong_state", error.to_string()),
        error => {
            warn!(%error, "WHEP viewer could not join");
            Refusal::internal()
        }
    }
}
