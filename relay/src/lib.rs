//! The middle of the house: RTP from ingest comes in on loopback, one port per stream; everything a viewer
//! gets goes out from here.
//!
//! ```text
//! RTP -> inlet (one per stream: sans-IO, then its socket) -> feed -> readers, each with its own rings
//!                                                              egress workers -> SRTP -> viewers
//! ```
//!
//! * [`allocation`]: how an ingest asks for a port.
//! * The inlet turns whatever publishers do (restarts, take-overs, losses, jumps) into one continuous
//!   numbering and timeline per stream, once for all viewers.
//! * [`feed`](FeedItem): what flows to the readers; [`TrackRing`]: what each reader keeps.
//! * Egress: one thread and one UDP socket per worker; a viewer belongs to one worker for life and is a cursor on
//!   its ring. Handshakes run on threads of their own. All of it but `sys` is safe code, and all that decides
//!   something is sans-IO.
//! * [`PublicPort`]: a public UDP port beside those of the workers, for publishers over WebRTC.
//! * [`Relay`]: the face towards the program and towards signaling.

pub mod allocation;
mod audience;
mod audience_stats;
#[doc(hidden)]
pub mod bench;
mod candidates;
pub mod capacity;
mod channel;
mod clock;
mod close;
mod delays;
mod discovery;
mod egress;
mod feed;
mod handshake;
pub mod host;
mod inlet;
mod kernel_drops;
mod packet;
mod playout;
mod pool;
mod public_port;
mod rate;
mod relay;
mod ring;
mod settings;
mod sound;
mod stream;
mod sys;
mod unplayable;
mod uplink;
mod viewer;
mod viewers;
mod warning;
mod worker;

pub use allocation::{
    AllocateError, Allocation, Allocator, BadChannelName, BoxFuture, ChannelName, LayerDescription,
    StreamRequest, TrackDescription,
};
pub use audience_stats::{AudienceSnapshot, JoinTimes};
pub use capacity::Capacity;
pub use clock::TrackClock;
pub use close::CloseReason;
pub use delays::ViewerDelays;
pub use egress::GrantedSockets;
pub use feed::{CodecParameters, FeedBatch, FeedItem, FeedSink, H264Parameters, Sinks};
pub use packet::{Packet, StartParts, StreamId, Track};
pub use playout::{PlayoutDelay, PlayoutSettings};
pub use public_port::{PublicPort, PublicPortSettings, Received};
pub use rate::RateMeter;
pub use relay::{Relay, RelayError};
pub use ring::{Pushed, RingLimits, TrackRing};
pub use settings::{AnnouncedAddress, RelaySettings};
pub use sound::SoundLevel;
pub use stream::{StreamSnapshot, StreamState, TrackSnapshot};
pub use sys::socket::grow_receive_buffer;
pub use unplayable::Unplayable;
pub use uplink::{Uplink, UplinkBasis};
pub use viewer::ViewerId;
pub use viewers::{ViewerEvent, ViewerHandle, WatchError, WatchRequest};
pub use warning::Warning;
pub use worker::stats::WorkerSnapshot;
