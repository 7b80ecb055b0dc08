//! The WebRTC edge, both directions: ICE-lite, DTLS, SRTP and SDP.
//!
//! Everything here is sans-IO: no socket, no task, no lock. Moments and randomness come in as arguments (the
//! one exception is DTLS, whose retransmission timer is OpenSSL's own clock). What is sent back is returned
//! to the caller, who owns the sockets.
//!
//! | module | question it answers |
//! |---|---|
//! | [`path`] | over which addresses does a peer talk to us? |
//! | [`ice`] | may this datagram's sender have our answers, and where does the stream go? |
//! | [`dtls`] | which keys did we agree on, and with whom? |
//! | [`srtp`] | how do packets become unreadable to others, and readable to us? |
//! | [`sdp`] | what do both sides speak? |

pub mod dtls;
pub mod ice;
pub mod path;
pub mod sdp;
pub mod srtp;
