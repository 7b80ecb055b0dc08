//! What OBS asks for before it sends several sizes at once (its Enhanced Broadcasting; Amazon calls the request
//! `GetClientConfiguration`): which encoders to run, and where to send to.
//!
//! `POST /multitrack`, as OBS writes and reads it (30.2 to 32; `frontend/utility/models/multitrack-video.hpp`,
//! `GoLiveAPI_Network.cpp`). OBS shows an answer's words only under status 200: a wrong key gets one, too.
//!
//! With a service of its user's own ("Custom") OBS 32 asks nobody, whatever `--config-url` says; it takes an answer that was
//! pasted into it. `GET /multitrack` makes one, for everybody: nothing of it is secret.

mod encoder;
mod ladder;
mod messages;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    Extension, Json, Router,
    body::Body,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, header, uri::Authority},
    response::{IntoResponse as _, Response},
    routing::get,
};
use heliograph_http::{
    Refusal, body,
    headers::{ACCEPT_POST, is_type},
};
use heliograph_media::Bitrate;

use super::StreamKey;
use crate::{
    Layer,
    auth::{Door, EndReason},
    house::House,
};
use encoder::Encoder;
use ladder::{Rung, ladder};
use messages::{
    Answer, AudioConfigurations, AudioEncoder, Endpoint, Framerate, Meta, Preferences, Request, Settings,
    Status, VideoEncoder, Wish,
};

/// The ports that OBS is sent to, on the host under which it asked; `None` where one is closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointPorts {
    /// RTMP.
    pub rtmp: Option<u16>,
    /// RTMP over TLS.
    pub rtmps: Option<u16>,
}

/// Who asks, put into each request's extensions by whoever serves the router. Slow guesses go by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteAddress(pub IpAddr);

struct Shared {
    house: Arc<House>,
    ports: EndpointPorts,
}

/// `POST` and `GET /multitrack`.
pub fn router(house: &Arc<House>, ports: EndpointPorts) -> Router {
    let shared = Arc::new(Shared { house: Arc::clone(house), ports });
    let method = get(paste).post(configure).fallback(async || Refusal::wrong_method("GET, POST"));
    Router::new().route("/multitrack", method).with_state(shared)
}

async fn configure(
    State(shared): State<Arc<Shared>>,
    remote: Option<Extension<RemoteAddress>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    if !is_type(&headers, JSON) {
        return Err(Refusal::wrong_type(JSON, ACCEPT_POST));
    }
    let host = host(&headers)?;
    let text = body::read_text(body, BODY_TIME).await?;
    let request: Request = serde_json::from_str(&text).map_err(|error| Refusal::bad("bad_body", &error))?;
    let remote = remote.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |Extension(RemoteAddress(ip))| ip);
    let key = StreamKey::parse("", &request.authentication).plain();
    let remote = SocketAddr::new(remote, 0);
    let answer = match shared.house.channel_of(Door::Multitrack, remote, key.as_ref()).await {
        Ok(channel) => {
            let limit = shared.house.bitrate_limit(&channel);
            answer(&request, limit, endpoints(shared.ports, host.host()))
        }
        Err(refusal) => Answer::refusal(Meta::of(&request), refused(refusal.reason)),
    };
    Ok(Json(answer).into_response())
}

/// What a person pastes into OBS. A channel's bitrate limit is not known here: it goes by `kbps`.
async fn paste(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    wish: Result<Query<Wish>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(wish) = wish.map_err(|error| Refusal::bad("bad_query", &error.body_text()))?;
    if !wish.is_picture() {
        return Err(Refusal::bad("bad_query", &"width, height and fps are at least 1"));
    }
    let endpoints = endpoints(shared.ports, host(&headers)?.host());
    Ok(Json(answer(&wish.into(), None, endpoints)).into_response())
}

fn host(headers: &HeaderMap) -> Result<Authority, Refusal> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()?.parse().ok());
    host.ok_or_else(|| Refusal::bad("bad_host", &"the request names no host"))
}

/// What OBS is to do; `limit` is what the channel may send.
fn answer(request: &Request, limit: Option<Bitrate>, ingest_endpoints: Vec<Endpoint>) -> Answer {
    let meta = Meta::of(request);
    let Preferences { maximum_aggregate_bitrate, maximum_video_tracks, vod_track_audio, .. } =
        request.preferences;
    let Some(canvas) = request.preferences.canvas() else {
        return Answer::refusal(meta, "OBS did not say how large its picture is.");
    };
    let encoder = Encoder::among(&request.client.supported_encoders);
    let by_processor = if encoder.is_hardware() || request.capabilities.cpu.physical_cores >= MANY_CORES {
        USUAL_SIZES.min(Layer::MOST)
    } else {
        2
    };
    let most = maximum_video_tracks.map_or(by_processor, |most| by_processor.min(most.max(1) as usize));
    // A bitrate limit counts headers, too.
    let limit = limit.map(|limit| limit.as_bps() / 1_000 * 95 / 100);
    let budget = limit.into_iter().chain(maximum_aggregate_bitrate).min().unwrap_or(USUAL_KBPS);
    let budget = u32::try_from(budget).unwrap_or(u32::MAX).saturating_sub(AUDIO_KBPS);
    let rungs = ladder(canvas.width, canvas.height, canvas.framerate.per_second(), budget, most);
    let sound = || AudioEncoder {
        codec: "aac",
        track_id: 1,
        channels: 2,
        settings: Settings::from_iter([("bitrate".to_owned(), AUDIO_KBPS.into())]),
    };
    Answer {
        meta,
        status: Status { result: "success", html_en_us: None },
        ingest_endpoints,
        encoder_configurations: rungs.iter().map(|rung| video(encoder, rung, canvas.framerate)).collect(),
        // OBS gives up when it wants to send a second track for recordings and is told nothing of it.
        audio_configurations: AudioConfigurations {
            live: vec![sound()],
            vod: vod_track_audio.then(|| vec![sound()]),
        },
    }
}

fn video(encoder: Encoder, rung: &Rung, framerate: Framerate) -> VideoEncoder {
    VideoEncoder {
        r#type: encoder.id(),
        width: rung.width,
        height: rung.height,
        framerate,
        settings: encoder.settings(rung.kbps, KEYFRAME_INTERVAL_S),
        canvas_index: 0,
    }
}

/// OBS takes the first one that fits, unless its user has named a server.
fn endpoints(ports: EndpointPorts, host: &str) -> Vec<Endpoint> {
    // Whoever asks over TLS trusts our certificate.
    let all = [("RTMPS", "rtmps", ports.rtmps), ("RTMP", "rtmp", ports.rtmp)];
    let open = all.into_iter().filter_map(|(protocol, scheme, port)| Some((protocol, scheme, port?)));
    open.map(|(protocol, scheme, port)| Endpoint {
        protocol,
        url_template: format!("{scheme}://{host}:{port}/live/{{stream_key}}"),
    })
    .collect()
}

/// What OBS shows its user.
fn refused(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Denied => "The stream key is not right. Copy it once more into Settings, Stream.",
        EndReason::ForeignNetwork => "Publishing is not allowed from this network.",
        EndReason::TooManyConnections => "Too many attempts from this address. Try again in a moment.",
        _ => "The stream key cannot be checked now. Try again in a moment.",
    }
}

const JSON: &str = "application/json";
/// OBS waits for five seconds in all.
const BODY_TIME: Duration = Duration::from_secs(3);
const AUDIO_KBPS: u32 = 160;
/// All tracks together, where neither the channel nor OBS has a limit.
const USUAL_KBPS: u64 = 12_000;
const KEYFRAME_INTERVAL_S: u32 = 2;
const USUAL_SIZES: usize = 3;
/// So many cores encode a third size in software.
const MANY_CORES: i32 = 8;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// As OBS 31.1 and later ask.
    fn request(more: impl FnOnce(&mut Value)) -> Request {
        let mut value = json!({
            "service": "IVS", "schema_version": "2025-01-25", "authentication": "7-secret",
            "client": {"name": "obs-studio", "version": "32.0.0", "supported_codecs": ["h264", "av1"]},
            "capabilities": {"cpu": {"physical_cores": 8, "logical_cores": 16, "speed": null, "name": "x"},
                "memory": {"total": 1, "free": 1}, "gaming_features": null, "system": {}, "gpu": null},
            "preferences": {"maximum_aggregate_bitrate": null, "maximum_video_tracks": null,
                "vod_track_audio": false, "composition_gpu_index": 0, "audio_samples_per_sec": 48000,
                "canvases": [{"width": 1920, "height": 1080, "canvas_width": 2560, "canvas_height": 1440,
                    "framerate": {"numerator": 60, "denominator": 1}}]}});
        more(&mut value);
        serde_json::from_value(value).unwrap()
    }

    fn told(request: &Request, limit: Option<u64>) -> Value {
        let ports = EndpointPorts { rtmp: Some(1935), rtmps: Some(1936) };
        let limit = limit.map(Bitrate::kbps);
        serde_json::to_value(answer(request, limit, endpoints(ports, "tv.example"))).unwrap()
    }

    fn sizes(told: &Value) -> Vec<(u64, u64, u64)> {
        let number = |value: &Value| value.as_u64().unwrap();
        let encoders = told["encoder_configurations"].as_array().unwrap().iter();
        encoders
            .map(|it| (number(&it["width"]), number(&it["height"]), number(&it["settings"]["bitrate"])))
            .collect()
    }

    #[test]
    fn everything_that_obs_reads() {
        let told = told(&request(|_| {}), None);
        assert_eq!(told["meta"], json!({"service": "IVS", "schema_version": "2025-01-25", "config_id": ""}));
        assert_eq!(told["status"], json!({"result": "success"}));
        assert_eq!(
            told["ingest_endpoints"],
            json!([{"protocol": "RTMPS", "url_template": "rtmps://tv.example:1936/live/{stream_key}"},
                {"protocol": "RTMP", "url_template": "rtmp://tv.example:1935/live/{stream_key}"}])
        );
        let first = &told["encoder_configurations"][0];
        assert_eq!(
            (&first["type"], &first["framerate"], &first["canvas_index"]),
            (&json!("obs_x264"), &json!({"numerator": 60, "denominator": 1}), &json!(0))
        );
        assert_eq!(first["settings"]["keyint_sec"], 2);
        assert_eq!(
            told["audio_configurations"],
            json!({"live": [{"codec": "aac", "track_id": 1, "channels": 2, "settings": {"bitrate": 160}}]})
        );
        let heights: Vec<_> = sizes(&told).iter().map(|size| size.1).collect();
        assert_eq!(heights, [1080, 720, 480]);
    }

    #[test]
    fn limits_of_all_sorts() {
        let sum = |told: &Value| sizes(told).iter().map(|size| size.2).sum::<u64>();
        for limit in [500, 2_000, 6_000, 8_000, 20_000] {
            let told = told(&request(|_| {}), Some(limit));
            assert!(sum(&told) + 160 <= limit * 95 / 100, "{limit}: {told}");
        }
        let of_user = request(|it| it["preferences"]["maximum_aggregate_bitrate"] = json!(4_000));
        assert!(sum(&told(&of_user, Some(8_000))) + 160 <= 4_000);
        let count = |change: fn(&mut Value)| sizes(&told(&request(change), None)).len();
        assert_eq!(count(|it| it["preferences"]["maximum_video_tracks"] = json!(1)), 1);
        assert_eq!(count(|it| it["preferences"]["maximum_video_tracks"] = json!(0)), 1);
        assert_eq!(count(|it| it["preferences"]["maximum_video_tracks"] = json!(10)), 3);
        assert_eq!(count(|it| it["capabilities"]["cpu"]["physical_cores"] = json!(4)), 2);
        assert_eq!(
            count(|it| {
                it["capabilities"]["cpu"]["physical_cores"] = json!(4);
                it["client"]["supported_encoders"] = json!(["obs_x264", "obs_nvenc_h264_tex"]);
            }),
            3
        );
    }

    #[test]
    fn what_a_person_asks_for() {
        let of = |wish: Value| told(&serde_json::from_value::<Wish>(wish).unwrap().into(), None);
        let usual = of(json!({}));
        assert_eq!(sizes(&usual).iter().map(|size| size.1).collect::<Vec<_>>(), [1080, 720, 480]);
        let framerate = &usual["encoder_configurations"][0]["framerate"];
        assert_eq!(framerate, &json!({"numerator": 30, "denominator": 1}));
        let small = of(json!({"width": 1280, "height": 720, "fps": 60, "kbps": 5000, "sizes": 2}));
        assert_eq!(sizes(&small).iter().map(|size| size.1).collect::<Vec<_>>(), [720, 480]);
        assert!(sizes(&small).iter().map(|size| size.2).sum::<u64>() + 160 <= 5000, "{small}");
        let strange =
            of(json!({"width": u32::MAX, "height": 1, "fps": u32::MAX, "kbps": 0, "sizes": u32::MAX}));
        assert_eq!(sizes(&strange).len(), 1, "{strange}");
    }

    #[test]
    fn older_versions_of_obs_and_a_second_track_of_sound() {
        // OBS 30.2 and 31.0: one canvas, among the preferences themselves.
        let old = request(|it| {
            let preferences = it["preferences"].as_object_mut().unwrap();
            preferences.remove("canvases");
            preferences.insert("width".to_owned(), json!(1280));
            preferences.insert("height".to_owned(), json!(720));
            preferences.insert("framerate".to_owned(), json!({"numerator": 30_000, "denominator": 1_001}));
            preferences.insert("vod_track_audio".to_owned(), json!(true));
        });
        let answer = told(&old, None);
        assert_eq!(sizes(&answer)[0].1, 720);
        assert_eq!(answer["audio_configurations"]["vod"].as_array().unwrap().len(), 1);
        for nothing in
            [json!([]), json!([{"width": 0, "height": 0, "framerate": {"numerator": 0, "denominator": 0}}])]
        {
            let answer = told(&request(|it| it["preferences"]["canvases"] = nothing), None);
            assert_eq!(answer["status"]["result"], "error", "{answer}");
        }
    }
}
