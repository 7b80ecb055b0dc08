//! Figures about a session, for people and services.

use std::{net::SocketAddr, time::Duration};

use heliograph_media::Bitrate;

use crate::uplink::TrackHealth;

/// How a publisher's media is doing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MediaHealth {
    /// Pictures; `None` when not announced.
    pub video: Option<TrackHealth>,
    /// Sound; `None` when not announced.
    pub audio: Option<TrackHealth>,
    /// Between us and the publisher: the last figures, smoothed. From the handshake, then from retransmissions.
    pub round_trip: Option<Duration>,
    /// Where the media comes from now.
    pub source: Option<SocketAddr>,
    /// Pings sent back.
    pub pings: u64,
    /// Junk packets of the speed test, which were dropped.
    pub speed_test_packets: u64,
    /// Numbers of the speed test that never came.
    pub speed_test_lost: u64,
    /// From other addresses, or from another port while the right one was sending.
    pub foreign: u64,
    /// Broken, or of a kind, payload type or SSRC that was not announced.
    pub malformed: u64,
    /// Keyframes that the relay asked for; an FTL encoder cannot be asked.
    pub keyframes_wanted: u64,
    /// Width and height of the picture in pixels, from the stream itself.
    pub picture: Option<(u32, u32)>,
}

impl MediaHealth {
    /// Media bytes received, headers included.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.tracks().map(|track| track.bytes).sum()
    }

    /// Media packets received, without duplicates.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.tracks().map(|track| track.packets).sum()
    }

    /// Media packets that never came.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.tracks().map(|track| track.lost).sum()
    }

    /// Requests for lost packets.
    #[must_use]
    pub fn nacks(&self) -> u64 {
        self.tracks().map(|track| track.nacks).sum()
    }

    /// How unevenly packets come, see [`TrackHealth::jitter_of`].
    #[must_use]
    pub fn jitter(&self) -> Option<Duration> {
        TrackHealth::jitter_of(self.video, self.audio)
    }

    /// Of both media, lately.
    #[must_use]
    pub fn bitrate(&self) -> Bitrate {
        Bitrate::bps(self.tracks().map(|track| track.bitrate.as_bps()).sum())
    }

    fn tracks(&self) -> impl Iterator<Item = &TrackHealth> {
        self.video.iter().chain(&self.audio)
    }
}
