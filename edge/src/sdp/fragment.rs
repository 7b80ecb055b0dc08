//! Trickled candidates and ICE restarts (RFC 8840, RFC 9725 section 4.3).

use std::net::SocketAddr;

use heliograph_media::PayloadType;

use super::remote::{is_ice, is_token_char};
use super::write::Lines;
use super::{Incoming, MAX_SDP_BYTES, Negotiated, SdpError};
use crate::ice::IceCredentials;

/// What a trickle fragment said. Candidates were checked for shape and are never contacted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fragment {
    /// New ICE user name fragment: with another than before, an ICE restart.
    pub ufrag: Option<String>,
    /// New ICE password.
    pub pwd: Option<String>,
    /// How many candidates there were.
    pub candidates: usize,
    /// The peer has no more.
    pub end_of_candidates: bool,
}

/// Reads an `application/trickle-ice-sdpfrag` body.
///
/// # Errors
/// `TooLong` or `Syntax`.
pub fn parse_candidate_fragment(fragment: &str) -> Result<Fragment, SdpError> {
    if fragment.len() > MAX_SDP_BYTES {
        return Err(SdpError::TooLong);
    }
    let syntax = |what: &str| SdpError::Syntax(what.to_owned());
    let mut read = Fragment::default();
    for line in fragment.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        let (kind, value) = line.split_once('=').ok_or_else(|| syntax("a line without ="))?;
        if kind.len() != 1 {
            return Err(syntax("a line that is not SDP"));
        }
        if kind != "a" {
            continue;
        }
        if value.starts_with("candidate:") {
            if !is_candidate(value) {
                return Err(syntax("a=candidate"));
            }
            read.candidates += 1;
        } else if let Some(ufrag) = value.strip_prefix("ice-ufrag:") {
            read.ufrag = Some(ice(ufrag, 4).ok_or_else(|| syntax("a=ice-ufrag"))?);
        } else if let Some(pwd) = value.strip_prefix("ice-pwd:") {
            read.pwd = Some(ice(pwd, 22).ok_or_else(|| syntax("a=ice-pwd"))?);
        } else if value == "end-of-candidates" {
            read.end_of_candidates = true;
        }
    }
    Ok(read)
}

fn ice(text: &str, shortest: usize) -> Option<String> {
    is_ice(text, shortest).then(|| text.to_owned())
}

/// Whether this is the `candidate` string of a trickled candidate, with or without `a=` (RFC 8839 section
/// 5.1). Empty means end of candidates. The address may be any word: it is never resolved.
pub fn is_candidate(candidate: &str) -> bool {
    if candidate.is_empty() {
        return true;
    }
    if candidate.len() > MAX_CANDIDATE {
        return false;
    }
    let Some(fields) = candidate.strip_prefix("a=").unwrap_or(candidate).strip_prefix("candidate:") else {
        return false;
    };
    let number = |text: &str, digits| {
        (1..=digits).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let mut words = fields.split(' ').filter(|word| !word.is_empty());
    let mut next = || words.next().unwrap_or("");
    is_ice(next(), 1)
        && number(next(), 3)
        && token(next())
        && number(next(), 10)
        && !next().is_empty()
        && next().parse::<u16>().is_ok()
        && next() == "typ"
        && token(next())
}

const MAX_CANDIDATE: usize = 1024;

fn token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_char)
}

/// The body that answers an ICE restart: our new credentials and the same candidates, for the bundle's first
/// section.
pub fn restart_fragment(ice: &IceCredentials, candidates: &[SocketAddr], negotiated: &Negotiated) -> String {
    let tracks = [("video", &negotiated.video), ("audio", &negotiated.audio)];
    let first = tracks.into_iter().find_map(|(media, track)| {
        let track = track.as_ref()?;
        Some((media, track.payload_type, track.mid.as_deref()))
    });
    write_restart(ice, candidates, first)
}

/// The same towards a publisher.
pub fn receive_restart_fragment(
    ice: &IceCredentials,
    candidates: &[SocketAddr],
    incoming: &Incoming,
) -> String {
    let tracks = [("video", &incoming.video), ("audio", &incoming.audio)];
    let first = tracks.into_iter().find_map(|(media, track)| {
        let track = track.as_ref()?;
        Some((media, track.payload_type, track.mid.as_deref()))
    });
    write_restart(ice, candidates, first)
}

fn write_restart(
    ice: &IceCredentials,
    candidates: &[SocketAddr],
    section: Option<(&str, PayloadType, Option<&str>)>,
) -> String {
    let mut lines = Lines::new();
    lines.line(format_args!("a=ice-lite"));
    lines.line(format_args!("a=ice-options:trickle"));
    lines.credentials(ice);
    if let Some((media, payload_type, mid)) = section {
        lines.line(format_args!("m={media} 9 UDP/TLS/RTP/SAVPF {}", payload_type.get()));
        if let Some(mid) = mid {
            lines.line(format_args!("a=mid:{mid}"));
        }
        lines.candidates(candidates);
    }
    lines.finish()
}
