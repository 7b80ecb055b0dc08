//! Every knob of the SRT door.

use std::{fmt, net::SocketAddr, time::Duration};

use crate::BFrames;

/// How the SRT door behaves. The defaults suit OBS and ffmpeg.
#[derive(Clone, Debug)]
pub struct SrtSettings {
    /// Where it listens. An address that is unspecified (`[::]`) and whose family this machine lacks is skipped, as long as
    /// another one listens.
    pub listen: Vec<SocketAddr>,
    /// When set, callers must encrypt with it; otherwise they must not encrypt.
    pub passphrase: Option<Passphrase>,
    /// Fewest time that lost packets may take to come again; callers may ask for more.
    pub latency: Duration,
    /// A session that sends nothing for this long is over.
    pub media_timeout: Duration,
    /// What becomes of publishers with B-frames.
    pub b_frames: BFrames,
    /// What Opus made from AAC aims at, bits per second.
    pub opus_bitrate: u32,
}

impl Default for SrtSettings {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            passphrase: None,
            latency: Duration::from_millis(120),
            media_timeout: Duration::from_secs(30),
            b_frames: BFrames::Warn,
            opus_bitrate: 160_000,
        }
    }
}

/// What the encryption's keys are made from. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Passphrase(String);

/// SRT allows 10 to 79 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have 10 to 79 characters")]
pub struct BadPassphrase;

impl Passphrase {
    /// # Errors
    /// It is too short or too long.
    pub fn new(text: &str) -> Result<Self, BadPassphrase> {
        match text.len() {
            10..=79 => Ok(Self(text.to_owned())),
            _ => Err(BadPassphrase),
        }
    }

    /// In clear, for those who may publish.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(hidden)")
    }
}
