//! The viewer offers (WHEP), we answer.

use heliograph_media::{MediaKind, video::VideoFormat};

use super::formats::{Feedback, Format};
use super::offer::{choose, media_word, negotiated};
use super::remote::{Remote, Section};
use super::write::{
    CAPTURE_TIME_EXTENSION, Lines, MID_EXTENSION, OPUS_FMTP, PLAYOUT_DELAY_EXTENSION, TRANSPORT_CC_EXTENSION,
};
use super::{LocalDescription, Negotiated, NegotiatedTrack, SdpError};

/// Answers a viewer's offer: same m-lines and mids in the same order, what we cannot serve on port 0.
///
/// The first section of each kind that can carry the stream gets it.
///
/// # Errors
/// See [`SdpError`].
pub fn answer(offer: &str, local: &LocalDescription<'_>) -> Result<(String, Negotiated), SdpError> {
    let remote = Remote::parse(offer)?;
    let mut accepted = Vec::new();
    let mut tracks: Vec<(MediaKind, NegotiatedTrack)> = Vec::new();
    let mut wanted = Vec::new();
    for (index, section) in remote.sections.iter().enumerate() {
        let Some(kind) = section.kind.filter(|_| !section.rejected && section.receives) else { continue };
        wanted.push(kind);
        if tracks.iter().any(|(served, _)| *served == kind) {
            continue;
        }
        if let Some(track) = choose(section, local) {
            accepted.push(index);
            tracks.push((kind, track));
        }
    }
    let has = [(MediaKind::Video, local.video.is_some()), (MediaKind::Audio, local.audio.is_some())];
    let missing = has
        .into_iter()
        .filter(|(kind, has)| {
            *has && wanted.contains(kind) && !tracks.iter().any(|(served, _)| served == kind)
        })
        .map(|(kind, _)| kind)
        .collect();
    let text = write(&remote, &accepted, &tracks, local);
    Ok((text, negotiated(&remote, &accepted, tracks, missing)?))
}

fn write(
    remote: &Remote,
    accepted: &[usize],
    tracks: &[(MediaKind, NegotiatedTrack)],
    local: &LocalDescription<'_>,
) -> String {
    let mut lines = Lines::new();
    let mids: Vec<&str> =
        accepted.iter().filter_map(|index| remote.sections[*index].mid.as_deref()).collect();
    lines.session(local.ice, &mids);
    for (index, section) in remote.sections.iter().enumerate() {
        match accepted.iter().position(|at| *at == index) {
            Some(at) => write_accepted(&mut lines, section, &tracks[at], local),
            None => write_rejected(&mut lines, section),
        }
    }
    lines.finish()
}

fn write_accepted(
    lines: &mut Lines,
    section: &Section,
    (kind, track): &(MediaKind, NegotiatedTrack),
    local: &LocalDescription<'_>,
) {
    let number = track.payload_type.get();
    let rtx = track.rtx_payload_type.map(|rtx| format!(" {}", rtx.get())).unwrap_or_default();
    let fec = track.fec.map(|fec| format!(" {}", fec.payload_type.get())).unwrap_or_default();
    lines.line(format_args!("m={} 9 {} {number}{rtx}{fec}", media_word(*kind), section.protocol));
    lines.line(format_args!("c=IN IP4 0.0.0.0"));
    lines.transport(local.transport(), "passive");
    if let Some(mid) = &section.mid {
        lines.line(format_args!("a=mid:{mid}"));
    }
    lines.extension(track.mid_ext, MID_EXTENSION);
    lines.extension(track.playout_delay_ext, PLAYOUT_DELAY_EXTENSION);
    lines.extension(track.transport_cc_ext, TRANSPORT_CC_EXTENSION);
    lines.extension(track.capture_time_ext, CAPTURE_TIME_EXTENSION);
    lines.line(format_args!("a=sendonly"));
    let format = section.formats.iter().find(|format| format.payload_type == track.payload_type);
    let feedback = format.map_or_else(Feedback::default, |format| {
        // Only what we do for a viewer.
        Feedback { transport_cc: track.transport_cc_ext.is_some(), remb: false, ..format.feedback }
    });
    match (kind, local.video.map(|video| video.format), track.profile_level_id) {
        (MediaKind::Video, _, Some(profile_level_id)) => {
            lines.video(track.payload_type, VideoFormat::H264 { profile_level_id }, feedback);
        }
        (MediaKind::Video, Some(ours), None) => {
            let theirs = format.and_then(Format::echo);
            lines.video_with(track.payload_type, ours.codec(), theirs, feedback);
        }
        _ => lines.opus(track.payload_type, OPUS_FMTP),
    }
    if let Some(rtx) = track.rtx_payload_type {
        lines.rtx(rtx, track.payload_type);
    }
    if let Some(fec) = track.fec {
        lines.flexfec(fec.payload_type);
    }
    lines.sources(local, media_word(*kind), track.ssrc, track.rtx_ssrc, track.fec.map(|fec| fec.ssrc));
}

/// RFC 8829 section 5.3.1: the same m-line on port 0. One format stands for all; Chrome wants its rtpmap.
pub(super) fn write_rejected(lines: &mut Lines, section: &Section) {
    lines.line(format_args!("m={} 0 {} {}", section.media, section.protocol, section.first_format));
    lines.line(format_args!("c=IN IP4 0.0.0.0"));
    if let Some(mid) = &section.mid {
        lines.line(format_args!("a=mid:{mid}"));
    }
    lines.line(format_args!("a=inactive"));
    let first =
        section.formats.first().filter(|format| section.kind.is_some() && !format.encoding.is_empty());
    if let Some(format) = first {
        let channels = if format.channels > 1 { format!("/{}", format.channels) } else { String::new() };
        lines.line(format_args!(
            "a=rtpmap:{} {}/{}{channels}",
            format.payload_type.get(),
            format.encoding,
            format.clock_rate
        ));
    }
}
