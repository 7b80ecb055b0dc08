//! The RTMP door: what OBS, ffmpeg, phones and hardware encoders speak. TCP 1935, with TLS 1936.
//!
//! [`protocol`] is the server's machine (handshake, chunks, commands), [`flv`] reads what the messages carry,
//! [`Feed`] makes pictures and sound of it. [`client_configuration`] tells OBS which sizes to send.
//!
//! The machine is ours. Weighed were `rml_rtmp` 0.8 (sans-IO and pleasant, but without Enhanced RTMP, and a stranger may
//! make it hold sixteen megabytes for each of as many chunk streams as he likes), `rtmp` 0.6 of xiu (bound to its sockets
//! and its hub, no Enhanced RTMP) and `scuffle-rtmp` 0.2 (kept up and bounded, but bound to its own I/O, with the same
//! ten megabytes for strangers as for publishers, and a chunk size above 64 KiB ends the session).

pub mod client_configuration;
mod feed;
pub mod flv;
mod io;
pub mod protocol;
mod settings;
mod tracks;

pub use crate::{BFrames, stream_key::StreamKey};
pub use feed::{Feed, Part, Unsupported};
pub use io::{ListenError, RtmpServer};
pub use settings::RtmpSettings;
pub use tracks::LeftOut;

/// The usual port.
pub const PORT: u16 = 1935;
/// The port with TLS.
pub const TLS_PORT: u16 = 1936;
