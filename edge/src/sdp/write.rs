//! Our side's lines, the same for offers and answers.

use std::fmt::{self, Write as _};
use std::net::SocketAddr;

use heliograph_media::{PayloadType, Ssrc};

use super::LocalDescription;
use super::formats::Feedback;
use crate::ice::IceCredentials;

pub(super) const MID_EXTENSION: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
pub(super) const PLAYOUT_DELAY_EXTENSION: &str = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay";
pub(super) const OPUS_FMTP: &str = "minptime=10;useinbandfec=1;stereo=1;sprop-stereo=1";

/// Lines of an SDP. Writing to a `String` cannot fail, so the lines need no error handling of their own.
pub(super) struct Lines(String);

impl Lines {
    pub(super) const fn new() -> Self {
        Self(String::new())
    }

    pub(super) fn line(&mut self, line: fmt::Arguments<'_>) {
        self.0.write_fmt(line).expect("writing to a String cannot fail");
        self.0.push_str("\r\n");
    }

    pub(super) fn finish(self) -> String {
        self.0
    }

    /// The session part. `mids` are the bundled sections.
    pub(super) fn session(&mut self, local: &LocalDescription<'_>, mids: &[&str]) {
        self.line(format_args!("v=0"));
        self.line(format_args!("o=- {} 1 IN IP4 127.0.0.1", session_id(local.ice)));
        self.line(format_args!("s=-"));
        self.line(format_args!("t=0 0"));
        if !mids.is_empty() {
            self.line(format_args!("a=group:BUNDLE {}", mids.join(" ")));
        }
        self.line(format_args!("a=msid-semantic:WMS *"));
        self.line(format_args!("a=ice-lite"));
        self.line(format_args!("a=ice-options:trickle"));
    }

    /// Credentials, candidates and DTLS role of one section. All sections carry them, because any of them may
    /// turn out to be the one that the bundle is built on.
    pub(super) fn transport(&mut self, local: &LocalDescription<'_>, setup: &str) {
        self.credentials(local.ice);
        self.candidates(local.candidates);
        self.line(format_args!("a=fingerprint:{}", local.fingerprint));
        self.line(format_args!("a=setup:{setup}"));
        self.line(format_args!("a=rtcp-mux"));
        self.line(format_args!("a=rtcp-rsize"));
    }

    pub(super) fn credentials(&mut self, ice: &IceCredentials) {
        self.line(format_args!("a=ice-ufrag:{}", ice.ufrag));
        self.line(format_args!("a=ice-pwd:{}", ice.pwd));
    }

    /// Host candidates, best first (RFC 8445 section 5.1.2.1 with distinct local preferences).
    pub(super) fn candidates(&mut self, candidates: &[SocketAddr]) {
        const HOST: u32 = 126 << 24;
        const RTP_COMPONENT: u32 = 256 - 1;
        for (number, address) in (1..=u16::MAX).zip(candidates) {
            let priority = HOST | u32::from(u16::MAX - number) << 8 | RTP_COMPONENT;
            let (ip, port) = (address.ip().to_canonical(), address.port());
            self.line(format_args!("a=candidate:{number} 1 udp {priority} {ip} {port} typ host"));
        }
        self.line(format_args!("a=end-of-candidates"));
    }

    pub(super) fn h264(&mut self, number: PayloadType, profile_level_id: [u8; 3], feedback: Feedback) {
        let number = number.get();
        self.line(format_args!("a=rtpmap:{number} H264/90000"));
        if feedback.nack {
            self.line(format_args!("a=rtcp-fb:{number} nack"));
        }
        if feedback.pli {
            self.line(format_args!("a=rtcp-fb:{number} nack pli"));
        }
        if feedback.fir {
            self.line(format_args!("a=rtcp-fb:{number} ccm fir"));
        }
        if feedback.rrtr {
            self.line(format_args!("a=rtcp-fb:{number} rrtr"));
        }
        let profile = hex::encode(profile_level_id);
        self.line(format_args!(
            "a=fmtp:{number} level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={profile}"
        ));
    }

    pub(super) fn rtx(&mut self, number: PayloadType, of: PayloadType) {
        self.line(format_args!("a=rtpmap:{} rtx/90000", number.get()));
        self.line(format_args!("a=fmtp:{} apt={}", number.get(), of.get()));
    }

    pub(super) fn opus(&mut self, number: PayloadType) {
        let number = number.get();
        self.line(format_args!("a=rtpmap:{number} opus/48000/2"));
        self.line(format_args!("a=fmtp:{number} {OPUS_FMTP}"));
    }

    pub(super) fn extension(&mut self, id: Option<u8>, uri: &str) {
        if let Some(id) = id {
            self.line(format_args!("a=extmap:{id} {uri}"));
        }
    }

    /// The sources of a section. Both sections name one stream and one canonical name, or Chrome does not
    /// synchronise them.
    pub(super) fn sources(
        &mut self,
        local: &LocalDescription<'_>,
        track: &str,
        ssrc: Ssrc,
        rtx_ssrc: Option<Ssrc>,
    ) {
        self.line(format_args!("a=msid:{} {track}", local.msid));
        if let Some(rtx_ssrc) = rtx_ssrc {
            self.line(format_args!("a=ssrc-group:FID {} {}", ssrc.0, rtx_ssrc.0));
        }
        for source in [Some(ssrc), rtx_ssrc].into_iter().flatten() {
            self.line(format_args!("a=ssrc:{} cname:{}", source.0, local.cname));
        }
    }
}

/// A number for the `o=` line: the same for the same credentials, 63 bits (FNV-1a).
fn session_id(ice: &IceCredentials) -> u64 {
    let hash = ice.ufrag.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash >> 1
}
