//! The streamer's desk, as far as the server goes: `/studio/api/`.
//!
//! A streamer shows the key of the channel once and gets a cookie for it (`sessions`). From then on the desk tells how the
//! stream is doing ([`messages::Desk`]), also as events, and takes the few orders there are: another title, sound
//! off, end. How loud the stream is, it hears itself ([`sound`]). The crate knows the relay, and publishers only through [`Publishers`].

mod api;
mod desk;
mod guard;
pub mod messages;
#[cfg(test)]
mod messages_tests;
mod sessions;
pub mod sound;
#[cfg(test)]
mod tests;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, extract::Request, response::Response};
use futures_util::future::BoxFuture;
use heliograph_relay::{ChannelName, StreamSnapshot};

use messages::{Doors, Uplink};
use sessions::Sessions;

pub use sessions::HeldKey;

/// What the desk needs of the publishers' side.
pub trait Publishers: Send + Sync {
    /// Which channel this key opens. Wrong keys are answered later and later, by address.
    fn channel_of(&self, remote: SocketAddr, key: &str) -> BoxFuture<'_, Result<ChannelName, NotLetIn>>;

    /// Who publishes on the channel, and how the way from there is doing.
    fn uplink(&self, channel: &ChannelName) -> Option<Uplink>;

    /// Ends whoever publishes, and keeps the channel closed for so long. False when nobody was.
    fn hold(&self, channel: &ChannelName, time: Duration) -> bool;

    /// Opens the channel again.
    fn open(&self, channel: &ChannelName);

    /// Until when the channel is closed.
    fn held_until(&self, channel: &ChannelName) -> Option<Instant>;

    /// A streamer's own browser wants to publish on the channel, with the key of the desk: an offer to the door for
    /// browsers, and that door's answer. The key is checked again.
    fn publish(&self, channel: ChannelName, key: HeldKey, offer: Request) -> BoxFuture<'_, Response>;
}

/// What the desk needs of the relay.
pub trait Streams: Send + Sync {
    /// The channel's stream; `None` off the air.
    fn stream(&self, channel: &ChannelName) -> Option<StreamSnapshot>;

    /// Another title, or none. False when off the air.
    fn rename(&self, channel: &ChannelName, title: Option<&str>) -> bool;

    /// Silence for the viewers, or sound again. False when off the air.
    fn mute(&self, channel: &ChannelName, muted: bool) -> bool;
}

impl Streams for heliograph_relay::Relay {
    fn stream(&self, channel: &ChannelName) -> Option<StreamSnapshot> {
        self.stream_by_channel(channel.as_str())
    }

    fn rename(&self, channel: &ChannelName, title: Option<&str>) -> bool {
        Self::rename(self, channel.as_str(), title)
    }

    fn mute(&self, channel: &ChannelName, muted: bool) -> bool {
        Self::mute(self, channel.as_str(), muted)
    }
}

/// Why a key opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotLetIn {
    /// It is wrong.
    WrongKey,
    /// Too many tries from that address at once.
    TooMany,
    /// Nobody could tell.
    NoVerdict,
}

/// Who asks, put into a request's extensions by whoever serves the router, seen through trusted proxies.
#[derive(Clone, Copy, Debug)]
pub struct RemoteAddress(pub IpAddr);

/// How the desk behaves.
#[derive(Clone, Debug)]
pub struct StudioSettings {
    /// The server is reached over TLS: cookies say so.
    pub tls: bool,
    /// Where encoders send to.
    pub doors: Doors,
}

struct App {
    publishers: Arc<dyn Publishers>,
    streams: Arc<dyn Streams>,
    sessions: Sessions,
    settings: StudioSettings,
}

/// `/studio/api/...`. Needs a tokio runtime.
pub fn router(
    publishers: Arc<dyn Publishers>,
    streams: Arc<dyn Streams>,
    settings: StudioSettings,
) -> Router {
    api::routes(Arc::new(App { publishers, streams, sessions: Sessions::default(), settings }))
}
