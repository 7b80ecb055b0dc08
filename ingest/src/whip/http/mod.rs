//! The requests of WHIP (RFC 9725): what they must look like and how they are answered.
//!
//! | request | answer |
//! |---|---|
//! | `POST /whip/{channel}`, `POST /whip` | 201 with our answer; the session is its `Location` |
//! | `PATCH` of a session | 204 for candidates, 200 for an ICE restart |
//! | `DELETE` of a session | 200 |
//! | `OPTIONS` of both | 200, preflight or not |
//!
//! The key stands in `Authorization: Bearer KEY`, as `heliograph key new` prints it.

pub(super) mod refusals;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use axum::{
    Extension, Router,
    body::Body,
    extract::{Path, State},
    handler::Handler,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{MethodRouter, options, patch, post},
};
use heliograph_edge::{
    dtls::Identity,
    ice::IceCredentials,
    sdp::{self, Incoming, IncomingTrack, LocalTransport},
};
use heliograph_http::{
    Refusal, body, cors,
    headers::{ACCEPT_PATCH, ACCEPT_POST, FRAGMENT, SDP, accepts_sdp, ascii, bearer, is_type, with},
};
use heliograph_media::{Codec, NtpTime, Ssrc};
use heliograph_relay::{ChannelName, TrackDescription};
use rand::RngExt as _;

use super::{
    Shared,
    peer::Peer,
    reception::{Reception, ReceptionParameters},
    sessions::{Condition, Parts, Patched, ResourceId},
};
use crate::{
    auth::{Door, EndReason, SessionId},
    house::{Guest, PlainKey},
    layers::{self, Layer},
};

const ENDPOINT_METHODS: &str = "POST, OPTIONS";
const RESOURCE_METHODS: &str = "PATCH, DELETE, OPTIONS";
/// A program's name is cut here.
const MAX_VENDOR_CHARS: usize = 80;

/// Who is asking, put into each request's extensions by whoever serves the router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The publisher's address, seen through trusted reverse proxies. Limits go by it.
    pub remote: SocketAddr,
    /// The address of ours that it has reached; `None` behind a proxy.
    pub local: Option<IpAddr>,
}

impl Caller {
    const UNKNOWN: Self = Self { remote: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0), local: None };
}

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/whip", endpoint(publish_by_key))
        .route("/whip/{channel}", endpoint(publish_channel))
        .route("/whip/session/{id}", resource())
        .layer(middleware::from_fn(cors::any_origin))
        .with_state(shared)
}

/// An address that publishers post their offers to.
fn endpoint<H, T>(publish: H) -> MethodRouter<Arc<Shared>>
where
    H: Handler<T, Arc<Shared>>,
    T: 'static,
{
    post(publish)
        .merge(options(async || with(cors::options(ENDPOINT_METHODS), ACCEPT_POST, SDP)))
        .fallback(async || Refusal::wrong_method(ENDPOINT_METHODS))
}

/// The address of a session.
fn resource() -> MethodRouter<Arc<Shared>> {
    patch(trickle)
        .delete(leave)
        .options(async || with(cors::options(RESOURCE_METHODS), ACCEPT_PATCH, FRAGMENT))
        .fallback(async || Refusal::wrong_method(RESOURCE_METHODS))
}

/// `POST /whip/{channel}`
async fn publish_channel(
    State(shared): State<Arc<Shared>>,
    Path(channel): Path<String>,
    caller: Option<Extension<Caller>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let channel = ChannelName::new(channel).map_err(|_| refusals::no_channel())?;
    publish(&shared, Some(channel), caller, &headers, body).await
}

/// `POST /whip`: the key alone names the channel.
async fn publish_by_key(
    State(shared): State<Arc<Shared>>,
    caller: Option<Extension<Caller>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    publish(&shared, None, caller, &headers, body).await
}

async fn publish(
    shared: &Arc<Shared>,
    channel: Option<ChannelName>,
    caller: Option<Extension<Caller>>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let caller = caller.map_or(Caller::UNKNOWN, |Extension(caller)| caller);
    if shared.house.stop().is_cancelled() {
        return Err(Refusal::shutting_down());
    }
    if !is_type(headers, SDP) {
        return Err(Refusal::wrong_type(SDP, ACCEPT_POST));
    }
    if !accepts_sdp(headers) {
        return Err(Refusal::not_acceptable());
    }
    // Who is it? Only then is anything of it read.
    let key = bearer(headers).ok_or_else(refusals::no_key)?;
    let key = PlainKey::parse(channel, key);
    let place = shared.house.enter(caller.remote.ip()).ok_or_else(refusals::too_many)?;
    let session = SessionId(rand::rng().random());
    let guest = shared.house.admit_key(session, Door::Whip, caller.remote, key.as_ref(), place).await;
    let guest = guest.map_err(|refusal| refusals::house(refusal.reason))?;
    let offer = match body::read_text(body, shared.settings.body_limit).await {
        Ok(offer) => offer,
        Err(refusal) => {
            guest.end(EndReason::ProtocolError);
            return Err(refusal);
        }
    };
    go_live(shared, guest, caller, headers, &offer).await
}

/// The publisher is known, and this is its offer. Everything that can fail without taking the channel comes first.
async fn go_live(
    shared: &Arc<Shared>,
    guest: Guest,
    caller: Caller,
    headers: &HeaderMap,
    offer: &str,
) -> Result<Response, Refusal> {
    let (slot, datagrams) = shared.port.slot();
    let credentials = IceCredentials::generate(slot.route(), &mut rand::rng());
    let candidates = shared.port.candidates(caller.local).await;
    let identity = Identity::generate().map_err(|error| refusals::internal(&error))?;
    let transport =
        LocalTransport { ice: &credentials, fingerprint: identity.fingerprint(), candidates: &candidates };
    let (answer, incoming) = match sdp::receive(offer, transport) {
        Ok(agreed) => agreed,
        Err(error) => {
            tracing::warn!(channel = %guest.channel(), %error, "a publisher's offer cannot be answered");
            guest.end(EndReason::ProtocolError);
            return Err(refusals::sdp(&error));
        }
    };
    let now = Instant::now();
    let wall_clock = NtpTime::from_unix(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
    let fresh_ssrc = Box::new(|| Ssrc(rand::rng().random()));
    let ceiling = shared.house.bitrate_limit(guest.channel());
    let parameters =
        ReceptionParameters::new(&incoming, shared.settings.hold, ceiling, wall_clock, fresh_ssrc);
    let peer =
        Peer::new(now, &credentials, &incoming, &shared.dtls, &identity, Reception::new(now, parameters));
    let peer = peer.map_err(|error| refusals::internal(&error))?;
    let seat = guest.sit(describe(&incoming), None).await;
    let seat = seat.map_err(|refusal| refusals::house(refusal.reason))?;
    let parts = Parts { peer, seat, slot, datagrams, incoming, vendor: vendor(headers) };
    let (id, tag) = shared.sessions.start(shared, parts);

    let mut response = (StatusCode::CREATED, answer).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(SDP));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::LOCATION, ascii(&format!("/whip/session/{id}")));
    headers.insert(header::ETAG, ascii(&tag));
    headers.insert(ACCEPT_PATCH, HeaderValue::from_static(FRAGMENT));
    for server in &shared.settings.ice_servers {
        if let Ok(link) = HeaderValue::from_str(&format!("<{server}>; rel=\"ice-server\"")) {
            headers.append(header::LINK, link);
        }
    }
    Ok(response)
}

/// `PATCH`: more candidates (RFC 9725 section 4.3.2), or an ICE restart (4.3.3).
async fn trickle(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let id = ResourceId::parse(&id).ok_or_else(Refusal::no_session)?;
    if !is_type(&headers, FRAGMENT) {
        return Err(Refusal::wrong_type(FRAGMENT, ACCEPT_PATCH));
    }
    let condition = match headers.get(header::IF_MATCH).map(HeaderValue::to_str) {
        None => Condition::None,
        Some(Ok("*")) => Condition::Any,
        Some(tags) => Condition::Tags(tags.unwrap_or_default().to_owned()),
    };
    let fragment = body::read_text(body, shared.settings.body_limit).await?;
    match shared.sessions.patch(id, condition, fragment).await.ok_or_else(Refusal::no_session)?? {
        Patched::Trickled => Ok(StatusCode::NO_CONTENT.into_response()),
        Patched::Restarted { fragment, tag } => {
            let mut response = (StatusCode::OK, fragment).into_response();
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(FRAGMENT));
            response.headers_mut().insert(header::ETAG, ascii(&tag));
            Ok(response)
        }
    }
}

/// `DELETE`
async fn leave(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Result<StatusCode, Refusal> {
    let id = ResourceId::parse(&id).ok_or_else(Refusal::no_session)?;
    shared.sessions.end(id).await.ok_or_else(Refusal::no_session)?;
    Ok(StatusCode::OK)
}

/// What the relay is told to expect: our own payload types, whatever the publisher's are.
fn describe(incoming: &Incoming) -> Vec<TrackDescription> {
    let describe = |track: &IncomingTrack| {
        if track.codec == Codec::Opus {
            return TrackDescription::opus(layers::payload_type(track.codec, Layer::FIRST));
        }
        let rids = track.simulcast.as_ref().map_or(&[][..], |simulcast| &simulcast.rids);
        layers::picture(track.codec, rids)
    };
    incoming.video.iter().chain(&incoming.audio).map(describe).collect()
}

/// What the publishing program calls itself, as far as it is fit for a log.
fn vendor(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    agent.chars().filter(|c| !c.is_control()).take(MAX_VENDOR_CHARS).collect()
}
