//! The peer's description, as far as we care.

use std::io::Cursor;

use heliograph_media::MediaKind;
use rtc_sdp::description::common::Attribute;
use rtc_sdp::{MediaDescription, SessionDescription};

use super::formats::{self, Format};
use super::simulcast::Offered;
use super::{MAX_SDP_BYTES, SdpError};
use crate::dtls::Fingerprint;

/// Sections looked at; browsers write as many as they have transceivers.
const MAX_SECTIONS: usize = 32;
/// Fingerprints kept; one certificate has at most a few.
const MAX_FINGERPRINTS: usize = 8;
/// Longest word that is taken over into an answer.
const MAX_WORD: usize = 64;

/// A peer's offer or answer.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) sections: Vec<Section>,
    bundles: Vec<Vec<String>>,
    session: Transport,
    lite: bool,
}

/// One media section.
#[derive(Debug)]
pub(super) struct Section {
    /// `None` for anything that is neither audio nor video over DTLS-SRTP.
    pub(super) kind: Option<MediaKind>,
    /// First word of the m-line.
    pub(super) media: String,
    /// Third word of the m-line.
    pub(super) protocol: String,
    /// First format of the m-line, as written.
    pub(super) first_format: String,
    pub(super) mid: Option<String>,
    /// Port 0 and not merely bundle-only.
    pub(super) rejected: bool,
    /// The peer wants to receive here.
    pub(super) receives: bool,
    /// The peer wants to send here.
    pub(super) sends: bool,
    rtcp_mux: bool,
    pub(super) formats: Vec<Format>,
    /// Layers that the peer wants to send.
    pub(super) layers: Offered,
    /// Header extensions with ids that fit the one-byte form, each id once.
    extensions: Vec<(u8, String)>,
    transport: Transport,
}

#[derive(Debug, Default)]
struct Transport {
    ufrag: Option<String>,
    pwd: Option<String>,
    fingerprints: Vec<Fingerprint>,
    setup: Option<Setup>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Setup {
    Active,
    Passive,
    ActPass,
    Other,
}

/// What the accepted sections share.
#[derive(Debug)]
pub(super) struct Agreed {
    /// The peer waits for our ClientHello.
    pub(super) passive: bool,
    pub(super) ufrag: String,
    pub(super) pwd: String,
    pub(super) fingerprints: Vec<Fingerprint>,
}

impl Remote {
    pub(super) fn parse(sdp: &str) -> Result<Self, SdpError> {
        if sdp.len() > MAX_SDP_BYTES {
            return Err(SdpError::TooLong);
        }
        let description = SessionDescription::unmarshal(&mut Cursor::new(sdp.as_bytes()))
            .map_err(|error| SdpError::Syntax(shortened(&error.to_string())))?;
        if description.media_descriptions.len() > MAX_SECTIONS {
            return Err(SdpError::Syntax("too many media sections".to_owned()));
        }
        let session = &description.attributes;
        let bundles = values(session, "group")
            .filter_map(|group| group.strip_prefix("BUNDLE"))
            .map(|mids| mids.split_whitespace().map(str::to_owned).collect())
            .collect();
        Ok(Self {
            sections: description
                .media_descriptions
                .iter()
                .map(|media| Section::read(media, session))
                .collect::<Result<_, _>>()?,
            bundles,
            session: Transport::read(session),
            lite: flag(session, "ice-lite"),
        })
    }

    /// Checks what WebRTC cannot do without on the sections at `accepted`, and finds their common transport.
    pub(super) fn agree(&self, accepted: &[usize]) -> Result<Agreed, SdpError> {
        if self.lite {
            return Err(SdpError::PeerIsLite);
        }
        let sections = || accepted.iter().map(|index| &self.sections[*index]);
        if !sections().all(|section| section.rtcp_mux) {
            return Err(SdpError::Missing("a=rtcp-mux"));
        }
        if accepted.len() > 1 {
            let bundled = self.bundles.iter().any(|group| {
                sections().all(|section| section.mid.as_ref().is_some_and(|mid| group.contains(mid)))
            });
            if !bundled {
                return Err(SdpError::NotBundled);
            }
        }
        let transports = || sections().map(|section| &section.transport).chain([&self.session]);
        let passive = match transports().find_map(|transport| transport.setup) {
            Some(Setup::Passive) => true,
            Some(Setup::Other) => return Err(SdpError::Missing("a=setup")),
            // Without the attribute the peer connects (RFC 4145 section 4.1 for offers, RFC 5763 for
            // answers).
            Some(Setup::Active | Setup::ActPass) | None => false,
        };
        let ice = transports()
            .find(|transport| transport.ufrag.is_some())
            .ok_or(SdpError::Missing("a=ice-ufrag"))?;
        let fingerprints = transports()
            .map(|transport| &transport.fingerprints)
            .find(|fingerprints| !fingerprints.is_empty())
            .ok_or(SdpError::Missing("a=fingerprint with sha-256 or better"))?;
        Ok(Agreed {
            passive,
            ufrag: ice.ufrag.clone().ok_or(SdpError::Missing("a=ice-ufrag"))?,
            pwd: ice.pwd.clone().ok_or(SdpError::Missing("a=ice-pwd"))?,
            fingerprints: fingerprints.clone(),
        })
    }
}

impl Section {
    fn read(media: &MediaDescription, session: &[Attribute]) -> Result<Self, SdpError> {
        let attributes = &media.attributes;
        let name = &media.media_name;
        let protocol = name.protos.join("/");
        let over_srtp = matches!(
            protocol.as_str(),
            "UDP/TLS/RTP/SAVPF"
                | "UDP/TLS/RTP/SAVP"
                | "RTP/SAVPF"
                | "TCP/TLS/RTP/SAVPF"
                | "TCP/DTLS/RTP/SAVPF"
        );
        let kind = match name.media.as_str() {
            "video" if over_srtp => Some(MediaKind::Video),
            "audio" if over_srtp => Some(MediaKind::Audio),
            _ => None,
        };
        let first_format = name.formats.first().map_or("0", String::as_str);
        // These words go back to the peer in an answer.
        if ![&name.media, first_format].into_iter().chain(protocol.split('/')).all(is_short_token) {
            return Err(SdpError::Syntax("m=".to_owned()));
        }
        let mid = values(attributes, "mid").next();
        if !mid.is_none_or(is_short_token) {
            return Err(SdpError::Syntax("a=mid".to_owned()));
        }
        let direction = |attributes: &[Attribute]| {
            ["sendrecv", "recvonly", "sendonly", "inactive"].into_iter().find(|key| flag(attributes, key))
        };
        let direction = direction(attributes).or_else(|| direction(session)).unwrap_or("sendrecv");
        Ok(Self {
            kind,
            media: name.media.clone(),
            first_format: first_format.to_owned(),
            protocol,
            mid: mid.map(str::to_owned),
            rejected: name.port.value == 0 && !flag(attributes, "bundle-only"),
            receives: matches!(direction, "sendrecv" | "recvonly"),
            sends: matches!(direction, "sendrecv" | "sendonly"),
            rtcp_mux: flag(attributes, "rtcp-mux"),
            formats: formats::read(media),
            layers: Offered::read(values(attributes, "simulcast"), values(attributes, "rid")),
            extensions: extensions(values(attributes, "extmap").chain(values(session, "extmap"))),
            transport: Transport::read(attributes),
        })
    }

    /// The id of a header extension, 1 to 14.
    pub(super) fn extension(&self, uri: &str) -> Option<u8> {
        self.extensions.iter().find(|(_, known)| known == uri).map(|(id, _)| *id)
    }
}

impl Transport {
    fn read(attributes: &[Attribute]) -> Self {
        Self {
            ufrag: values(attributes, "ice-ufrag").find(|text| is_ice(text, 4)).map(str::to_owned),
            pwd: values(attributes, "ice-pwd").find(|text| is_ice(text, 22)).map(str::to_owned),
            fingerprints: values(attributes, "fingerprint")
                .filter_map(|text| text.parse().ok())
                .take(MAX_FINGERPRINTS)
                .collect(),
            setup: values(attributes, "setup").next().map(|text| match text {
                "active" => Setup::Active,
                "passive" => Setup::Passive,
                "actpass" => Setup::ActPass,
                _ => Setup::Other,
            }),
        }
    }
}

/// ICE's own alphabet and lengths (RFC 8839 section 5.4).
pub(super) fn is_ice(text: &str, shortest: usize) -> bool {
    (shortest..=256).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/')
}

fn is_short_token(word: &str) -> bool {
    (1..=MAX_WORD).contains(&word.len()) && word.bytes().all(is_token_char)
}

/// Characters of a token (RFC 8866 section 9).
pub(super) const fn is_token_char(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x27 | 0x2a | 0x2b | 0x2d | 0x2e | 0x30..=0x39 | 0x41..=0x5a | 0x5e..=0x7e)
}

/// The first extension of each id: a second one under the same id would be written into packets as the first.
fn extensions<'a>(values: impl Iterator<Item = &'a str>) -> Vec<(u8, String)> {
    let mut extensions: Vec<(u8, String)> = Vec::new();
    for (id, uri) in values.filter_map(extension) {
        if extensions.iter().all(|(known, _)| *known != id) {
            extensions.push((id, uri));
        }
    }
    extensions
}

/// `id[/direction] uri [parameters]` (RFC 8285 section 8).
fn extension(text: &str) -> Option<(u8, String)> {
    let mut words = text.split_whitespace();
    let id = words.next()?.split('/').next()?.parse().ok().filter(|id| (1..=14).contains(id))?;
    Some((id, words.next()?.to_owned()))
}

fn values<'a>(attributes: &'a [Attribute], key: &'a str) -> impl Iterator<Item = &'a str> {
    attributes
        .iter()
        .filter(move |attribute| attribute.key == key)
        .filter_map(|a| a.value.as_deref())
        .map(str::trim)
}

fn flag(attributes: &[Attribute], key: &str) -> bool {
    attributes.iter().any(|attribute| attribute.key == key)
}

/// Parser errors quote their input; a peer's line must not fill our logs.
fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_go_back_to_the_peer_are_tokens() {
        let read = |media: &str| {
            let remote =
                Remote::parse(&format!("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n{media}\r\n"));
            remote.map(|remote| remote.sections.len())
        };
        assert_eq!(read("m=application 9 UDP/DTLS/SCTP webrtc-datachannel"), Ok(1));
        for media in [
            "m=video 9 UDP/TLS/RTP/SAVPF \0",
            "m=application 9 UDP/DTLS/SCTP web\u{7f}rtc",
            "m=application 9 UDP/DTLS/SCTP web\u{e9}",
            &format!("m=application 9 UDP/DTLS/SCTP {}", "x".repeat(65)),
        ] {
            assert_eq!(read(media), Err(SdpError::Syntax("m=".to_owned())), "{media:?}");
        }
    }

    #[test]
    fn one_extension_for_each_id() {
        let values = ["1 urn:a", "2/sendrecv urn:b x=y", "1 urn:c", "15 urn:d", "0 urn:e", "x urn:f", "3"];
        let expected = [(1, "urn:a".to_owned()), (2, "urn:b".to_owned())];
        assert_eq!(extensions(values.into_iter()), expected);
    }
}
