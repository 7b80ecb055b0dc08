//! How an ingest asks for a place to send to: the allocation contract, in this process or over HTTP.

use std::{future::Future, pin::Pin};

use heliograph_media::{Codec, MediaKind, PayloadType};
use serde::{Deserialize, Serialize};

use crate::Track;
pub use crate::channel::{BadChannelName, ChannelName};

/// A future that can be kept in a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Body of `POST /stream`; everything may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StreamRequest {
    /// The channel it is for. A channel that is live gets its port again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelName>,
    /// A title for people; cut to 200 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What will be sent; empty means H.264 as payload type 96 and Opus as 97.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tracks: Vec<TrackDescription>,
    /// A wish for one port of the pool (`?port=N`).
    #[serde(skip)]
    pub port: Option<u16>,
}

/// One track of a stream, as the ingest will send it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackDescription {
    /// Picture or sound.
    pub kind: MediaKind,
    /// How it is coded.
    pub codec: Codec,
    /// RTP payload type, 0 to 127.
    pub payload_type: u8,
    /// RTP clock, hertz.
    pub clock_rate: u32,
    /// Channels of sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<u8>,
    /// The first session's SSRC, as a hint; each session may have another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssrc: Option<u32>,
    /// Layer of a simulcast (RFC 8851).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rid: Option<String>,
    /// Further layers of the picture, coded alike and sent to the same port. A relay that knows nothing of them
    /// refuses their packets and serves the track itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerDescription>,
    /// Format parameters as in SDP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fmtp: Option<String>,
}

/// A further layer of a picture, as the ingest will send it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerDescription {
    /// Its name (RFC 8851).
    pub rid: String,
    /// Its RTP payload type, 0 to 127: no other track or layer has the same.
    pub payload_type: u8,
}

impl TrackDescription {
    /// H.264 with this payload type.
    #[must_use]
    pub fn h264(payload_type: PayloadType) -> Self {
        Self::new(Codec::H264, payload_type, None)
    }

    /// Another video codec with this payload type.
    #[must_use]
    pub fn video(codec: Codec, payload_type: PayloadType) -> Self {
        Self::new(codec, payload_type, None)
    }

    /// Opus, two channels, with this payload type.
    #[must_use]
    pub fn opus(payload_type: PayloadType) -> Self {
        Self::new(Codec::Opus, payload_type, Some(2))
    }

    /// What a request without a description means, and what FTL always sends.
    #[must_use]
    pub fn defaults() -> Vec<Self> {
        vec![Self::h264(PayloadType::H264), Self::opus(PayloadType::OPUS)]
    }

    fn new(codec: Codec, payload_type: PayloadType, channels: Option<u8>) -> Self {
        Self {
            kind: codec.kind(),
            codec,
            payload_type: payload_type.get(),
            clock_rate: codec.clock_rate().get(),
            channels,
            ssrc: None,
            rid: None,
            layers: Vec::new(),
            fmtp: None,
        }
    }
}

/// Checks what a request describes and fills in the defaults.
pub(crate) fn checked_tracks(request: &StreamRequest) -> Result<Vec<TrackDescription>, AllocateError> {
    if request.tracks.is_empty() {
        return Ok(TrackDescription::defaults());
    }
    let unsupported = |what: String| Err(AllocateError::Unsupported(what));
    for (index, track) in request.tracks.iter().enumerate() {
        if track.codec.kind() != track.kind {
            return unsupported(format!("{} is not {}", track.codec, track.kind));
        }
        if PayloadType::new(track.payload_type).is_none() || is_rtcp_payload_type(track.payload_type) {
            return unsupported(format!("payload type {} cannot share a port with RTCP", track.payload_type));
        }
        if track.clock_rate != track.codec.clock_rate().get() {
            return unsupported(format!("{} counts at {}", track.codec, track.codec.clock_rate()));
        }
        for other in &request.tracks[..index] {
            if other.kind == track.kind {
                return unsupported(format!("more than one {} track", track.kind));
            }
            if other.payload_type == track.payload_type {
                return unsupported(format!("payload type {} twice", track.payload_type));
            }
        }
        if let Err(why) = check_layers(track, &request.tracks) {
            return unsupported(why);
        }
    }
    Ok(request.tracks.clone())
}

fn check_layers(track: &TrackDescription, tracks: &[TrackDescription]) -> Result<(), String> {
    if track.layers.is_empty() {
        return Ok(());
    }
    if track.kind != MediaKind::Video || track.layers.len() >= Track::LAYERS.len() {
        return Err(format!("more than {} layers of video", Track::LAYERS.len()));
    }
    for (index, layer) in track.layers.iter().enumerate() {
        let number = layer.payload_type;
        if PayloadType::new(number).is_none() || is_rtcp_payload_type(number) {
            return Err(format!("payload type {number} cannot share a port with RTCP"));
        }
        let before = &track.layers[..index];
        if tracks.iter().any(|track| track.payload_type == number)
            || before.iter().any(|other| other.payload_type == number)
        {
            return Err(format!("payload type {number} twice"));
        }
        let named_alike =
            track.rid.as_deref() == Some(&layer.rid) || before.iter().any(|o| o.rid == layer.rid);
        if layer.rid.is_empty() || layer.rid.len() > MAX_RID || named_alike {
            return Err(format!("a layer needs a name of its own, at most {MAX_RID} characters"));
        }
    }
    Ok(())
}

/// Longest name of a layer: it stands in URLs, messages and logs.
const MAX_RID: usize = 32;

/// RFC 5761 section 4: these would be read as RTCP when the marker is set.
const fn is_rtcp_payload_type(payload_type: u8) -> bool {
    payload_type >= 64 && payload_type < 96
}

/// The answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocation {
    /// Where to send RTP and RTCP, on the relay's RTP address.
    pub port: u16,
}

/// Why there is no port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AllocateError {
    /// All ports of the pool are in use, resting after use, or held by other programs; the log says how many
    /// of each.
    #[error("every RTP port of the relay is taken")]
    PoolEmpty,
    /// The wished port is in use, resting, or held by another program.
    #[error("that RTP port is taken")]
    PortTaken,
    /// The wished port does not belong to the pool.
    #[error("that port is outside the RTP port pool")]
    OutsidePool,
    /// The description asks for something that cannot be relayed.
    #[error("{0}")]
    Unsupported(String),
    /// The relay did not answer (split set-ups).
    #[error("the relay cannot be reached: {0}")]
    Unreachable(String),
}

/// Whoever hands out ports: a relay in this process, or one behind HTTP.
pub trait Allocator: Send + Sync {
    /// Asks for a port.
    fn allocate(&self, request: StreamRequest) -> BoxFuture<'_, Result<Allocation, AllocateError>>;

    /// Gives a port back and ends its stream; `false` when there was none.
    fn release(&self, port: u16) -> BoxFuture<'_, Result<bool, AllocateError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tracks: Vec<TrackDescription>) -> Result<Vec<TrackDescription>, AllocateError> {
        checked_tracks(&StreamRequest { tracks, ..StreamRequest::default() })
    }

    fn payload_type(value: u8) -> PayloadType {
        PayloadType::new(value).expect("seven bits")
    }

    #[test]
    fn no_description_means_96_and_97() {
        let request: StreamRequest = serde_json::from_str("{}").expect("an empty object is a request");
        let tracks = checked_tracks(&request).expect("defaults");
        assert_eq!(tracks.iter().map(|track| track.payload_type).collect::<Vec<_>>(), [96, 97]);
        assert_eq!(tracks[0].kind, MediaKind::Video);
    }

    #[test]
    fn descriptions_are_checked() {
        assert!(check(vec![TrackDescription::opus(payload_type(111))]).is_ok());
        let wrong_kind =
            TrackDescription { kind: MediaKind::Audio, ..TrackDescription::h264(payload_type(96)) };
        let wrong_clock = TrackDescription { clock_rate: 44_100, ..TrackDescription::opus(payload_type(97)) };
        for (bad, word) in [
            (vec![wrong_kind], "is not"),
            (vec![wrong_clock], "counts at"),
            (vec![TrackDescription::opus(payload_type(72))], "RTCP"),
            (
                vec![TrackDescription::opus(payload_type(96)), TrackDescription::opus(payload_type(97))],
                "more than",
            ),
            (
                vec![TrackDescription::opus(payload_type(96)), TrackDescription::h264(payload_type(96))],
                "twice",
            ),
        ] {
            let Err(AllocateError::Unsupported(why)) = check(bad) else { panic!("must be refused: {word}") };
            assert!(why.contains(word), "{why}");
        }
    }

    #[test]
    fn layers_have_names_and_payload_types_of_their_own() {
        let layered = |layers: &[(&str, u8)]| {
            let mut video = TrackDescription::h264(payload_type(96));
            video.rid = Some("h".to_owned());
            video.layers = layers
                .iter()
                .map(|&(rid, payload_type)| LayerDescription { rid: rid.to_owned(), payload_type })
                .collect();
            check(vec![video, TrackDescription::opus(payload_type(97))])
        };
        assert!(layered(&[("m", 98), ("l", 99), ("x", 100)]).is_ok());
        for (bad, word) in [
            (&[("m", 97)][..], "twice"),
            (&[("m", 98), ("l", 98)], "twice"),
            (&[("h", 98)], "name"),
            (&[("", 98)], "name"),
            (&[("m", 72)], "RTCP"),
            (&[("a", 98), ("b", 99), ("c", 100), ("d", 101)], "more than 4"),
        ] {
            let Err(AllocateError::Unsupported(why)) = layered(bad) else {
                panic!("must be refused: {word}")
            };
            assert!(why.contains(word), "{why}");
        }
        let json = r#"{"tracks":[{"kind":"video","codec":"vp8","payload_type":96,"clock_rate":90000,"rid":"h","layers":[{"rid":"l","payload_type":98}]}]}"#;
        let request: StreamRequest = serde_json::from_str(json).expect("as documented");
        assert_eq!(request.tracks[0].layers[0].rid, "l");
        assert_eq!(serde_json::to_string(&request).expect("serialises"), json);
    }

    #[test]
    fn the_shape_on_the_wire() {
        let json = r#"{"channel":"demo","name":"Demo","tracks":[{"kind":"video","codec":"h264","payload_type":96,"clock_rate":90000}]}"#;
        let request: StreamRequest = serde_json::from_str(json).expect("as documented");
        assert_eq!(request.channel.as_ref().map(ChannelName::as_str), Some("demo"));
        assert_eq!(serde_json::to_string(&request).expect("serialises"), json);
        assert_eq!(
            serde_json::to_string(&Allocation { port: 24_000 }).expect("serialises"),
            r#"{"port":24000}"#
        );
    }
}
