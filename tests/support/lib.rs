//! What the scenarios are made of: the server as a child process, publishers, viewers, and strangers.
//!
//! Viewers are other people's implementations on purpose: [`viewer::ws`] is `str0m`, [`viewer::whep`] is
//! `webrtc`. Publishers over FTL use the program's own client, whose bytes are checked beside its code; those over RTMP and
//! SRT are [`ffmpeg`], [`gstreamer`], [`obs`] and [`pyav`], those over WHIP `str0m` ([`whip`]), [`aiortc`] and [`pyav`].

pub mod aiortc;
pub mod auth_service;
pub mod clip;
pub mod encoder;
pub mod ffmpeg;
pub mod foreign;
pub mod gstreamer;
pub mod hostile;
pub mod link;
pub mod load;
pub mod new_ffmpeg;
pub mod obs;
pub mod pattern;
pub mod ports;
pub mod publisher;
pub mod pyav;
pub mod scratch;
pub mod server;
pub mod strangers;
pub mod through;
pub mod viewer;
pub mod wait;
pub mod whip;
