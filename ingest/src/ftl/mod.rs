//! The FTL door: TCP 8084 for control, one UDP port per stream for media.

pub mod client;
pub mod control;
mod io;
pub mod media;
mod settings;

pub use io::{FtlError, FtlServer};
pub use settings::{FtlSettings, PORT};
