//! Joins the streamer's desk with the house of the publishers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use futures_util::future::{BoxFuture, FutureExt as _};
use heliograph_ingest::auth::EndReason;
use heliograph_ingest::house::{House, PlainKey};
use heliograph_media::Bitrate;
use heliograph_relay::{ChannelName, Relay};
use heliograph_studio::messages::{Doors, Uplink};
use heliograph_studio::{NotLetIn, Publishers, RemoteAddress, StudioSettings};

use crate::doors::introduced;
use crate::settings::Settings;

struct Behind(Arc<House>);

impl Publishers for Behind {
    fn channel_of(&self, remote: SocketAddr, key: &str) -> BoxFuture<'_, Result<ChannelName, NotLetIn>> {
        let key = PlainKey::parse(None, key);
        async move {
            self.0.channel_of(remote, key.as_ref()).await.map_err(|refusal| match refusal.reason {
                EndReason::TooManyConnections => NotLetIn::TooMany,
                EndReason::Denied => NotLetIn::WrongKey,
                _ => NotLetIn::NoVerdict,
            })
        }
        .boxed()
    }

    fn uplink(&self, channel: &ChannelName) -> Option<Uplink> {
        let publisher = self.0.publisher(channel)?;
        let figures = publisher.metadata;
        Some(Uplink {
            door: publisher.door.to_string(),
            encoder: format!("{} {}", figures.vendor_name, figures.vendor_version).trim().to_owned(),
            remote: publisher.remote.ip().to_canonical().to_string(),
            bitrate_bps: figures.bitrate_bps,
            limit_bps: self.0.bitrate_limit(channel).map(Bitrate::as_bps),
            lost: figures.lost,
            requested_again: figures.nacks,
            round_trip_ms: figures.round_trip.map(|time| (time.as_secs_f64() * 10_000.0).round() / 10.0),
        })
    }

    fn hold(&self, channel: &ChannelName, time: Duration) -> bool {
        self.0.hold(channel, time)
    }

    fn open(&self, channel: &ChannelName) {
        self.0.open(channel);
    }

    fn held_until(&self, channel: &ChannelName) -> Option<Instant> {
        self.0.held_until(channel)
    }
}

/// `/studio/api`. `doors` are those that publishers can come in by.
pub(crate) fn router(house: &Arc<House>, relay: &Relay, settings: &Settings, doors: Doors) -> Router {
    let desk = StudioSettings { tls: settings.tls.is_some(), doors };
    let publishers = Arc::new(Behind(Arc::clone(house)));
    heliograph_studio::sound::measure(relay);
    let router = heliograph_studio::router(publishers, Arc::new(relay.clone()), desk);
    introduced(router, &settings.trusted_proxies, |_, ip, _| RemoteAddress(ip))
}
