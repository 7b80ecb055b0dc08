//! We offer, the viewer answers.

use heliograph_media::{MediaKind, PayloadType, Ssrc, video::VideoFormat};

use super::formats::{Feedback, Format};
use super::remote::{Remote, Section};
use super::write::{
    CAPTURE_TIME_EXTENSION, Lines, MID_EXTENSION, OPUS_FMTP, PLAYOUT_DELAY_EXTENSION, TRANSPORT_CC_EXTENSION,
    parameters,
};
use super::{LocalDescription, Negotiated, NegotiatedFec, NegotiatedTrack, SdpError, VideoSource, h264};

const VIDEO_MID: &str = "0";
const AUDIO_MID: &str = "1";

/// Payload types of the offer. Chrome's own numbers, so that nothing collides when a page mixes descriptions.
const BASELINE_PT: u8 = 102;
const STREAM_PT: u8 = 104;
const OPUS_PT: u8 = 111;
const FLEXFEC_PT: u8 = 118;
const MID_ID: u8 = 1;
const PLAYOUT_DELAY_ID: u8 = 2;
const TRANSPORT_CC_ID: u8 = 3;
const CAPTURE_TIME_ID: u8 = 4;

/// Our offer: what the stream has, sendonly, all candidates inside.
pub fn offer(local: &LocalDescription<'_>) -> String {
    let mut lines = Lines::new();
    let mids: Vec<&str> = sections(local).map(mid_of).collect();
    lines.session(local.ice, &mids);
    if let Some(video) = &local.video {
        let formats = video_formats(video);
        let numbers: Vec<String> = formats
            .iter()
            .flat_map(|(pt, _)| [*pt, rtx_of(*pt)])
            .chain([payload_type(FLEXFEC_PT)])
            .map(|number| number.get().to_string())
            .collect();
        begin(&mut lines, local, MediaKind::Video, &numbers.join(" "));
        for (payload_type, format) in &formats {
            let feedback =
                Feedback { nack: true, pli: true, fir: true, rrtr: true, transport_cc: true, remb: false };
            lines.video(*payload_type, *format, feedback);
            lines.rtx(rtx_of(*payload_type), *payload_type);
        }
        lines.flexfec(payload_type(FLEXFEC_PT));
        lines.sources(local, "video", video.ssrc, Some(video.rtx_ssrc), Some(video.fec_ssrc));
    }
    if let Some(audio) = &local.audio {
        begin(&mut lines, local, MediaKind::Audio, &OPUS_PT.to_string());
        lines.opus(payload_type(OPUS_PT), OPUS_FMTP);
        lines.sources(local, "audio", audio.ssrc, None, None);
    }
    lines.finish()
}

fn begin(lines: &mut Lines, local: &LocalDescription<'_>, kind: MediaKind, formats: &str) {
    let media = media_word(kind);
    lines.line(format_args!("m={media} 9 UDP/TLS/RTP/SAVPF {formats}"));
    lines.line(format_args!("c=IN IP4 0.0.0.0"));
    lines.transport(local.transport(), "actpass");
    lines.line(format_args!("a=mid:{}", mid_of(kind)));
    lines.extension(Some(MID_ID), MID_EXTENSION);
    lines.extension(Some(PLAYOUT_DELAY_ID), PLAYOUT_DELAY_EXTENSION);
    if kind == MediaKind::Video {
        lines.extension(Some(TRANSPORT_CC_ID), TRANSPORT_CC_EXTENSION);
    }
    lines.extension(Some(CAPTURE_TIME_ID), CAPTURE_TIME_EXTENSION);
    lines.line(format_args!("a=sendonly"));
}

/// Reads the answer to an offer made from `sent`.
///
/// # Errors
/// See [`SdpError`].
pub fn parse_answer(answer: &str, sent: &LocalDescription<'_>) -> Result<Negotiated, SdpError> {
    let mut remote = Remote::parse(answer)?;
    let kinds: Vec<MediaKind> = sections(sent).collect();
    if remote.sections.len() != kinds.len() {
        return Err(SdpError::WrongMedia);
    }
    let mut accepted = Vec::new();
    let mut tracks = Vec::new();
    let mut missing = Vec::new();
    for (index, (section, kind)) in remote.sections.iter_mut().zip(&kinds).enumerate() {
        let same_mid = section.mid.as_deref().is_none_or(|mid| mid == mid_of(*kind));
        if section.media != media_word(*kind) || !same_mid {
            return Err(SdpError::WrongMedia);
        }
        if section.kind.is_none() || section.rejected {
            missing.push(*kind);
            continue;
        }
        if !section.receives {
            continue;
        }
        if let Some(video) = &sent.video {
            restore_parameters(section, video);
        }
        match choose(section, sent) {
            Some(track) => {
                accepted.push(index);
                tracks.push((*kind, track));
            }
            None => missing.push(*kind),
        }
    }
    negotiated(&remote, &accepted, tracks, missing)
}

/// Some small clients answer without fmtp; the number is then one of ours, and means what we said.
fn restore_parameters(section: &mut Section, video: &VideoSource) {
    for (payload_type, ours) in video_formats(video) {
        for format in &mut section.formats {
            if format.payload_type == payload_type && format.fmtp.is_none() {
                format.fmtp = parameters(ours);
            }
        }
    }
}

/// Picks the payload types of a section that the peer wants to receive.
pub(super) fn choose(section: &Section, local: &LocalDescription<'_>) -> Option<NegotiatedTrack> {
    match section.kind? {
        MediaKind::Video => {
            let video = local.video.as_ref()?;
            let (format, profile_level_id) = match video.format {
                VideoFormat::H264 { profile_level_id } => {
                    let formats = section.formats.iter().filter_map(|format| Some((format, format.h264()?)));
                    let (format, parameters) = h264::choose(profile_level_id, &formats)?;
                    (format, Some(parameters.profile_level_id))
                }
                other => (section.formats.iter().find(|format| format.carries(other))?, None),
            };
            let rtx = section.formats.iter().find(|rtx| rtx.retransmits() == Some(format.payload_type));
            let mut track = track(section, format, video.ssrc);
            track.profile_level_id = profile_level_id;
            track.rtx_payload_type = rtx.map(|rtx| rtx.payload_type);
            track.rtx_ssrc = rtx.map(|_| video.rtx_ssrc);
            // Without RTX a packet is sent again as it was, to the last byte, and nobody remembers which ones carried these.
            let tells = format.feedback.transport_cc && rtx.is_some();
            track.transport_cc_ext = section.extension(TRANSPORT_CC_EXTENSION).filter(|_| tells);
            track.capture_time_ext = track.capture_time_ext.filter(|_| rtx.is_some());
            let fec = section.formats.iter().find(|format| format.is_flexfec());
            track.fec = fec.map(|fec| NegotiatedFec { payload_type: fec.payload_type, ssrc: video.fec_ssrc });
            Some(track)
        }
        MediaKind::Audio => {
            let audio = local.audio.as_ref()?;
            let format = section.formats.iter().find(|format| format.is_opus())?;
            Some(track(section, format, audio.ssrc))
        }
    }
}

fn track(section: &Section, format: &Format, ssrc: Ssrc) -> NegotiatedTrack {
    NegotiatedTrack {
        mid: section.mid.clone(),
        payload_type: format.payload_type,
        rtx_payload_type: None,
        profile_level_id: None,
        nack: format.feedback.nack,
        playout_delay_ext: section.extension(PLAYOUT_DELAY_EXTENSION),
        capture_time_ext: section.extension(CAPTURE_TIME_EXTENSION),
        transport_cc_ext: None,
        mid_ext: section.extension(MID_EXTENSION),
        ssrc,
        rtx_ssrc: None,
        fec: None,
    }
}

pub(super) fn negotiated(
    remote: &Remote,
    accepted: &[usize],
    tracks: Vec<(MediaKind, NegotiatedTrack)>,
    missing: Vec<MediaKind>,
) -> Result<Negotiated, SdpError> {
    if accepted.is_empty() {
        return Err(SdpError::NothingInCommon { missing });
    }
    let agreed = remote.agree(accepted)?;
    if agreed.passive {
        return Err(SdpError::PeerIsPassive);
    }
    let mut negotiated = Negotiated {
        remote_ufrag: agreed.ufrag,
        remote_pwd: agreed.pwd,
        fingerprints: agreed.fingerprints,
        video: None,
        audio: None,
        missing,
    };
    for (kind, track) in tracks {
        match kind {
            MediaKind::Video => negotiated.video = Some(track),
            MediaKind::Audio => negotiated.audio = Some(track),
        }
    }
    Ok(negotiated)
}

/// What our offer has, in the order of its sections.
fn sections(local: &LocalDescription<'_>) -> impl Iterator<Item = MediaKind> {
    let video = local.video.is_some().then_some(MediaKind::Video);
    let audio = local.audio.is_some().then_some(MediaKind::Audio);
    video.into_iter().chain(audio)
}

/// H.264's baseline first: Firefox compares profiles and refuses a lone Main or High.
fn video_formats(video: &VideoSource) -> Vec<(PayloadType, VideoFormat)> {
    const BASELINE: VideoFormat = VideoFormat::H264 { profile_level_id: h264::BASELINE };
    match video.format {
        VideoFormat::H264 { .. } if video.format != BASELINE => {
            vec![(payload_type(BASELINE_PT), BASELINE), (payload_type(STREAM_PT), video.format)]
        }
        format => vec![(payload_type(BASELINE_PT), format)],
    }
}

fn rtx_of(media: PayloadType) -> PayloadType {
    payload_type(media.get() + 1)
}

fn payload_type(number: u8) -> PayloadType {
    PayloadType::new(number).expect("a constant below 128")
}

const fn mid_of(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Video => VIDEO_MID,
        MediaKind::Audio => AUDIO_MID,
    }
}

pub(super) const fn media_word(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Video => "video",
        MediaKind::Audio => "audio",
    }
}
