//! Joins the streamer's desk with the house of the publishers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::future::{BoxFuture, FutureExt as _};
use heliograph_ingest::auth::{Door, EndReason};
use heliograph_ingest::house::{House, PlainKey};
use heliograph_media::Bitrate;
use heliograph_relay::{ChannelName, Relay};
use heliograph_studio::messages::{Doors, Uplink};
use heliograph_studio::{HeldKey, NotLetIn, Publishers, RemoteAddress, StudioSettings};

use tower::ServiceExt as _;

use crate::doors::introduced;
use crate::settings::Settings;

struct Behind {
    house: Arc<House>,
    /// The requests of WHIP; `None` where that door is closed.
    whip: Option<Router>,
}

impl Publishers for Behind {
    fn channel_of(&self, remote: SocketAddr, key: &str) -> BoxFuture<'_, Result<ChannelName, NotLetIn>> {
        let key = PlainKey::parse(None, key);
        async move {
            self.house.channel_of(Door::Studio, remote, key.as_ref()).await.map_err(|refusal| {
                match refusal.reason {
                    EndReason::TooManyConnections => NotLetIn::TooMany,
                    EndReason::Denied => NotLetIn::WrongKey,
                    _ => NotLetIn::NoVerdict,
                }
            })
        }
        .boxed()
    }

    fn uplink(&self, channel: &ChannelName) -> Option<Uplink> {
        let publisher = self.house.publisher(channel)?;
        let figures = publisher.metadata;
        Some(Uplink {
            door: publisher.door.to_string(),
            encoder: format!("{} {}", figures.vendor_name, figures.vendor_version).trim().to_owned(),
            remote: publisher.remote.ip().to_canonical().to_string(),
            bitrate_bps: figures.bitrate_bps,
            limit_bps: self.house.bitrate_limit(channel).map(Bitrate::as_bps),
            lost: figures.lost,
            requested_again: figures.nacks,
            reencoded: figures.reencoded,
            tracks_left_out: figures.tracks_left_out,
            round_trip_ms: figures.round_trip.map(tenths_of_ms),
            jitter_ms: figures.jitter.map(tenths_of_ms),
        })
    }

    fn hold(&self, channel: &ChannelName, time: Duration) -> bool {
        self.house.hold(channel, time)
    }

    fn open(&self, channel: &ChannelName) {
        self.house.open(channel);
    }

    fn held_until(&self, channel: &ChannelName) -> Option<Instant> {
        self.house.held_until(channel)
    }

    fn publish(&self, channel: ChannelName, key: HeldKey, mut offer: Request) -> BoxFuture<'_, Response> {
        async move {
            let Some(whip) = self.whip.clone() else { return StatusCode::NOT_FOUND.into_response() };
            // What an encoder would send: the cookie stays here, and the key never was with the page.
            let (Ok(uri), Ok(mut bearer)) = (
                format!("/whip/{channel}").parse(),
                HeaderValue::try_from(format!("Bearer {}", key.reveal())),
            ) else {
                return StatusCode::BAD_REQUEST.into_response();
            };
            bearer.set_sensitive(true);
            *offer.uri_mut() = uri;
            offer.headers_mut().remove(header::COOKIE);
            offer.headers_mut().insert(header::AUTHORIZATION, bearer);
            let mut answer = whip.oneshot(offer).await.unwrap_or_else(|never| match never {});
            // Any page may publish with a key; with the cookie, ours alone.
            for name in [header::ACCESS_CONTROL_ALLOW_ORIGIN, header::ACCESS_CONTROL_EXPOSE_HEADERS] {
                answer.headers_mut().remove(name);
            }
            answer
        }
        .boxed()
    }
}

fn tenths_of_ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}

/// `/studio/api`. `doors` are those that publishers can come in by.
/// `whip` is the door of browsers, where there is one.
pub(crate) fn router(
    house: &Arc<House>,
    relay: &Relay,
    settings: &Settings,
    doors: Doors,
    whip: Option<Router>,
) -> Router {
    let desk = StudioSettings { tls: settings.tls.is_some(), doors };
    heliograph_studio::sound::measure(relay);
    let publishers = Arc::new(Behind { house: Arc::clone(house), whip });
    let router = heliograph_studio::router(publishers, Arc::new(relay.clone()), desk);
    introduced(router, &settings.trusted_proxies, |_, ip, _| RemoteAddress(ip))
}
