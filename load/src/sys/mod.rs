//! System calls the standard library has no words for. The only unsafe code of this crate lives here, one small
//! module per reason.

#![allow(
    unsafe_code,
    reason = "batched receives, epoll, clocks of other processes and file limits are only offered by the C library"
)]

pub(crate) mod clock;
pub(crate) mod files;
pub(crate) mod poll;
pub(crate) mod recv;
pub(crate) mod socket;
