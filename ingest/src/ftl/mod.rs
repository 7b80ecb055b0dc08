//! The FTL door: TCP 8084 for control, one UDP port per stream for media.

pub mod client;
pub mod control;
mod settings;

pub use settings::{FtlSettings, PORT, Takeover};
