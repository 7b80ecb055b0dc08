//! Offers and answers (RFC 8829, RFC 8866): for viewers, who receive, and for publishers, who send.
//!
//! One transport for everything (BUNDLE, rtcp-mux), we are ICE-lite and the DTLS server. `rtc-sdp` reads the
//! lines; what they mean is decided here. Candidates of the peer are never looked at.

mod answer;
mod formats;
mod fragment;
mod h264;
mod offer;
mod receive;
#[cfg(test)]
mod receive_tests;
mod remote;
mod simulcast;
#[cfg(test)]
mod tests;
mod write;

use std::net::SocketAddr;

use heliograph_media::{MediaKind, PayloadType, Ssrc, video::VideoFormat};

pub use answer::answer;
pub use fragment::{
    Fragment, is_candidate, parse_candidate_fragment, receive_restart_fragment, restart_fragment,
};
pub use offer::{offer, parse_answer};
pub use receive::{Incoming, IncomingTrack, receive};
pub use simulcast::{MAX_LAYERS, Simulcast};

use crate::dtls::Fingerprint;
use crate::ice::IceCredentials;

/// Longest SDP that is looked at, in bytes.
pub const MAX_SDP_BYTES: usize = 64 * 1024;

/// What our side is and sends; the same for offers and for answers.
#[derive(Clone, Copy, Debug)]
pub struct LocalDescription<'a> {
    /// Our ICE credentials.
    pub ice: &'a IceCredentials,
    /// Our certificate's fingerprint.
    pub fingerprint: &'a Fingerprint,
    /// Where we can be reached, best first (UDP host candidates).
    pub candidates: &'a [SocketAddr],
    /// One canonical name for both media, or Chrome does not synchronise them.
    pub cname: &'a str,
    /// One stream id for both media, for the same reason.
    pub msid: &'a str,
    /// The stream's video, if it has any.
    pub video: Option<VideoSource>,
    /// The stream's audio, if it has any.
    pub audio: Option<AudioSource>,
}

/// Where and as whom we can be reached: what every description of ours says.
#[derive(Clone, Copy, Debug)]
pub struct LocalTransport<'a> {
    /// Our ICE credentials.
    pub ice: &'a IceCredentials,
    /// Our certificate's fingerprint.
    pub fingerprint: &'a Fingerprint,
    /// Where we can be reached, best first (UDP host candidates).
    pub candidates: &'a [SocketAddr],
}

impl<'a> LocalDescription<'a> {
    const fn transport(&self) -> LocalTransport<'a> {
        LocalTransport { ice: self.ice, fingerprint: self.fingerprint, candidates: self.candidates }
    }
}

/// The video we send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoSource {
    /// What the stream is.
    pub format: VideoFormat,
    /// Source of the media packets.
    pub ssrc: Ssrc,
    /// Source of the retransmissions (RFC 4588).
    pub rtx_ssrc: Ssrc,
    /// Source of the parity packets (draft-ietf-payload-flexible-fec-scheme-03).
    pub fec_ssrc: Ssrc,
}

/// The audio we send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioSource {
    /// Source of the media packets.
    pub ssrc: Ssrc,
}

/// What both sides agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// The peer's ICE user name fragment.
    pub remote_ufrag: String,
    /// The peer's ICE password (never used by ICE-lite).
    pub remote_pwd: String,
    /// What the peer's certificate may look like; never empty.
    pub fingerprints: Vec<Fingerprint>,
    /// The video the viewer takes.
    pub video: Option<NegotiatedTrack>,
    /// The audio the viewer takes.
    pub audio: Option<NegotiatedTrack>,
    /// What the stream has and the viewer cannot decode.
    pub missing: Vec<MediaKind>,
}

/// One track as the viewer wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NegotiatedTrack {
    /// The m-line's id, if it has one.
    pub mid: Option<String>,
    /// The payload type that carries the stream.
    pub payload_type: PayloadType,
    /// The payload type of retransmissions; `None`: the original packet is sent again.
    pub rtx_payload_type: Option<PayloadType>,
    /// Profile of the chosen payload type, for H.264.
    pub profile_level_id: Option<[u8; 3]>,
    /// The viewer sends NACKs.
    pub nack: bool,
    /// Id of the playout-delay header extension (1 to 14).
    pub playout_delay_ext: Option<u8>,
    /// Id of the header extension that tells when something was captured (abs-capture-time, 1 to 14); of video only with
    /// retransmissions.
    pub capture_time_ext: Option<u8>,
    /// Id of the mid header extension (1 to 14).
    pub mid_ext: Option<u8>,
    /// Id of the header extension under which the viewer tells when packets came (transport-wide feedback, 1 to 14); of
    /// video only.
    pub transport_cc_ext: Option<u8>,
    /// Source of the media packets, as we announced it.
    pub ssrc: Ssrc,
    /// Source of the retransmissions; present exactly when `rtx_payload_type` is.
    pub rtx_ssrc: Option<Ssrc>,
    /// Under which the viewer takes parity packets; of video only.
    pub fec: Option<NegotiatedFec>,
}

/// Forward error correction as the viewer takes it (FlexFEC-03: draft-ietf-payload-flexible-fec-scheme-03).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NegotiatedFec {
    /// The payload type of parity packets.
    pub payload_type: PayloadType,
    /// Their source, as we announced it.
    pub ssrc: Ssrc,
}

/// Why an SDP was refused. The text is fit for the peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// Longer than [`MAX_SDP_BYTES`].
    #[error("SDP is longer than 64 KiB")]
    TooLong,
    /// Not SDP.
    #[error("not a valid SDP: {0}")]
    Syntax(String),
    /// Something WebRTC cannot do without.
    #[error("the SDP has no usable {0}")]
    Missing(&'static str),
    /// An answer whose m-lines are not those of the offer.
    #[error("the answer's media sections are not those of the offer")]
    WrongMedia,
    /// The peer wants to be the DTLS server; that is always us.
    #[error("the peer insists on setup:passive, and so do we")]
    PeerIsPassive,
    /// Both sides ICE-lite: nobody would check.
    #[error("both sides are ICE-lite")]
    PeerIsLite,
    /// The peer wants several transports.
    #[error("the media sections are not bundled")]
    NotBundled,
    /// The peer takes nothing that the stream has, or sends nothing that we take.
    #[error("no media in common")]
    NothingInCommon {
        /// What could not be agreed on.
        missing: Vec<MediaKind>,
    },
}
