//! Publishers come in.
//!
//! A *door* speaks a protocol of publishers ([`ftl`], [`rtmp`], [`srt`]) and forwards their media as plain RTP to the relay on
//! loopback. Behind all doors is the [`house`]: it asks an [`auth::Authoriser`] who may publish and the relay's
//! [`Allocator`](heliograph_relay::allocation::Allocator) where to send to. Doors know the relay's allocation types
//! and nothing of viewers.

pub mod allocator;
pub mod auth;
pub mod ftl;
pub mod house;
mod layers;
mod live;
pub mod outlet;
pub mod reencode;
pub mod rtmp;
mod secret;
pub mod srt;
mod stream_key;
mod tcp;
#[cfg(test)]
mod test_support;
mod transcode;
mod uplink;
mod wait;
pub mod whip;

pub use layers::Layer;
pub use live::BFrames;
pub use reencode::Reencoders;
pub use secret::{BadSecret, Secret};
