//! The demo channel: something to watch before anybody streams, sent through the same door as everybody's.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, Result, bail};
use heliograph_ingest::auth::KeysFile;
use tokio::task::JoinHandle;
use tracing::warn;

use crate::key;
use crate::publish::{self, PublishArgs};
use crate::settings::{Authority, Settings};

/// Name of the demo channel.
const CHANNEL: &str = "demo";

/// The demo channel's stream key; the channel is made when it is missing.
///
/// # Errors
/// Keys that are not kept in a file, or a file that cannot be used.
pub(crate) fn key(settings: &Settings) -> Result<String> {
    if settings.authority != Authority::Keys {
        bail!("--demo needs the keys file; here an external service decides who may publish");
    }
    key::ensure_file(&settings.keys)?;
    let known = KeysFile::load(&settings.keys)?.stream_key(CHANNEL);
    known.map_or_else(|| key::add(settings, CHANNEL), Ok)
}

/// Publishes the test picture until the task is aborted.
pub(crate) fn start(settings: &Settings, key: String) -> JoinHandle<()> {
    let host = match settings.addr {
        Some(ip) if !ip.is_unspecified() => ip,
        _ => IpAddr::from(Ipv4Addr::LOCALHOST),
    };
    let args = PublishArgs::test_picture(host.to_string(), settings.ftl_port, key);
    tokio::spawn(async move {
        if let Err(error) = publish::publish(args, std::future::pending())
            .await
            .context("the demo channel cannot be published")
        {
            warn!("{error:#}");
        }
    })
}
