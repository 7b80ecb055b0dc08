//! The WHIP door: its UDP port, and its requests on a listener of the program's.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use heliograph_ingest::house::House;
use heliograph_ingest::whip::{Caller, WhipDoor, WhipSettings};
use heliograph_relay::{AnnouncedAddress, PublicPortSettings};
use tokio::net::TcpListener;
use tracing::warn;

use crate::doors;
use crate::settings::{Port, Settings};

/// Opens the UDP port. The usual one may be somebody else's; one that was asked for may not.
///
/// # Errors
/// The port that was asked for is taken.
pub(crate) fn open(
    settings: &Settings,
    announced: Vec<AnnouncedAddress>,
    house: &Arc<House>,
) -> Result<Option<WhipDoor>> {
    let (number, asked) = match settings.whip_port {
        Port::Off => return Ok(None),
        Port::Usual(port) => (port, false),
        Port::Asked(port) => (port, true),
    };
    let usual = WhipSettings::default();
    let port = PublicPortSettings {
        address: settings.addr,
        port: number,
        announced,
        stun_server: settings.stun_server.clone(),
        ..usual.port.clone()
    };
    let whip = WhipSettings {
        port,
        ice_servers: settings.ice_servers.clone(),
        hold: settings.uplink_hold,
        media_timeout: settings.no_media,
        ..usual
    };
    match WhipDoor::open(whip, Arc::clone(house)).context("whip_port") {
        Ok(door) => Ok(Some(door)),
        Err(error) if asked => Err(error),
        Err(error) => {
            warn!("no WHIP: {error:#}; --whip-port sets another port, or 0 for none");
            Ok(None)
        }
    }
}

/// A listener for the requests alone, where there is no web server.
///
/// # Errors
/// The port that was asked for is taken.
pub(crate) fn listener(settings: &Settings) -> Result<Option<(u16, TcpListener)>> {
    let listen = |port| doors::listen("whip_http_port", settings.addr, port).map(|listener| (port, listener));
    match settings.whip_http_port {
        Port::Off => Ok(None),
        Port::Asked(port) => listen(port).map(Some),
        Port::Usual(port) => Ok(listen(port)
            .inspect_err(|error| {
                warn!("no WHIP: {error:#}; --whip-http-port sets another port, or 0 for none");
            })
            .ok()),
    }
}

/// The requests, each with the address of who is behind it.
pub(crate) fn router(door: &WhipDoor, settings: &Settings) -> Router {
    doors::introduced(door.router(), &settings.trusted_proxies, |ends, ip, local| {
        // Behind a proxy the port is the proxy's, and says nothing.
        let port = if local.is_some() { ends.remote.port() } else { 0 };
        Caller { remote: SocketAddr::new(ip, port), local }
    })
}
