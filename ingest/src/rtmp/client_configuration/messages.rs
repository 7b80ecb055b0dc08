//! The request and its answer, as far as they matter here. What OBS adds is ignored, what it leaves out has a default.

use serde::{Deserialize, Serialize};

/// Settings of an encoder, as OBS keeps them.
pub(super) type Settings = serde_json::Map<String, serde_json::Value>;

#[derive(Debug, Deserialize)]
pub(super) struct Request {
    #[serde(default)]
    pub(super) service: String,
    #[serde(default)]
    pub(super) schema_version: String,
    /// The stream key.
    pub(super) authentication: String,
    #[serde(default)]
    pub(super) client: Client,
    #[serde(default)]
    pub(super) capabilities: Capabilities,
    pub(super) preferences: Preferences,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Client {
    /// Since OBS 32; empty before.
    #[serde(default)]
    pub(super) supported_encoders: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Capabilities {
    #[serde(default)]
    pub(super) cpu: Cpu,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Cpu {
    #[serde(default)]
    pub(super) physical_cores: i32,
}

#[derive(Debug, Deserialize)]
pub(super) struct Preferences {
    /// Kilobits per second, all tracks together.
    #[serde(default)]
    pub(super) maximum_aggregate_bitrate: Option<u64>,
    #[serde(default)]
    pub(super) maximum_video_tracks: Option<u32>,
    #[serde(default)]
    pub(super) vod_track_audio: bool,
    /// The main one first. Since OBS 31.1; before, there was one, among the preferences.
    #[serde(default)]
    canvases: Vec<Canvas>,
    #[serde(default)]
    width: u32,
    #[serde(default)]
    height: u32,
    #[serde(default)]
    framerate: Framerate,
}

/// What a person wants OBS to send, in an address: `?width=1280&height=720&fps=60&kbps=6000&sizes=2`.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub(super) struct Wish {
    /// Of the picture that goes out, pixels.
    width: u32,
    /// Of the picture that goes out, pixels.
    height: u32,
    /// Pictures per second.
    fps: u32,
    /// Kilobits per second, all tracks together.
    kbps: Option<u64>,
    /// The most.
    sizes: u32,
}

impl Default for Wish {
    fn default() -> Self {
        Self { width: 1920, height: 1080, fps: 30, kbps: None, sizes: 3 }
    }
}

impl Wish {
    /// Whether there would be a picture.
    pub(super) const fn is_picture(&self) -> bool {
        self.width > 0 && self.height > 0 && self.fps > 0
    }
}

impl From<Wish> for Request {
    fn from(wish: Wish) -> Self {
        Self {
            service: String::new(),
            schema_version: String::new(),
            authentication: String::new(),
            client: Client::default(),
            // Whoever asks for three sizes knows why.
            capabilities: Capabilities { cpu: Cpu { physical_cores: i32::MAX } },
            preferences: Preferences {
                maximum_aggregate_bitrate: wish.kbps,
                maximum_video_tracks: Some(wish.sizes),
                vod_track_audio: false,
                canvases: Vec::new(),
                width: wish.width,
                height: wish.height,
                framerate: Framerate { numerator: wish.fps, denominator: 1 },
            },
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Canvas {
    /// Of the picture that goes out, pixels.
    pub(super) width: u32,
    /// Of the picture that goes out, pixels.
    pub(super) height: u32,
    pub(super) framerate: Framerate,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(super) struct Framerate {
    numerator: u32,
    denominator: u32,
}

impl Framerate {
    /// Pictures per second.
    pub(super) fn per_second(self) -> f64 {
        f64::from(self.numerator) / f64::from(self.denominator.max(1))
    }
}

impl Preferences {
    /// The one whose picture goes out; `None` when it has no size.
    pub(super) fn canvas(&self) -> Option<Canvas> {
        let Self { width, height, framerate, .. } = *self;
        let canvas = self.canvases.first().copied().unwrap_or(Canvas { width, height, framerate });
        (canvas.width > 0 && canvas.height > 0).then_some(canvas)
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Answer {
    pub(super) meta: Meta,
    pub(super) status: Status,
    pub(super) ingest_endpoints: Vec<Endpoint>,
    pub(super) encoder_configurations: Vec<VideoEncoder>,
    pub(super) audio_configurations: AudioConfigurations,
}

#[derive(Debug, Serialize)]
pub(super) struct Meta {
    service: String,
    schema_version: String,
    /// Empty: OBS would hang it onto the stream key.
    config_id: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct Status {
    /// `success` or `error`.
    pub(super) result: &'static str,
    /// OBS shows it as rich text, so nothing of a stranger may be in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) html_en_us: Option<&'static str>,
}

#[derive(Debug, Serialize)]
pub(super) struct Endpoint {
    pub(super) protocol: &'static str,
    /// OBS cuts `/{stream_key}` off.
    pub(super) url_template: String,
}

#[derive(Debug, Serialize)]
pub(super) struct VideoEncoder {
    pub(super) r#type: &'static str,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) framerate: Framerate,
    pub(super) settings: Settings,
    pub(super) canvas_index: u32,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct AudioConfigurations {
    pub(super) live: Vec<AudioEncoder>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) vod: Option<Vec<AudioEncoder>>,
}

#[derive(Debug, Serialize)]
pub(super) struct AudioEncoder {
    pub(super) codec: &'static str,
    pub(super) track_id: u32,
    pub(super) channels: u32,
    pub(super) settings: Settings,
}

impl Meta {
    pub(super) fn of(request: &Request) -> Self {
        let Request { service, schema_version, .. } = request;
        Self { service: service.clone(), schema_version: schema_version.clone(), config_id: "" }
    }
}

impl Answer {
    /// OBS shows the words, and does not begin.
    pub(super) fn refusal(meta: Meta, words: &'static str) -> Self {
        Self {
            meta,
            status: Status { result: "error", html_en_us: Some(words) },
            ingest_endpoints: Vec::new(),
            encoder_configurations: Vec::new(),
            audio_configurations: AudioConfigurations::default(),
        }
    }
}
