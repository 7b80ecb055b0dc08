//! How late a stream is already when it gets here.

use std::time::Duration;

use serde::Serialize;

/// The way of a stream's media from camera or encoder to this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Uplink {
    /// What has to be added to what a viewer measures against the sender reports.
    pub delay: Duration,
    /// What the quickest media of the last seconds took until it got here. After a publisher came back with a backlog, or
    /// while a queue on its way grows or empties, that is another figure: the clock of the sender reports follows slowly.
    pub on_arrival: Duration,
    /// What is in them.
    pub basis: UplinkBasis,
}

/// What is in an [`Uplink`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum UplinkBasis {
    /// All from the capture on, by the publisher's own clock.
    Capture,
    /// The network: half of the quickest round trip, what is held back on purpose, and how much later than at its quickest
    /// the media comes. Not what camera and encoder need.
    Network,
}
