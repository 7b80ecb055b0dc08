//! The C side. The only `unsafe` code of this crate: one file per library.

#![allow(
    unsafe_code,
    reason = "calls into libavcodec (through a shim in C) and libopus, each with its argument"
)]

pub(crate) mod aac;
pub(crate) mod opus;
