//! Who publishes, for people who look.

use std::{net::SocketAddr, time::SystemTime};

use heliograph_relay::ChannelName;

use crate::auth::{Door, PublicationMetadata, SessionId};

/// One publisher, at most a second old.
#[derive(Clone, Debug)]
pub struct PublisherSnapshot {
    /// The same as in the authoriser's events.
    pub session: SessionId,
    /// What it publishes.
    pub channel: ChannelName,
    /// The way it came in.
    pub door: Door,
    /// The far side of its connection.
    pub remote: SocketAddr,
    /// Since when.
    pub since: SystemTime,
    /// The public media port it was told, where its door has one per stream.
    pub port: Option<u16>,
    /// Where its media goes.
    pub relay_port: u16,
    /// How it is doing; all zero until the door reports for the first time.
    pub metadata: PublicationMetadata,
}
