//! `GET /metrics`: figures of the process, the egress workers and the streams, for Prometheus.
//!
//! Nobody's address and no session stands here; labels are workers, channels and causes, all of them few.
//! `docs/metrics.md` explains each figure; a test holds the two together.

mod process;
mod text;

use axum::{
    Router,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use heliograph_relay::{AudienceSnapshot, Relay, StreamSnapshot, StreamState, WorkerSnapshot};

use self::{
    process::Process,
    text::{Kind, Page},
};

/// What the metrics listener serves.
pub(crate) fn router(relay: Relay) -> Router {
    Router::new().route("/metrics", get(async move || respond(&relay)))
}

fn respond(relay: &Relay) -> Response {
    let page = page(&Process::read(), &relay.workers(), &relay.streams(), &relay.audience());
    let headers = [
        (header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, page).into_response()
}

fn page(
    process: &Process,
    workers: &[WorkerSnapshot],
    streams: &[StreamSnapshot],
    audience: &AudienceSnapshot,
) -> String {
    let mut page = Page::default();
    process.write(&mut page);
    page.family("heliograph_build_info", Kind::Gauge, "Always 1; the label tells the version.")
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    write_workers(&mut page, workers);
    write_audience(&mut page, audience);
    write_streams(&mut page, streams);
    page.finish()
}

fn write_workers(page: &mut Page, workers: &[WorkerSnapshot]) {
    let mut each = |name, kind, help: &str, value: &dyn Fn(&WorkerSnapshot) -> String| {
        let mut family = page.family(name, kind, help);
        for (index, worker) in workers.iter().enumerate() {
            family.sample(&[("worker", &index.to_string())], value(worker));
        }
    };
    each(
        "heliograph_relay_worker_cpu_seconds_total",
        Kind::Counter,
        "Processor time of the egress worker's thread, in seconds.",
        &|worker| (worker.cpu_us as f64 / 1e6).to_string(),
    );
    each(
        "heliograph_relay_worker_sessions",
        Kind::Gauge,
        "Viewer sessions of the worker, connected or not.",
        &|worker| worker.sessions.to_string(),
    );
    each(
        "heliograph_relay_worker_gso",
        Kind::Gauge,
        "1 when the kernel cuts large sends into datagrams (UDP_SEGMENT).",
        &|worker| u8::from(worker.gso).to_string(),
    );
    type Count = fn(&WorkerSnapshot) -> u64;
    let counts: [(&str, &str, Count); 13] = [
        ("heliograph_relay_egress_packets_total", "Datagrams given to the kernel.", |w| w.packets),
        (
            "heliograph_relay_egress_bytes_total",
            "Bytes of these datagrams, IP and UDP headers not counted.",
            |w| w.bytes,
        ),
        ("heliograph_relay_egress_calls_total", "System calls that sent them.", |w| w.calls),
        (
            "heliograph_relay_egress_full_waits_total",
            "Waits for a full socket, at most one per flush.",
            |w| w.full_waits,
        ),
        (
            "heliograph_relay_egress_gso_fallbacks_total",
            "Runs of packets that the kernel refused and that were sent singly.",
            |w| w.gso_fallbacks,
        ),
        ("heliograph_relay_resent_packets_total", "Packets sent again on request.", |w| w.resent),
        (
            "heliograph_relay_parity_packets_total",
            "Parity packets sent to viewers that lose packets on a long way.",
            |w| w.parity,
        ),
        (
            "heliograph_relay_replays_total",
            "Times a viewer got the newest keyframe again on its request.",
            |w| w.replays,
        ),
        (
            "heliograph_relay_fell_behind_total",
            "Times a viewer was taken to the newest keyframe because it had fallen behind.",
            |w| w.fell_behind,
        ),
        (
            "heliograph_relay_layer_switches_total",
            "Times a viewer was moved to another layer of the picture.",
            |w| w.layer_switches,
        ),
        ("heliograph_relay_received_datagrams_total", "Datagrams received.", |w| w.received),
        (
            "heliograph_relay_rejected_datagrams_total",
            "Of these, those that were nobody's, malformed, or not authentic.",
            |w| w.received_rejected,
        ),
        (
            "heliograph_relay_lost_batches_total",
            "Batches of media lost because the worker was too far behind.",
            |w| w.batches_lost,
        ),
    ];
    for (name, help, value) in counts {
        each(name, Kind::Counter, help, &|worker| value(worker).to_string());
    }
    type Counts = &'static [(&'static str, Count)];
    let by_cause: [(&str, &str, Counts); 2] = [
        (
            "heliograph_relay_egress_dropped_packets_total",
            "Packets that did not go out.",
            &[
                ("socket_full", |w| w.dropped_full),
                ("error", |w| w.dropped_error),
                ("oversize", |w| w.dropped_oversize),
            ],
        ),
        (
            "heliograph_relay_resend_refused_total",
            "Requests for packets that were not answered.",
            &[
                ("over_budget", |w| w.resend_over_budget),
                ("duplicate", |w| w.resend_duplicate),
                ("gone", |w| w.resend_gone),
            ],
        ),
    ];
    for (name, help, causes) in by_cause {
        let mut family = page.family(name, Kind::Counter, help);
        for (index, worker) in workers.iter().enumerate() {
            for (cause, value) in causes {
                family.sample(&[("worker", &index.to_string()), ("cause", cause)], value(worker));
            }
        }
    }
}

fn write_audience(page: &mut Page, audience: &AudienceSnapshot) {
    page.single(
        "heliograph_relay_sessions",
        Kind::Gauge,
        "Viewer sessions, connected or not.",
        audience.sessions,
    );
    let mut refused =
        page.family("heliograph_relay_refused_viewers_total", Kind::Counter, "Viewers that were not let in.");
    for (cause, count) in &audience.refused {
        refused.sample(&[("cause", cause)], count);
    }
    let mut ended =
        page.family("heliograph_relay_ended_sessions_total", Kind::Counter, "Viewer sessions that ended.");
    for (reason, count) in &audience.ended {
        ended.sample(&[("reason", reason)], count);
    }
    let joins = &audience.joins;
    page.family(
        "heliograph_relay_viewer_join_seconds",
        Kind::Histogram,
        "From the wish to watch to the encrypted connection, the viewer's own time included.",
    )
    .histogram(
        joins.buckets.iter().map(|(bound, count)| (bound.as_secs_f64(), *count)),
        joins.count,
        joins.sum.as_secs_f64(),
    );
}

fn write_streams(page: &mut Page, streams: &[StreamSnapshot]) {
    page.single("heliograph_relay_streams", Kind::Gauge, "Streams that have a port.", streams.len());
    let mut family = page.family(
        "heliograph_relay_stream_live",
        Kind::Gauge,
        "1 while media comes in, 0 while it is waited for.",
    );
    for stream in streams {
        let live = u8::from(stream.state == StreamState::Live);
        family.sample(&[("channel", &label(stream))], live);
    }
    let mut family = page.family("heliograph_relay_stream_viewers", Kind::Gauge, "Connected viewers.");
    for stream in streams {
        family.sample(&[("channel", &label(stream))], stream.viewers);
    }
    type Count = fn(&heliograph_relay::TrackSnapshot) -> u64;
    let by_track: [(&str, Kind, &str, Count); 3] = [
        (
            "heliograph_relay_stream_packets_total",
            Kind::Counter,
            "Packets taken from the publisher.",
            |track| track.packets,
        ),
        (
            "heliograph_relay_stream_lost_packets_total",
            Kind::Counter,
            "Packets of the publisher that are missing for good.",
            |track| track.lost,
        ),
        (
            "heliograph_relay_stream_bits_per_second",
            Kind::Gauge,
            "Bitrate of the payload over the last second.",
            |track| track.bitrate_bps,
        ),
    ];
    for (name, kind, help, value) in by_track {
        let mut family = page.family(name, kind, help);
        for stream in streams {
            for track in &stream.tracks {
                let kind = track.kind.to_string();
                family.sample(&[("channel", &label(stream)), ("kind", &kind)], value(track));
            }
        }
    }
    write_what_viewers_get(page, streams);
    let mut family = page.family(
        "heliograph_relay_stream_refused_datagrams_total",
        Kind::Counter,
        "Datagrams from the publisher's side that were not taken.",
    );
    for stream in streams {
        for (cause, count) in &stream.refused {
            family.sample(&[("channel", &label(stream)), ("cause", cause)], count);
        }
    }
}

/// How late viewers see it and how loud it is: left out while nobody tells.
fn write_what_viewers_get(page: &mut Page, streams: &[StreamSnapshot]) {
    let mut family = page.family(
        "heliograph_relay_stream_viewers_telling_delay",
        Kind::Gauge,
        "Viewers whose page tells how late it shows the stream.",
    );
    for stream in streams {
        family.sample(&[("channel", &label(stream))], stream.viewer_delays.viewers);
    }
    let mut family = page.family(
        "heliograph_relay_stream_viewer_delay_seconds",
        Kind::Gauge,
        "How late viewers see the stream, as their pages tell: half of them are later than 0.5, one of twenty than 0.95.",
    );
    for stream in streams {
        let delays = stream.viewer_delays;
        for (quantile, delay) in [("0.5", delays.p50), ("0.95", delays.p95)] {
            if let Some(delay) = delay {
                family.sample(&[("channel", &label(stream)), ("quantile", quantile)], delay.as_secs_f64());
            }
        }
    }
    type Value = fn(&StreamSnapshot) -> Option<f64>;
    let by_stream: [(&str, &str, Value); 4] = [
        (
            "heliograph_relay_stream_uplink_delay_seconds",
            "How late the stream is already when it gets here, as far as that is known.",
            |stream| Some(stream.uplink?.on_arrival.as_secs_f64()),
        ),
        ("heliograph_relay_stream_sound_peak_dbfs", "The highest sample of the last second.", |stream| {
            Some(f64::from(stream.sound?.peak_dbfs))
        }),
        (
            "heliograph_relay_stream_sound_rms_dbfs",
            "The mean power of the sound over the last second.",
            |stream| Some(f64::from(stream.sound?.rms_dbfs)),
        ),
        (
            "heliograph_relay_stream_silent_seconds",
            "Since when nothing can be heard, 0 while something is.",
            |stream| Some(stream.sound?.silent_for.as_secs_f64()),
        ),
    ];
    for (name, help, value) in by_stream {
        let mut family = page.family(name, Kind::Gauge, help);
        for stream in streams {
            if let Some(value) = value(stream) {
                family.sample(&[("channel", &label(stream))], value);
            }
        }
    }
}

/// The channel, or the port of a stream without one: a colon stands in no channel's name.
fn label(stream: &StreamSnapshot) -> String {
    stream.channel.clone().unwrap_or_else(|| format!(":{}", stream.port))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::{
        collections::BTreeMap,
        time::{Duration, SystemTime},
    };

    use heliograph_media::{Codec, MediaKind};
    use heliograph_relay::{JoinTimes, StreamId, TrackSnapshot};

    use super::*;

    fn stream(port: u16, channel: Option<&str>) -> StreamSnapshot {
        StreamSnapshot {
            id: StreamId(1),
            port,
            channel: channel.map(str::to_owned),
            name: Some("A title, which is no label".to_owned()),
            since: SystemTime::now(),
            state: StreamState::Live,
            permanent: false,
            layers: Vec::new(),
            tracks: vec![TrackSnapshot {
                rid: None,
                kind: MediaKind::Video,
                codec: Codec::H264,
                payload_type: 96,
                profile_level_id: None,
                width: None,
                height: None,
                fps: None,
                bitrate_bps: 2_500_000,
                packets: 7,
                lost: 1,
                keyframe_interval_ms: None,
                drift_ppm: None,
                malformed: 0,
            }],
            viewers: 3,
            muted: false,
            viewer_delays: heliograph_relay::ViewerDelays {
                viewers: 2,
                p50: Some(Duration::from_millis(125)),
                p95: Some(Duration::from_millis(500)),
            },
            uplink: Some(heliograph_relay::Uplink {
                delay: Duration::from_millis(1_220),
                on_arrival: Duration::from_millis(20),
                basis: heliograph_relay::UplinkBasis::Network,
            }),
            unplayable: heliograph_relay::Unplayable::default(),
            sound: Some(heliograph_relay::SoundLevel {
                peak_dbfs: -6.0,
                rms_dbfs: -21.5,
                silent_for: Duration::ZERO,
            }),
            warnings: Vec::new(),
            refused: BTreeMap::from([("duplicate", 2)]),
        }
    }

    fn example() -> String {
        let audience = AudienceSnapshot {
            sessions: 4,
            joins: JoinTimes::default(),
            refused: vec![("full", 1)],
            ended: vec![("viewer_left", 5)],
        };
        let streams = [stream(24_000, Some("den")), stream(24_001, None)];
        page(&Process::read(), &[WorkerSnapshot::default(), WorkerSnapshot::default()], &streams, &audience)
    }

    #[test]
    fn samples_carry_their_labels() {
        let page = example();
        for line in [
            "heliograph_relay_worker_sessions{worker=\"1\"} 0",
            "heliograph_relay_egress_dropped_packets_total{worker=\"0\",cause=\"socket_full\"} 0",
            "heliograph_relay_stream_packets_total{channel=\"den\",kind=\"video\"} 7",
            "heliograph_relay_stream_viewers{channel=\":24001\"} 3",
            "heliograph_relay_stream_viewer_delay_seconds{channel=\"den\",quantile=\"0.95\"} 0.5",
            "heliograph_relay_stream_uplink_delay_seconds{channel=\"den\"} 0.02",
            "heliograph_relay_stream_sound_rms_dbfs{channel=\"den\"} -21.5",
            "heliograph_relay_stream_silent_seconds{channel=\":24001\"} 0",
            "heliograph_relay_stream_refused_datagrams_total{channel=\"den\",cause=\"duplicate\"} 2",
            "heliograph_relay_refused_viewers_total{cause=\"full\"} 1",
            "heliograph_relay_ended_sessions_total{reason=\"viewer_left\"} 5",
            "heliograph_relay_viewer_join_seconds_count 0",
        ] {
            assert!(page.lines().any(|present| present == line), "{line}\n{page}");
        }
        assert!(!page.contains("title"), "a title is for people");
    }

    /// `docs/metrics.md` has a row for each family, with its kind and labels, and no other rows.
    #[test]
    fn the_document_lists_what_is_served() {
        let page = example();
        let mut served: BTreeMap<&str, (&str, String)> = BTreeMap::new();
        for line in page.lines() {
            if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
                served.insert(name, (kind, String::new()));
            } else if let Some((series, rest)) = line.split_once('{') {
                let labels: Vec<&str> = rest
                    .split('}')
                    .next()
                    .unwrap()
                    .split(',')
                    .filter_map(|label| label.split('=').next())
                    .filter(|&label| label != "le")
                    .collect();
                if let Some((_, present)) = served.get_mut(series) {
                    *present = labels.join(", ");
                }
            }
        }
        let document = include_str!("../../docs/metrics.md");
        let mut listed: BTreeMap<&str, (&str, String)> = BTreeMap::new();
        for row in document.lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let [name, kind, labels, unit, meaning] = cells[..] else { panic!("five columns: {row}") };
            assert!(!unit.is_empty() && !meaning.is_empty(), "{row}");
            listed.insert(name.trim_matches('`'), (kind, labels.replace('`', "")));
        }
        assert_eq!(listed, served);
    }
}
