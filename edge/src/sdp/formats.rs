//! The formats of one media section: rtpmap, fmtp and rtcp-fb put together.

use heliograph_media::{PayloadType, video::VideoFormat};
use rtc_sdp::MediaDescription;

use super::h264;

/// One payload type as the peer describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) payload_type: PayloadType,
    /// As written, at most 32 characters of a token; empty without rtpmap.
    pub(super) encoding: String,
    pub(super) clock_rate: u32,
    /// 1 when not given.
    pub(super) channels: u8,
    pub(super) fmtp: Option<String>,
    pub(super) feedback: Feedback,
}

/// The feedback messages we understand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Feedback {
    pub(super) nack: bool,
    pub(super) pli: bool,
    pub(super) fir: bool,
    /// Receiver reference times are answered (RFC 3611 section 4.4; the word is libwebrtc's).
    pub(super) rrtr: bool,
    /// Arrival times of all packets under one count (draft-holmer-rmcat-transport-wide-cc-extensions-01).
    pub(super) transport_cc: bool,
    /// The receiver's estimate of the bandwidth (draft-alvestrand-rmcat-remb-03).
    pub(super) remb: bool,
}

impl Format {
    fn new(payload_type: PayloadType) -> Self {
        Self {
            payload_type,
            encoding: String::new(),
            clock_rate: 0,
            channels: 1,
            fmtp: None,
            feedback: Feedback::default(),
        }
    }

    pub(super) fn is(&self, encoding: &str, clock_rate: u32) -> bool {
        self.encoding.eq_ignore_ascii_case(encoding) && self.clock_rate == clock_rate
    }

    /// H.264 parameters; `None` for other codecs.
    pub(super) fn h264(&self) -> Option<h264::Parameters> {
        self.is("H264", 90_000).then(|| h264::Parameters::parse(self.fmtp.as_deref().unwrap_or("")))
    }

    /// Whether this carries the format; profiles count, levels do not (receivers say the highest that they can).
    pub(super) fn carries(&self, wanted: VideoFormat) -> bool {
        let profile = |name| self.parameter(name).map_or(Ok(0), str::parse::<u8>);
        match wanted {
            VideoFormat::H264 { .. } => self.h264().is_some(),
            VideoFormat::Vp8 => self.is("VP8", 90_000),
            VideoFormat::Vp9 { profile: wanted } => {
                self.is("VP9", 90_000) && profile("profile-id") == Ok(wanted)
            }
            VideoFormat::Av1 { profile: wanted, .. } => {
                self.is("AV1", 90_000) && profile("profile") == Ok(wanted)
            }
            VideoFormat::H265 { profile: wanted, .. } => {
                let profile = self.parameter("profile-id").map_or(Ok(1), str::parse);
                let one_stream = self.parameter("tx-mode").is_none_or(|mode| mode == "SRST");
                self.is("H265", 90_000) && profile == Ok(wanted) && one_stream
            }
        }
    }

    /// A parameter of the `fmtp` line.
    fn parameter(&self, name: &str) -> Option<&str> {
        let parameters = self.fmtp.as_deref()?.split(';').filter_map(|text| text.trim().split_once('='));
        parameters
            .into_iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    /// The `fmtp` line as it may go back to the peer; `None` when it has none, or none that we repeat.
    pub(super) fn echo(&self) -> Option<&str> {
        let fmtp = self.fmtp.as_deref()?;
        (fmtp.len() <= MAX_ECHO && fmtp.bytes().all(|byte| matches!(byte, b' '..=b'~'))).then_some(fmtp)
    }

    /// The peer says that it sends one channel only (RFC 7587 section 6.1).
    pub(super) fn is_mono(&self) -> bool {
        self.parameter("sprop-stereo") == Some("0")
    }

    /// Opus is always announced with two channels (RFC 7587 section 7).
    pub(super) fn is_opus(&self) -> bool {
        self.is("opus", 48_000) && self.channels == 2
    }

    /// Parity packets as libwebrtc takes them.
    pub(super) fn is_flexfec(&self) -> bool {
        self.is("flexfec-03", 90_000)
    }

    /// Which payload type these retransmissions belong to (RFC 4588 section 8.1).
    pub(super) fn retransmits(&self) -> Option<PayloadType> {
        if !self.is("rtx", 90_000) {
            return None;
        }
        let fmtp = self.fmtp.as_deref()?;
        let apt = fmtp.split(';').find_map(|parameter| parameter.trim().strip_prefix("apt="))?;
        PayloadType::new(apt.trim().parse().ok()?)
    }
}

/// Reads a section's formats, in the order of its m-line. At most 128: there are no more payload types.
pub(super) fn read(media: &MediaDescription) -> Vec<Format> {
    let mut formats: Vec<Format> = Vec::new();
    for text in &media.media_name.formats {
        let Some(payload_type) = text.parse().ok().and_then(PayloadType::new) else { continue };
        if !formats.iter().any(|known| known.payload_type == payload_type) {
            formats.push(Format::new(payload_type));
        }
    }
    for attribute in &media.attributes {
        let Some((number, value)) = attribute.value.as_deref().and_then(|value| value.split_once(' ')) else {
            continue;
        };
        let value = value.trim();
        match attribute.key.as_str() {
            "rtpmap" => with(&mut formats, number, |format| read_rtpmap(format, value)),
            "fmtp" => with(&mut formats, number, |format| format.fmtp = Some(value.to_owned())),
            "rtcp-fb" => with(&mut formats, number, |format| match value {
                "nack" => format.feedback.nack = true,
                "nack pli" => format.feedback.pli = true,
                "ccm fir" => format.feedback.fir = true,
                "rrtr" => format.feedback.rrtr = true,
                "transport-cc" => format.feedback.transport_cc = true,
                "goog-remb" => format.feedback.remb = true,
                _ => {}
            }),
            _ => {}
        }
    }
    formats
}

/// Applies `change` to the named payload type, or to all of them for `*` (rtcp-fb).
fn with(formats: &mut [Format], number: &str, change: impl Fn(&mut Format)) {
    if number == "*" {
        formats.iter_mut().for_each(change);
    } else if let Some(payload_type) = number.parse().ok().and_then(PayloadType::new)
        && let Some(format) = formats.iter_mut().find(|format| format.payload_type == payload_type)
    {
        change(format);
    }
}

fn read_rtpmap(format: &mut Format, value: &str) {
    let mut parts = value.split('/');
    let encoding = parts.next().unwrap_or("");
    if encoding.len() > MAX_ENCODING || !encoding.bytes().all(super::remote::is_token_char) {
        return;
    }
    format.encoding = encoding.to_owned();
    format.clock_rate = parts.next().and_then(|rate| rate.parse().ok()).unwrap_or(0);
    format.channels = parts.next().and_then(|channels| channels.parse().ok()).unwrap_or(1);
}

const MAX_ENCODING: usize = 32;
const MAX_ECHO: usize = 256;
