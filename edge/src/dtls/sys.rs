//! The few OpenSSL calls that the `openssl` crate does not wrap. The only `unsafe` code of this crate.

#![allow(unsafe_code, reason = "OpenSSL calls without a safe wrapper, each with its argument")]

use std::io::{Read, Write};
use std::os::raw::{c_int, c_long, c_uint, c_void};
use std::ptr;
use std::time::Duration;

use foreign_types::ForeignTypeRef as _;
use openssl::ssl::{SslContextBuilder, SslRef, SslStream};
use openssl_sys::{SSL, SSL_CTX_ctrl, SSL_ctrl};

// Macros of <openssl/ssl.h>, part of OpenSSL's stable interface since 1.0.
const DTLS_CTRL_GET_TIMEOUT: c_int = 73;
const DTLS_CTRL_HANDLE_TIMEOUT: c_int = 74;
const SSL_CTRL_SET_MAX_CERT_LIST: c_int = 51;

unsafe extern "C" {
    fn DTLS_set_timer_cb(ssl: *mut SSL, callback: Option<unsafe extern "C" fn(*mut SSL, c_uint) -> c_uint>);
}

const FIRST_TIMEOUT_US: c_uint = 75_000;
const LONGEST_TIMEOUT_US: c_uint = 2_000_000;

/// The next retransmission timeout after `previous`, in microseconds; 0 asks for the first. OpenSSL's own
/// first is a second, which is most of a viewer's patience. On a long way the first flight goes twice for nothing: a
/// kilobyte. OpenSSL calls a timer run out 15 ms before it does.
unsafe extern "C" fn next_timeout_us(_ssl: *mut SSL, previous: c_uint) -> c_uint {
    if previous == 0 { FIRST_TIMEOUT_US } else { previous.saturating_mul(2).min(LONGEST_TIMEOUT_US) }
}

/// Starts retransmitting after 75 ms, doubling up to 2 s.
pub(super) fn set_timer(ssl: &mut SslRef) {
    // SAFETY: `ssl` is a live SSL object, borrowed exclusively; the callback is a plain function without
    // captured state, so it outlives every use, and it reads nothing through its pointer.
    unsafe { DTLS_set_timer_cb(ssl.as_ptr(), Some(next_timeout_us)) }
}

/// Bounds the peer's certificate chain.
pub(super) fn limit_certificates(builder: &mut SslContextBuilder, bytes: u16) {
    // SAFETY: the builder owns a live SSL_CTX, borrowed exclusively; this control stores `larg` and ignores
    // `parg`.
    unsafe {
        SSL_CTX_ctrl(builder.as_ptr(), SSL_CTRL_SET_MAX_CERT_LIST, bytes.into(), ptr::null_mut());
    }
}

/// How long until the running timer fires; `None` when none runs.
pub(super) fn timeout(ssl: &SslRef) -> Option<Duration> {
    let mut left = libc::timeval { tv_sec: 0, tv_usec: 0 };
    // SAFETY: `ssl` is a live SSL object; this control only reads it, and writes one `struct timeval` to
    // `parg`, which points to one that outlives the call.
    let running: c_long = unsafe {
        SSL_ctrl(ssl.as_ptr(), DTLS_CTRL_GET_TIMEOUT, 0, ptr::from_mut(&mut left).cast::<c_void>())
    };
    (running == 1).then(|| {
        Duration::from_secs(left.tv_sec.try_into().unwrap_or(0))
            + Duration::from_micros(left.tv_usec.try_into().unwrap_or(0))
    })
}

/// Sends the last flight again if its timer has run out. False when it was sent too often already.
pub(super) fn handle_timeout<S: Read + Write>(stream: &mut SslStream<S>) -> bool {
    // SAFETY: the stream owns a live SSL object whose BIO calls back into `S`; both are borrowed exclusively
    // for the call, as they are in `SslStream::do_handshake`. The control ignores `parg`.
    let result = unsafe { SSL_ctrl(stream.ssl().as_ptr(), DTLS_CTRL_HANDLE_TIMEOUT, 0, ptr::null_mut()) };
    result >= 0
}
