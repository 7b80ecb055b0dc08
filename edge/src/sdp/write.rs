//! Our side's lines, the same for offers and answers.

use std::fmt::{self, Write as _};
use std::net::SocketAddr;

use heliograph_media::{Codec, PayloadType, Ssrc, video::VideoFormat};

use super::formats::Feedback;
use super::{LocalDescription, LocalTransport};
use crate::ice::IceCredentials;

pub(super) const MID_EXTENSION: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
pub(super) const RID_EXTENSION: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
pub(super) const REPAIRED_RID_EXTENSION: &str = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id";
pub(super) const TRANSPORT_CC_EXTENSION: &str =
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
pub(super) const PLAYOUT_DELAY_EXTENSION: &str = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay";
pub(super) const CAPTURE_TIME_EXTENSION: &str =
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time";
pub(super) const OPUS_FMTP: &str = "minptime=10;useinbandfec=1;stereo=1;sprop-stereo=1";
/// For publishers with one channel: GStreamer breaks off when it is told that two are preferred.
pub(super) const OPUS_MONO_FMTP: &str = "minptime=10;useinbandfec=1";

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
    pub(super) fn session(&mut self, ice: &IceCredentials, mids: &[&str]) {
        self.line(format_args!("v=0"));
        self.line(format_args!("o=- {} 1 IN IP4 127.0.0.1", session_id(ice)));
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
    pub(super) fn transport(&mut self, local: LocalTransport<'_>, setup: &str) {
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

    /// A video format as we offer it.
    pub(super) fn video(&mut self, number: PayloadType, format: VideoFormat, feedback: Feedback) {
        self.video_with(number, format.codec(), parameters(format).as_deref(), feedback);
    }

    /// A video format with parameters of somebody else.
    pub(super) fn video_with(
        &mut self,
        number: PayloadType,
        codec: Codec,
        parameters: Option<&str>,
        feedback: Feedback,
    ) {
        self.line(format_args!("a=rtpmap:{} {}/90000", number.get(), encoding(codec)));
        self.feedback(number, feedback);
        if let Some(parameters) = parameters {
            self.line(format_args!("a=fmtp:{} {parameters}", number.get()));
        }
    }

    pub(super) fn feedback(&mut self, number: PayloadType, feedback: Feedback) {
        let number = number.get();
        if feedback.transport_cc {
            self.line(format_args!("a=rtcp-fb:{number} transport-cc"));
        }
        if feedback.remb {
            self.line(format_args!("a=rtcp-fb:{number} goog-remb"));
        }
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
    }

    pub(super) fn rtx(&mut self, number: PayloadType, of: PayloadType) {
        self.line(format_args!("a=rtpmap:{} rtx/90000", number.get()));
        self.line(format_args!("a=fmtp:{} apt={}", number.get(), of.get()));
    }

    /// Parity packets that mend what was lost up to 10 s ago: what libwebrtc offers itself.
    pub(super) fn flexfec(&mut self, number: PayloadType) {
        let number = number.get();
        self.line(format_args!("a=rtpmap:{number} flexfec-03/90000"));
        self.line(format_args!("a=fmtp:{number} repair-window=10000000"));
    }

    pub(super) fn opus(&mut self, number: PayloadType, parameters: &str) {
        let number = number.get();
        self.line(format_args!("a=rtpmap:{number} opus/48000/2"));
        self.line(format_args!("a=fmtp:{number} {parameters}"));
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
        fec_ssrc: Option<Ssrc>,
    ) {
        self.line(format_args!("a=msid:{} {track}", local.msid));
        if let Some(rtx_ssrc) = rtx_ssrc {
            self.line(format_args!("a=ssrc-group:FID {} {}", ssrc.0, rtx_ssrc.0));
        }
        if let Some(fec_ssrc) = fec_ssrc {
            self.line(format_args!("a=ssrc-group:FEC-FR {} {}", ssrc.0, fec_ssrc.0));
        }
        for source in [Some(ssrc), rtx_ssrc, fec_ssrc].into_iter().flatten() {
            self.line(format_args!("a=ssrc:{} cname:{}", source.0, local.cname));
        }
    }
}

/// The name of a codec in an rtpmap line.
const fn encoding(codec: Codec) -> &'static str {
    match codec {
        Codec::H264 => "H264",
        Codec::H265 => "H265",
        Codec::Vp8 => "VP8",
        Codec::Vp9 => "VP9",
        Codec::Av1 => "AV1",
        Codec::Opus => "opus",
    }
}

/// The format parameters of a video format; VP8 has none that we need.
pub(super) fn parameters(format: VideoFormat) -> Option<String> {
    Some(match format {
        VideoFormat::Vp8 => return None,
        VideoFormat::H264 { profile_level_id } => {
            let profile = hex::encode(profile_level_id);
            format!("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={profile}")
        }
        VideoFormat::H265 { profile, high_tier, level } => {
            let tier = u8::from(high_tier);
            format!("level-id={level};profile-id={profile};tier-flag={tier};tx-mode=SRST")
        }
        VideoFormat::Vp9 { profile } => format!("profile-id={profile}"),
        VideoFormat::Av1 { profile, level, tier } => {
            format!("level-idx={level};profile={profile};tier={tier}")
        }
    })
}

/// A number for the `o=` line: the same for the same credentials, 63 bits (FNV-1a).
fn session_id(ice: &IceCredentials) -> u64 {
    let hash = ice.ufrag.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash >> 1
}
