//! Every knob of the RTMP door.

use std::{fmt, net::SocketAddr, time::Duration};

use openssl::ssl::SslAcceptor;

use crate::BFrames;

/// How the RTMP door behaves. The defaults suit OBS and ffmpeg.
#[derive(Clone)]
pub struct RtmpSettings {
    /// Listeners without TLS. One that is unspecified (`[::]`) and whose address family this machine lacks is skipped,
    /// as long as another one listens.
    pub listen: Vec<SocketAddr>,
    /// Listeners with TLS: the same.
    pub listen_tls: Vec<SocketAddr>,
    /// Certificate and key for those.
    pub tls: Option<SslAcceptor>,
    /// A connection must have asked to publish within this time, TLS included.
    pub handshake_timeout: Duration,
    /// A session that sends neither picture nor sound for this long is over.
    pub media_timeout: Duration,
    /// What becomes of publishers with B-frames.
    pub b_frames: BFrames,
    /// What Opus made from AAC aims at, bits per second.
    pub opus_bitrate: u32,
}

impl Default for RtmpSettings {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            listen_tls: Vec::new(),
            tls: None,
            handshake_timeout: Duration::from_secs(10),
            media_timeout: Duration::from_secs(30),
            b_frames: BFrames::Warn,
            opus_bitrate: 160_000,
        }
    }
}

impl fmt::Debug for RtmpSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RtmpSettings")
            .field("listen", &self.listen)
            .field("listen_tls", &self.listen_tls)
            .field("b_frames", &self.b_frames)
            .finish_non_exhaustive()
    }
}
