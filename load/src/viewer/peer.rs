//! The WebRTC side of a viewer: a foreign implementation (`str0m`), set up as browsers are.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Instant,
};

use str0m::{
    Candidate, Rtc, RtcConfig,
    change::{SdpAnswer, SdpOffer, SdpPendingOffer},
    config::{CryptoProvider, DtlsCert},
    media::{Direction, MediaKind},
    rtp::Extension,
};

use crate::{error::JoinError, watched::Medium};

/// Number of the playout-delay extension in our offers: one that `str0m` leaves free.
const PLAYOUT_DELAY: u8 = 5;

/// What all viewers share: one certificate, so that none of them pays for making its own. Each handshake is a whole one
/// all the same.
#[derive(Debug, Clone)]
pub(crate) struct PeerFactory {
    provider: Arc<CryptoProvider>,
    certificate: DtlsCert,
}

impl PeerFactory {
    pub(crate) fn new() -> Result<Self, JoinError> {
        static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
        let provider = PROVIDER.get_or_init(|| Arc::new(str0m::crypto::from_feature_flags()));
        let certificate = provider.dtls_provider.generate_certificate().ok_or(JoinError::NoCertificate)?;
        Ok(Self { provider: Arc::clone(provider), certificate })
    }

    fn build(&self, local: SocketAddr) -> Result<Rtc, JoinError> {
        let mut rtc = RtcConfig::new()
            .set_crypto_provider(Arc::clone(&self.provider))
            .set_dtls_cert(self.certificate.clone())
            .set_rtp_mode(true)
            .clear_codecs()
            .enable_h264(true)
            .enable_opus(true, false)
            .set_extension(PLAYOUT_DELAY, Extension::PlayoutDelay)
            .build(Instant::now());
        let candidate = Candidate::host(local, "udp").map_err(JoinError::peer)?;
        rtc.add_local_candidate(candidate);
        Ok(rtc)
    }

    /// We offer, as WHEP wants it.
    pub(crate) fn offer(&self, local: SocketAddr) -> Result<Offered, JoinError> {
        let mut rtc = self.build(local)?;
        let mut api = rtc.sdp_api();
        api.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
        api.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
        let (offer, pending) = api.apply().ok_or(JoinError::NothingOffered)?;
        Ok(Offered { rtc, pending, sdp: offer.to_sdp_string() })
    }

    /// The server offers, as on its WebSocket; returns what to answer.
    pub(crate) fn answer(&self, local: SocketAddr, offer: &str) -> Result<(Peer, String), JoinError> {
        let formats = Formats::read(offer);
        // str0m answers actpass with passive, always, where browsers answer active: it must be told.
        let offer = offer.replace("a=setup:actpass", "a=setup:passive");
        let offer = SdpOffer::from_sdp_string(&offer).map_err(JoinError::peer)?;
        let mut rtc = self.build(local)?;
        let answer = rtc.sdp_api().accept_offer(offer).map_err(JoinError::peer)?;
        Ok((Peer { rtc, formats }, answer.to_sdp_string()))
    }
}

/// An offer of ours that waits for its answer.
pub(crate) struct Offered {
    rtc: Rtc,
    pending: SdpPendingOffer,
    pub(crate) sdp: String,
}

impl Offered {
    /// Takes the server's answer.
    pub(crate) fn accept(mut self, answer: &str) -> Result<Peer, JoinError> {
        let formats = Formats::read(answer);
        let answer = SdpAnswer::from_sdp_string(answer).map_err(JoinError::peer)?;
        self.rtc.sdp_api().accept_answer(self.pending, answer).map_err(JoinError::peer)?;
        Ok(Peer { rtc: self.rtc, formats })
    }
}

/// A peer connection that has signaled.
pub(crate) struct Peer {
    pub(crate) rtc: Rtc,
    pub(crate) formats: Formats,
}

/// What a payload type stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Media(Medium),
    /// Retransmissions (RFC 4588).
    Rtx,
    Unknown,
}

/// All payload types of a session.
#[derive(Debug, Clone)]
pub(crate) struct Formats([Format; 128]);

impl Formats {
    /// Reads the `rtpmap` lines of a session description.
    fn read(sdp: &str) -> Self {
        let mut formats = [Format::Unknown; 128];
        let mut medium = None;
        for line in sdp.lines() {
            if let Some(media) = line.strip_prefix("m=") {
                medium = match media.split_whitespace().next() {
                    Some("video") => Some(Medium::Video),
                    Some("audio") => Some(Medium::Audio),
                    _ => None,
                };
            }
            let Some((payload_type, codec)) =
                line.strip_prefix("a=rtpmap:").and_then(|map| map.trim_end().split_once(' '))
            else {
                continue;
            };
            let slot = payload_type.parse().ok().and_then(|number: usize| formats.get_mut(number));
            if let (Some(medium), Some(slot)) = (medium, slot) {
                let is_rtx = codec.split('/').next().is_some_and(|name| name.eq_ignore_ascii_case("rtx"));
                *slot = if is_rtx { Format::Rtx } else { Format::Media(medium) };
            }
        }
        Self(formats)
    }

    #[inline]
    pub(crate) fn of(&self, payload_type: u8) -> Format {
        self.0[usize::from(payload_type & 0x7f)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_types_are_read_by_section() {
        let sdp = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n\
            m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\na=rtpmap:96 H264/90000\r\na=rtpmap:97 rtx/90000\r\n\
            m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=rtpmap:98 x/1\r\na=rtpmap:999 y/1\r\n";
        let formats = Formats::read(sdp);
        for (payload_type, format) in [
            (111, Format::Media(Medium::Audio)),
            (96, Format::Media(Medium::Video)),
            (97, Format::Rtx),
            (98, Format::Unknown),
            (0, Format::Unknown),
        ] {
            assert_eq!(formats.of(payload_type), format, "{payload_type}");
        }
    }

    #[test]
    fn an_offer_wants_sound_and_picture() {
        let factory = PeerFactory::new().expect("a certificate");
        let offered = factory.offer("127.0.0.1:4000".parse().expect("an address")).expect("an offer");
        for line in ["m=audio", "m=video", "a=recvonly", "playout-delay", "127.0.0.1 4000", "H264/90000"] {
            assert!(offered.sdp.contains(line), "{line} in {}", offered.sdp);
        }
    }
}
