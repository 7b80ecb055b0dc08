//! A publisher offers (WHIP, RFC 9725), we answer: it sends, we receive.

use heliograph_media::{Codec, MediaKind, PayloadType, video::VideoFormat};

use super::answer::write_rejected;
use super::formats::{Feedback, Format};
use super::offer::media_word;
use super::remote::{Remote, Section};
use super::simulcast::Simulcast;
use super::write::{
    Lines, MID_EXTENSION, OPUS_FMTP, OPUS_MONO_FMTP, REPAIRED_RID_EXTENSION, RID_EXTENSION,
    TRANSPORT_CC_EXTENSION,
};
use super::{LocalTransport, SdpError};
use crate::dtls::{DtlsRole, Fingerprint};

/// What a publisher and we agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The peer's ICE user name fragment.
    pub remote_ufrag: String,
    /// What the peer's certificate may look like; never empty.
    pub fingerprints: Vec<Fingerprint>,
    /// Ours. RFC 9725 has publishers offer `actpass`, and FFmpeg insists on `passive`.
    pub role: DtlsRole,
    /// The video that will come.
    pub video: Option<IncomingTrack>,
    /// The audio that will come.
    pub audio: Option<IncomingTrack>,
}

/// One track as the publisher will send it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncomingTrack {
    /// The m-line's id, if it has one.
    pub mid: Option<String>,
    /// How it is coded.
    pub codec: Codec,
    /// The payload type that carries it.
    pub payload_type: PayloadType,
    /// The payload type of retransmissions (RFC 4588); `None`: lost packets come again as they were.
    pub rtx_payload_type: Option<PayloadType>,
    /// The publisher answers NACKs.
    pub nack: bool,
    /// The publisher answers picture loss indications.
    pub pli: bool,
    /// The publisher answers full intra requests.
    pub fir: bool,
    /// The publisher listens to the receiver's bandwidth estimate.
    pub remb: bool,
    /// Id of the header extension with the transport-wide sequence number (1 to 14), when the publisher listens to
    /// feedback about it.
    pub transport_cc_ext: Option<u8>,
    /// The picture comes in several layers, told apart by their names.
    pub simulcast: Option<Simulcast>,
}

/// Answers a publisher's offer: the first section of each kind that it wants to send in a codec we take; what we
/// do not take stands on port 0. Of a picture in layers (simulcast) up to [`MAX_LAYERS`](super::MAX_LAYERS) are asked
/// for.
///
/// # Errors
/// See [`SdpError`]. `NothingInCommon` names the kinds that were offered in no codec we take.
pub fn receive(offer: &str, local: LocalTransport<'_>) -> Result<(String, Incoming), SdpError> {
    let remote = Remote::parse(offer)?;
    let mut accepted: Vec<(usize, MediaKind, Chosen<'_>)> = Vec::new();
    let mut wanted = Vec::new();
    for (index, section) in remote.sections.iter().enumerate() {
        let Some(kind) = section.kind.filter(|_| !section.rejected && section.sends) else { continue };
        if accepted.iter().any(|(_, taken, _)| *taken == kind) {
            continue;
        }
        wanted.push(kind);
        if let Some(chosen) = choose(kind, section) {
            accepted.push((index, kind, chosen));
        }
    }
    if accepted.is_empty() {
        return Err(SdpError::NothingInCommon { missing: wanted });
    }
    let indices: Vec<usize> = accepted.iter().map(|(index, ..)| *index).collect();
    let agreed = remote.agree(&indices)?;
    let track = |kind| {
        accepted
            .iter()
            .find(|(_, taken, _)| *taken == kind)
            .map(|(index, _, chosen)| chosen.track(&remote.sections[*index]))
    };
    let incoming = Incoming {
        video: track(MediaKind::Video),
        audio: track(MediaKind::Audio),
        remote_ufrag: agreed.ufrag,
        fingerprints: agreed.fingerprints,
        role: if agreed.passive { DtlsRole::Active } else { DtlsRole::Passive },
    };
    Ok((write(&remote, &accepted, local, incoming.role), incoming))
}

/// What is taken from one section.
struct Chosen<'a> {
    codec: Codec,
    format: &'a Format,
    rtx: Option<PayloadType>,
    feedback: Feedback,
    transport_cc_ext: Option<u8>,
    simulcast: Option<Simulcast>,
}

impl Chosen<'_> {
    fn track(&self, section: &Section) -> IncomingTrack {
        IncomingTrack {
            mid: section.mid.clone(),
            codec: self.codec,
            payload_type: self.format.payload_type,
            rtx_payload_type: self.rtx,
            nack: self.feedback.nack,
            pli: self.feedback.pli,
            fir: self.feedback.fir,
            remb: self.feedback.remb,
            transport_cc_ext: self.transport_cc_ext,
            simulcast: self.simulcast.clone(),
        }
    }
}

/// H.264 comes first whatever the publisher prefers, because every browser decodes it; the others in the publisher's
/// order.
fn choose(kind: MediaKind, section: &Section) -> Option<Chosen<'_>> {
    let formats = || section.formats.iter().filter(|format| !is_rtcp(format.payload_type));
    let (codec, format) = match kind {
        MediaKind::Audio => (Codec::Opus, formats().find(|format| format.is_opus())?),
        MediaKind::Video => {
            h264(&formats()).map(|format| (Codec::H264, format)).or_else(|| other(formats()))?
        }
    };
    let rtx = section.formats.iter().find(|rtx| rtx.retransmits() == Some(format.payload_type));
    // RRTR is for those who send nothing themselves, and here that is us.
    let mut feedback = Feedback { rrtr: false, ..format.feedback };
    let transport_cc_ext = section.extension(TRANSPORT_CC_EXTENSION).filter(|_| feedback.transport_cc);
    feedback.transport_cc = transport_cc_ext.is_some();
    let rtx = rtx.filter(|_| feedback.nack).map(|rtx| rtx.payload_type);
    let simulcast = simulcast(kind, section, format.payload_type);
    Some(Chosen { codec, format, rtx, feedback, transport_cc_ext, simulcast })
}

/// Layers without the extension that names them in packets could not be told apart.
fn simulcast(kind: MediaKind, section: &Section, payload_type: PayloadType) -> Option<Simulcast> {
    let rid_ext = section.extension(RID_EXTENSION).filter(|_| kind == MediaKind::Video)?;
    let rids = section.layers.layers(payload_type);
    let repaired_rid_ext = section.extension(REPAIRED_RID_EXTENSION);
    (rids.len() >= 2).then_some(Simulcast { rids, rid_ext, repaired_rid_ext })
}

/// The publisher's first with packetization mode 1; mode 0 is a part of it, so it will do as well.
fn h264<'a>(formats: &(impl Iterator<Item = &'a Format> + Clone)) -> Option<&'a Format> {
    let find = |mode| {
        let is = |format: &&Format| format.h264().is_some_and(|h264| h264.packetization_mode() == mode);
        formats.clone().find(is)
    };
    find(1).or_else(|| find(0))
}

/// The publisher's first of the other codecs, in the profile that browsers decode.
fn other<'a>(mut formats: impl Iterator<Item = &'a Format>) -> Option<(Codec, &'a Format)> {
    let codecs = [Codec::Vp8, Codec::H265, Codec::Av1, Codec::Vp9];
    formats.find_map(|format| {
        let usual = |codec: &Codec| VideoFormat::usual(*codec).is_some_and(|usual| format.carries(usual));
        codecs.into_iter().find(usual).map(|codec| (codec, format))
    })
}

/// RFC 5761 section 4: with the marker set, these would be read as RTCP.
fn is_rtcp(payload_type: PayloadType) -> bool {
    (64..96).contains(&payload_type.get())
}

fn write(
    remote: &Remote,
    accepted: &[(usize, MediaKind, Chosen<'_>)],
    local: LocalTransport<'_>,
    role: DtlsRole,
) -> String {
    let mut lines = Lines::new();
    let mids: Vec<&str> =
        accepted.iter().filter_map(|(index, ..)| remote.sections[*index].mid.as_deref()).collect();
    lines.session(local.ice, &mids);
    for (index, section) in remote.sections.iter().enumerate() {
        match accepted.iter().find(|(at, ..)| *at == index) {
            Some((_, kind, chosen)) => write_accepted(&mut lines, section, *kind, chosen, (local, role)),
            None => write_rejected(&mut lines, section),
        }
    }
    lines.finish()
}

fn write_accepted(
    lines: &mut Lines,
    section: &Section,
    kind: MediaKind,
    chosen: &Chosen<'_>,
    (local, role): (LocalTransport<'_>, DtlsRole),
) {
    let format = chosen.format;
    let number = format.payload_type;
    let rtx = chosen.rtx.map(|rtx| format!(" {}", rtx.get())).unwrap_or_default();
    lines.line(format_args!("m={} 9 {} {}{rtx}", media_word(kind), section.protocol, number.get()));
    lines.line(format_args!("c=IN IP4 0.0.0.0"));
    let setup = match role {
        DtlsRole::Passive => "passive",
        DtlsRole::Active => "active",
    };
    lines.transport(local, setup);
    if let Some(mid) = &section.mid {
        lines.line(format_args!("a=mid:{mid}"));
    }
    lines.extension(section.extension(MID_EXTENSION), MID_EXTENSION);
    lines.extension(chosen.transport_cc_ext, TRANSPORT_CC_EXTENSION);
    if let Some(simulcast) = &chosen.simulcast {
        lines.extension(Some(simulcast.rid_ext), RID_EXTENSION);
        lines.extension(simulcast.repaired_rid_ext, REPAIRED_RID_EXTENSION);
    }
    lines.line(format_args!("a=recvonly"));
    match chosen.codec {
        Codec::Opus => {
            lines.opus(number, if format.is_mono() { OPUS_MONO_FMTP } else { OPUS_FMTP });
            lines.feedback(number, chosen.feedback);
        }
        Codec::H264 => {
            let (profile, mode) = format.h264().map_or((super::h264::BASELINE, 1), |have| {
                (have.profile_level_id, have.packetization_mode())
            });
            let parameters = format!(
                "level-asymmetry-allowed=1;packetization-mode={mode};profile-level-id={}",
                hex::encode(profile)
            );
            lines.video_with(number, Codec::H264, Some(&parameters), chosen.feedback);
        }
        codec => lines.video_with(number, codec, format.echo(), chosen.feedback),
    }
    if let Some(rtx) = chosen.rtx {
        lines.rtx(rtx, number);
    }
    if let Some(simulcast) = &chosen.simulcast {
        for rid in &simulcast.rids {
            lines.line(format_args!("a=rid:{rid} recv"));
        }
        lines.line(format_args!("a=simulcast:recv {}", simulcast.rids.join(";")));
    }
}
