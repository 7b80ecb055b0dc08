//! Whole-system scenarios: the built program, real sockets, other people's clients.
//!
//! `HELIOGRAPH_BIN` names the program to test; without it, it is built first. `HELIOGRAPH_KEEP=1` keeps the
//! servers' folders and logs.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::print_stdout, reason = "figures are part of the result")]

mod crowd;
mod documents;
mod doors;
mod end_to_end;
mod faults;
mod figures;
mod foreign;
mod hostile;
mod idle;
mod joining;
mod load;
mod multitrack;
mod pool;
mod publish;
mod publisher_comes_and_goes;
mod reencode;
mod rtmp;
mod split;
mod srt;
mod strangers;
mod turn;
mod viewer_goes;
mod whip;

/// Ticks of the video clock from one picture of the standard clip to the next.
const FRAME_TICKS: u64 = 3000;
