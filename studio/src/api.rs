//! The routes of the desk.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    middleware::{self, Next},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::{get, post},
};
use futures_util::stream;
use heliograph_http::Refusal;
use serde::de::DeserializeOwned;

use crate::{
    App, NotLetIn, RemoteAddress, desk, guard,
    messages::{Mute, NewTitle, SignIn},
    sessions::HeldKey,
};

/// Bodies are a key or a title.
const MAX_BODY: usize = 4 << 10;
/// Characters of a title.
const MAX_TITLE: usize = 200;
/// How long encoders are turned away after an end at the desk: longer than any of them keeps trying by itself.
const CLOSED: Duration = Duration::from_secs(600);
/// Between two events.
const EVERY: Duration = Duration::from_secs(1);

type Answer = Result<Response, Refusal>;

pub(crate) fn routes(app: Arc<App>) -> Router {
    let orders = Router::new()
        .route("/session", post(sign_in).delete(sign_out))
        .route("/title", post(title))
        .route("/muted", post(muted))
        .route("/end", post(end))
        .route("/open", post(open))
        .route("/publish", post(publish));
    let routes = Router::new()
        .route("/desk", get(show))
        .route("/events", get(events))
        .merge(orders)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(own_page_only))
        .with_state(app);
    Router::new().nest("/studio/api", routes)
}

async fn own_page_only(request: Request, next: Next) -> Response {
    if let Err(refusal) = guard::own_page(request.headers()) {
        return refusal.into_response();
    }
    let mut response = next.run(request).await;
    response
        .headers_mut()
        .entry(header::CACHE_CONTROL)
        .or_insert(header::HeaderValue::from_static("no-store"));
    response
}

fn read<T: DeserializeOwned>(headers: &HeaderMap, body: &Bytes) -> Result<T, Refusal> {
    guard::json(headers)?;
    // The error of the parser may quote the body, which may be a key.
    serde_json::from_slice(body).map_err(|_| {
        Refusal::new(StatusCode::BAD_REQUEST, "bad_body", "the body is not what is expected here")
    })
}

fn done() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

fn with_cookie(cookie: String) -> Response {
    ([(HeaderName::from_static("set-cookie"), cookie)], StatusCode::NO_CONTENT).into_response()
}

async fn sign_in(
    State(app): State<Arc<App>>,
    remote: Option<axum::Extension<RemoteAddress>>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let SignIn { key } = read(&headers, &body)?;
    let ip = remote.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |remote| remote.0.0);
    match app.publishers.channel_of(SocketAddr::new(ip, 0), key.trim()).await {
        Ok(channel) => {
            tracing::info!(%channel, remote = %ip, "a streamer opened the desk");
            let token = app.sessions.begin(Instant::now(), channel, HeldKey::new(key.trim()));
            Ok(with_cookie(guard::cookie(&token, app.settings.tls)))
        }
        Err(NotLetIn::WrongKey) => {
            Err(Refusal::new(StatusCode::UNAUTHORIZED, "wrong_key", "no channel has this key"))
        }
        Err(NotLetIn::TooMany) => Err(Refusal::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_tries",
            "too many tries from your address at once",
        )),
        Err(NotLetIn::NoVerdict) => Err(Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "no_verdict",
            "the key cannot be checked right now",
        )),
    }
}

async fn sign_out(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    if let Some(token) = guard::token(&headers) {
        app.sessions.end(token);
    }
    with_cookie(guard::cookie("", app.settings.tls))
}

async fn show(State(app): State<Arc<App>>, headers: HeaderMap) -> Answer {
    let channel = guard::channel(&app, &headers)?;
    Ok(Json(desk::look(&app, &channel)).into_response())
}

/// The desk once a second, for as long as the session lasts.
async fn events(State(app): State<Arc<App>>, headers: HeaderMap) -> Answer {
    guard::channel(&app, &headers)?;
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let events = stream::unfold((app, headers, ticks), |(app, headers, mut ticks)| async move {
        ticks.tick().await;
        let channel = guard::channel(&app, &headers).ok()?;
        let event = Event::default().event("desk").json_data(desk::look(&app, &channel)).ok()?;
        Some((Ok::<_, Infallible>(event), (app, headers, ticks)))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}

async fn title(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Answer {
    let channel = guard::channel(&app, &headers)?;
    let NewTitle { title } = read(&headers, &body)?;
    let title = title.trim();
    if title.chars().count() > MAX_TITLE || title.chars().any(char::is_control) {
        return Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "bad_title",
            "a title has at most 200 characters and no line ends",
        ));
    }
    let title = (!title.is_empty()).then_some(title);
    on_air(app.streams.rename(&channel, title))
}

async fn muted(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Answer {
    let channel = guard::channel(&app, &headers)?;
    let Mute { muted } = read(&headers, &body)?;
    on_air(app.streams.mute(&channel, muted))
}

async fn end(State(app): State<Arc<App>>, headers: HeaderMap) -> Answer {
    let channel = guard::channel(&app, &headers)?;
    guard::json(&headers)?;
    tracing::info!(%channel, "the streamer ends the stream at the desk");
    on_air(app.publishers.hold(&channel, CLOSED))
}

async fn open(State(app): State<Arc<App>>, headers: HeaderMap) -> Answer {
    let channel = guard::channel(&app, &headers)?;
    guard::json(&headers)?;
    app.publishers.open(&channel);
    Ok(done())
}

/// An offer of this browser to publish.
async fn publish(State(app): State<Arc<App>>, request: Request) -> Answer {
    let channel = guard::channel(&app, request.headers())?;
    let key = guard::key(&app, request.headers())?;
    guard::sdp(request.headers())?;
    tracing::info!(%channel, "a streamer publishes from the desk");
    Ok(app.publishers.publish(channel, key, request).await)
}

fn on_air(is: bool) -> Answer {
    if is {
        Ok(done())
    } else {
        Err(Refusal::new(StatusCode::CONFLICT, "off_air", "nobody publishes on this channel"))
    }
}
