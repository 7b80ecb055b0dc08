//! The encoder's side of FTL: what OBS and the FTL SDK do, for `heliograph publish`, the demo and tests.
//!
//! [`control`] speaks on the TCP connection, [`media`] fills the UDP socket, [`speed_test`] sends OBS's burst;
//! all three are machines without sockets. [`FtlClient`] gives them sockets and the time.
//!
//! Known differences from the SDK: a control connection closed without a code is noticed at once instead of by
//! the missing pongs, and a port reply that is not understood is an error instead of media to port 65535.

pub mod control;
pub mod error;
mod key;
pub mod media;
mod nack;
mod pacer;
mod ping;
mod shell;
pub mod speed_test;
mod track;

pub use self::{
    control::Announce,
    error::{ClientError, Refusal},
    key::StreamKey,
    media::{MediaSettings, TimestampZero, UplinkStats},
    ping::PingForm,
    shell::FtlClient,
    speed_test::{SpeedTestPlan, SpeedTestResult},
};

/// Everything a session needs to know beforehand.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// Who publishes.
    pub key: StreamKey,
    /// What the server is told.
    pub announce: Announce,
    /// How media is sent; its `video` and `audio` follow the announcement.
    pub media: MediaSettings,
    /// Whether to measure the uplink first, as OBS does on every connect.
    pub speed_test: Option<SpeedTestPlan>,
}

impl ClientSettings {
    /// Video and audio, no speed test, no pacing.
    pub fn new(key: StreamKey) -> Self {
        Self { key, announce: Announce::default(), media: MediaSettings::default(), speed_test: None }
    }
}
