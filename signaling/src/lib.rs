//! HTTP and WebSocket: viewer negotiation, WHEP resources, stream allocation, what is live.
//!
//! [`public_router`] is for everybody, [`control_router`] for programs on this machine. Whoever serves them puts
//! [`ConnectionAddresses`] into each request's extensions. Every message is described in `docs/messages.md`.

mod admission;
mod allocation;
mod app;
mod backend;
mod client;
mod control;
mod directory;
mod inbound;
pub mod messages;
mod playout;
mod preview;
mod query;
mod settings;
mod shutdown;
mod socket;
mod streams;
#[cfg(test)]
mod tests;
mod websocket;
mod whep;
mod whep_sessions;
mod wire;

use std::sync::Arc;

use axum::{
    Router, middleware,
    routing::{get, post},
};
use heliograph_http::cors;
use heliograph_relay::Relay;

use app::App;
use backend::Backend;
pub use client::ConnectionAddresses;
pub use control::{ControlToken, TokenError, local_only};
pub use settings::SignalingSettings;
pub use shutdown::Shutdown;

/// What viewers, pages and (with the token) remote ingests use. Must be called inside a Tokio runtime.
pub fn public_router(relay: Relay, settings: Arc<SignalingSettings>) -> Router {
    public(Arc::new(relay), settings)
}

/// What programs on this machine use. Must be called inside a Tokio runtime.
pub fn control_router(relay: Relay, settings: Arc<SignalingSettings>) -> Router {
    control(Arc::new(relay), settings)
}

fn public(backend: Arc<dyn Backend>, settings: Arc<SignalingSettings>) -> Router {
    let app = App::new(backend, settings);
    app.backend.add_reader(Arc::clone(&app.keyframes) as _);
    let allocation = allocation_routes()
        .route_layer(middleware::from_fn_with_state(Arc::clone(&app), control::token_only));
    let watching = Router::new()
        .route("/whep", whep::endpoint(whep::join_by_query))
        .route("/whep/{channel}", whep::endpoint(whep::join_channel))
        .route("/whep/session/{id}", whep::resource())
        .route("/whep/session/{id}/messages", whep::messages())
        .route("/streams", get(streams::streams).fallback(cors::read_only))
        .route("/events", get(streams::events).fallback(cors::read_only))
        .route("/capacity", get(streams::capacity).fallback(cors::read_only))
        .route("/preview", get(preview::preview).fallback(cors::read_only))
        .route("/config.json", get(streams::config).fallback(cors::read_only))
        .route("/healthz", get(streams::health).fallback(cors::read_only))
        .layer(middleware::from_fn(cors::any_origin));
    Router::new().route("/websocket", get(websocket::open)).merge(watching).merge(allocation).with_state(app)
}

fn control(backend: Arc<dyn Backend>, settings: Arc<SignalingSettings>) -> Router {
    let app = App::new(backend, settings);
    let routes = allocation_routes()
        .route("/streams", get(streams::streams))
        .route("/capacity", get(streams::capacity))
        .route("/healthz", get(streams::health))
        .with_state(Arc::clone(&app));
    // Around everything, also what does not exist.
    local_only(routes, app.settings.control_hosts.clone())
}

fn allocation_routes() -> Router<Arc<App>> {
    let methods = post(allocation::allocate).delete(allocation::release).fallback(allocation::wrong_method);
    Router::new().route("/stream", methods)
}
