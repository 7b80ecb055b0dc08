//! The SRT door: OBS, ffmpeg, GStreamer and hardware encoders on links that lose packets. UDP 8890, MPEG transport
//! streams.
//!
//! [`handshake`] reads who knocks and writes what is answered, [`StreamId`] reads the key, `connection` follows an
//! accepted caller, [`heliograph_media::mpegts`] reads what it sends.
//!
//! Acknowledgement, loss reports, timing and decryption are the machines of `srt-protocol` 0.4 (pure Rust, sans-IO, tested
//! against libsrt by its authors). Its own listener in `srt-tokio` was weighed and not taken: anybody's datagram is
//! remembered there for ever, its cookie can be guessed, and an extension or a key length that it does not know panics in
//! the task that all sessions share. So the handshake is ours: nothing is kept of a caller before it returns our cookie,
//! and each caller has a task of its own. Also weighed: libsrt (its callback for access control blocks the port while a
//! key is checked, and its threads are its own), `shiguredo_srt` (sans-IO, but a preview that cannot refuse a caller).

mod connection;
pub mod handshake;
mod io;
mod round_trip;
mod settings;
mod stream_id;

pub use io::SrtServer;
pub use settings::{BadPassphrase, Passphrase, SrtSettings};
pub use stream_id::{BadStreamId, StreamId};

pub use crate::tcp::ListenError;

/// The usual port.
pub const PORT: u16 = 8890;
