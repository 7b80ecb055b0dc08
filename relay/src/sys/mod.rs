//! System calls and instructions the standard library has no words for. The only unsafe code of this crate lives here,
//! one small module per reason; everything outside sees safe functions and plain types.

#![allow(
    unsafe_code,
    reason = "batched datagrams, epoll and affinity masks are only offered by the C library, prefetching by intrinsics"
)]

pub(crate) mod cpu;
mod datagram;
pub(crate) mod interfaces;
pub(crate) mod limits;
pub(crate) mod memory;
pub(crate) mod poll;
pub(crate) mod prefetch;
pub(crate) mod ready;
pub(crate) mod recv;
pub(crate) mod send;
pub(crate) mod socket;
