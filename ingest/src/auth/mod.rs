//! Who may publish.
//!
//! A door (FTL today) collects what a publisher claims into an [`Attempt`] and asks an [`Authoriser`]. There is
//! a file of keys, an external service over WebSocket and one over HTTP. Nothing here says yes by default: an
//! authoriser that cannot find out answers [`Verdict::Unavailable`].

use std::{fmt, net::SocketAddr, time::Duration};

use futures_util::future::{BoxFuture, FutureExt as _};
use heliograph_relay::ChannelName;

mod answer;
pub mod digest;
mod http;
mod keys_file;
mod service_url;
mod ws;

pub use digest::DIGEST_BYTES;
pub use http::{HttpAuthoriser, HttpAuthoriserError, HttpAuthoriserSettings};
pub use keys_file::{KeysFile, KeysFileError, NewChannel};
pub use service_url::{BadServiceUrl, ServiceKind, ServiceUrl};
pub use ws::{WsAuthoriser, WsAuthoriserSettings};

/// Decides who may publish, and is told what became of it.
pub trait Authoriser: Send + Sync {
    /// May this publisher publish, and as which channel? Doors give up after [`CHECK_DEADLINE`].
    fn check(&self, attempt: Attempt) -> BoxFuture<'_, Verdict>;

    /// The number of a channel, for doors whose publishers name the channel and show its secret alone. By default a name
    /// that is a number is that number.
    fn channel_id(&self, channel: &ChannelName) -> Option<u32> {
        channel.as_str().parse().ok()
    }

    /// A publisher that was let in now has a port.
    fn started(&self, publication: Publication) -> BoxFuture<'_, ()> {
        drop(publication);
        std::future::ready(()).boxed()
    }

    /// How a running publication is doing; told every few seconds.
    fn metadata(&self, publication: Publication, metadata: PublicationMetadata) -> BoxFuture<'_, ()> {
        drop((publication, metadata));
        std::future::ready(()).boxed()
    }

    /// A publication is over. Also told when it failed after the verdict, before a port was given.
    fn ended(&self, publication: Publication, ending: Ending) -> BoxFuture<'_, ()> {
        drop((publication, ending));
        std::future::ready(()).boxed()
    }
}

/// All the time an authoriser has for a verdict: encoders give up after 5 s.
pub const CHECK_DEADLINE: Duration = Duration::from_secs(3);

/// What a publisher claims at the door.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Ties the later events to this attempt.
    pub session: SessionId,
    /// The number before the separator of the stream key.
    pub channel_id: u32,
    /// Which door.
    pub door: Door,
    /// What we sent; fresh for this attempt.
    pub challenge: Vec<u8>,
    /// What came back; see [`digest`].
    pub digest: [u8; DIGEST_BYTES],
    /// The far side of the control connection.
    pub remote: SocketAddr,
}

/// The answer to an [`Attempt`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Come in.
    Allow {
        /// The channel that goes live.
        channel: ChannelName,
        /// A title for people, if there is one.
        name: Option<String>,
    },
    /// The key is wrong or the channel unknown. The reason is for the log; the publisher hears "wrong key".
    Deny {
        /// For the log.
        reason: String,
    },
    /// Nobody could tell. The publisher hears "server trouble".
    Unavailable {
        /// For the log.
        reason: String,
    },
}

impl Verdict {
    pub(crate) fn deny(reason: impl Into<String>) -> Self {
        Self::Deny { reason: reason.into() }
    }

    pub(crate) fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable { reason: reason.into() }
    }
}

/// The way a publisher came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Door {
    /// TCP 8084 and a UDP media port.
    Ftl,
    /// WebRTC, negotiated over HTTP.
    Whip,
    /// RTMP and RTMPS.
    Rtmp,
    /// SRT.
    Srt,
    /// Nobody publishes: a person proves a key to get to the streamer's desk.
    Studio,
    /// Nobody publishes yet: OBS asks which sizes to send over RTMP.
    Multitrack,
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ftl => "ftl",
            Self::Whip => "whip",
            Self::Rtmp => "rtmp",
            Self::Srt => "srt",
            Self::Studio => "studio",
            Self::Multitrack => "multitrack",
        })
    }
}

/// One control connection, from its first byte to its end. Random, 16 hex digits when shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionId(pub u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A publisher that was let in.
#[derive(Clone, Debug)]
pub struct Publication {
    /// The same as in its [`Attempt`].
    pub session: SessionId,
    /// The same as in its [`Attempt`].
    pub channel_id: u32,
    /// The verdict's channel.
    pub channel: ChannelName,
    /// Which door.
    pub door: Door,
    /// The digest of its [`Attempt`]; old services know a publication by it.
    pub digest: [u8; DIGEST_BYTES],
    /// The far side of the control connection.
    pub remote: SocketAddr,
    /// The public media port it was told; `None` when it failed before.
    pub port: Option<u16>,
    /// The relay's port for this channel.
    pub relay_port: Option<u16>,
}

/// What a publisher says about itself and what we see of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublicationMetadata {
    /// `OBS Studio` and the like.
    pub vendor_name: String,
    /// Of that program.
    pub vendor_version: String,
    /// As announced; empty for none.
    pub video_codec: &'static str,
    /// As announced; empty for none.
    pub audio_codec: &'static str,
    /// Pixels, from the stream itself; 0 while unknown.
    pub video_width: u32,
    /// Pixels, from the stream itself; 0 while unknown.
    pub video_height: u32,
    /// Since the port was given.
    pub stream_time: Duration,
    /// Media packets received, without duplicates.
    pub packets: u64,
    /// Media packets that never came.
    pub lost: u64,
    /// Packets asked for again.
    pub nacks: u64,
    /// What came but was no media of this stream: the junk of a speed test, packets of others, malformed ones.
    pub discarded: u64,
    /// What arrived lately.
    pub bitrate_bps: u64,
    /// Between us and the publisher, when measured.
    pub round_trip: Option<Duration>,
    /// How unevenly media comes (RFC 3550 section 6.4.1): sound where there is any, else pictures.
    pub jitter: Option<Duration>,
    /// Its pictures are encoded anew, because they have B-frames.
    pub reencoded: bool,
    /// Tracks of the publisher that do not reach viewers: of another codec than the first, too many, or further sound.
    pub tracks_left_out: u32,
    /// How long we hold media back on purpose before it goes on (SRT's latency, evenness).
    pub held: Duration,
}

/// How a publication ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Why.
    pub reason: EndReason,
    /// Since the port was given; zero when none was.
    pub duration: Duration,
    /// Media bytes received.
    pub bytes: u64,
}

/// Why a publication ended. `Display` gives the short stable word that services and logs see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// The key was wrong.
    Denied,
    /// Nobody could say whether the key was right.
    NoVerdict,
    /// The publisher said so.
    Disconnected,
    /// The control connection closed without a word.
    ConnectionLost,
    /// Neither media nor a ping for too long.
    Silent,
    /// The control connection stayed open but its pings stopped.
    PingTimeout,
    /// Alive, but no media for too long.
    NoMedia,
    /// Another publisher took the channel over.
    TakenOver,
    /// The channel was live and a take-over not allowed.
    ChannelInUse,
    /// It broke the protocol.
    ProtocolError,
    /// It did not finish the handshake in time.
    HandshakeTimeout,
    /// No media port was free.
    NoMediaPort,
    /// It sends what cannot be shown to viewers, such as an unknown codec.
    UnsupportedMedia,
    /// The relay had no port, or went away.
    RelayUnavailable,
    /// Too many connections from one address that have not proven a key.
    TooManyConnections,
    /// It sent more than its channel may, for too long.
    BitrateTooHigh,
    /// Its address is in none of the networks that publishers may come from.
    ForeignNetwork,
    /// The streamer ended it at the desk, and the channel stays closed for a while.
    EndedByStreamer,
    /// We are shutting down.
    ServerShutdown,
    /// A fault of ours.
    Internal,
}

impl EndReason {
    /// The short stable word.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::NoVerdict => "no_verdict",
            Self::Disconnected => "disconnected",
            Self::ConnectionLost => "connection_lost",
            Self::Silent => "silent",
            Self::PingTimeout => "ping_timeout",
            Self::NoMedia => "no_media",
            Self::TakenOver => "taken_over",
            Self::ChannelInUse => "channel_in_use",
            Self::ProtocolError => "protocol_error",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::NoMediaPort => "no_media_port",
            Self::UnsupportedMedia => "unsupported_media",
            Self::RelayUnavailable => "relay_unavailable",
            Self::TooManyConnections => "too_many_connections",
            Self::BitrateTooHigh => "bitrate_too_high",
            Self::ForeignNetwork => "foreign_network",
            Self::EndedByStreamer => "ended_by_streamer",
            Self::ServerShutdown => "server_shutdown",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
