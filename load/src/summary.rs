//! From what viewers saw to the report.

use std::{sync::Arc, time::Duration};

use crate::{
    crowd::Counts,
    histogram::{Histogram, round},
    meter::Usage,
    publish::PublisherFigures,
    report::{Generator, Join, Media, Probes, Report, SCHEMA, ServerCost, Share, StreamReport, Viewers},
    settings::LoadSettings,
    viewer::{Role, Transport, ViewerReport},
    watched::{Medium, Phase, Watched},
    worker::Outcome,
};

/// Streams that are listed one by one.
const LISTED: usize = 64;
/// A reading thread this busy, in percent of a processor, is the limit itself.
const BUSY: f64 = 90.0;
/// A publisher that is this late at worst one time in a hundred spoils the latencies.
const LATE_MS: f64 = 5.0;

/// What was measured at the edges of the phases.
#[derive(Debug, Clone)]
pub(crate) struct Edges {
    pub(crate) hold: Duration,
    pub(crate) begin: Edge,
    pub(crate) end: Edge,
    /// The server before the first viewer.
    pub(crate) before: Option<Usage>,
    pub(crate) connected_at_end: usize,
    pub(crate) joins_per_second: Option<f64>,
}

/// One edge of the hold.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Edge {
    pub(crate) server: Option<Usage>,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) own_cpu: Duration,
    pub(crate) threads_cpu: Duration,
}

/// Everything there is to summarise.
pub(crate) struct Material<'a> {
    pub(crate) settings: &'a LoadSettings,
    pub(crate) streams: &'a [Arc<Watched>],
    pub(crate) outcomes: &'a [Outcome],
    pub(crate) counts: &'a Counts,
    pub(crate) edges: &'a Edges,
    pub(crate) meter: &'static str,
    pub(crate) publisher: Option<&'a PublisherFigures>,
}

impl Material<'_> {
    /// The whole report.
    pub(crate) fn report(&self) -> Report {
        let all: Vec<&ViewerReport> = self.outcomes.iter().flat_map(|outcome| &outcome.viewers).collect();
        let connected: Vec<&ViewerReport> =
            all.iter().copied().filter(|viewer| viewer.handshake.is_some()).collect();
        let (media, streams) = self.media(&connected);
        let mut report = Report {
            schema: SCHEMA,
            url: self.settings.url.clone(),
            hold_seconds: seconds(self.edges.hold),
            viewers: self.viewers(&connected),
            join: self.join(&connected),
            media,
            ramp: self.shares(&connected, Phase::Ramp).0,
            latency_ms: self.latency(Phase::Hold).summary(1000.0),
            latency_kind: if self.has_tables() { "added" } else { "relative" },
            probes: self.probes(&connected),
            server: self.server(),
            generator: self.generator(&all),
            streams_omitted: streams.len().saturating_sub(LISTED),
            streams: streams.into_iter().take(LISTED).collect(),
            warnings: Vec::new(),
        };
        report.warnings = warnings(&report, self.settings);
        report
    }

    /// Latency of all viewers in a phase, in microseconds.
    pub(crate) fn latency(&self, phase: Phase) -> Histogram {
        let mut sum = Histogram::default();
        let each = self.outcomes.iter().flat_map(|outcome| &outcome.latency_us);
        each.for_each(|latency| sum.merge(&latency[phase as usize]));
        sum
    }

    fn has_tables(&self) -> bool {
        self.streams.iter().all(|stream| stream.published.is_some())
    }

    fn viewers(&self, connected: &[&ViewerReport]) -> Viewers {
        let over = |transport| connected.iter().filter(|viewer| viewer.transport == transport).count();
        let counts = self.counts;
        Viewers {
            wanted: self.settings.viewers,
            connected: counts.connected - counts.late,
            connected_at_end: self.edges.connected_at_end,
            failed: counts.failed,
            lost: counts.lost,
            left: counts.left,
            late: counts.late,
            whep: over(Transport::Whep),
            websocket: over(Transport::WebSocket),
            slow: connected.iter().filter(|viewer| viewer.slow).count(),
            last_failure: counts.last_failure.clone(),
        }
    }

    fn join(&self, connected: &[&ViewerReport]) -> Join {
        // Those who stop reading do not start cleanly by design.
        let readers: Vec<_> = connected.iter().copied().filter(|viewer| !viewer.slow).collect();
        Join {
            wanted_per_second: self.settings.ramp,
            achieved_per_second: self.edges.joins_per_second.map(round),
            handshake_ms: times(connected, |viewer| viewer.handshake),
            first_picture_ms: times(&readers, |viewer| viewer.first_picture),
            clean_start_ms: times(&readers, |viewer| viewer.clean_start),
            without_clean_start: readers.iter().filter(|viewer| viewer.clean_start.is_none()).count(),
        }
    }

    /// Shares of all viewers that read all the time in a phase: their sum, and each one's ratio.
    fn shares(&self, connected: &[&ViewerReport], phase: Phase) -> (Share, Vec<f64>) {
        let (mut owed, mut delivered, mut ratios) = (0, 0, Vec::new());
        let most = self.most_by_stream(connected, phase);
        for viewer in connected.iter().filter(|viewer| !viewer.slow) {
            let share = viewer.shares[phase as usize];
            // Of a foreign stream only those can be compared who were there all the time.
            let Some(mine) = share.owed.or_else(|| viewer.stayed.then_some(most[viewer.stream])) else {
                continue;
            };
            if mine > 0 {
                owed += mine;
                delivered += share.delivered;
                ratios.push(share.delivered as f64 / mine as f64);
            }
        }
        (share(owed, delivered), ratios)
    }

    /// The most that any viewer of each stream got: the best guess at what a foreign publisher sent.
    fn most_by_stream(&self, connected: &[&ViewerReport], phase: Phase) -> Vec<u64> {
        let mut most = vec![0; self.streams.len()];
        for viewer in connected {
            let best: &mut u64 = &mut most[viewer.stream];
            *best = (*best).max(viewer.shares[phase as usize].delivered);
        }
        most
    }

    fn published(&self, stream: &Watched, most: u64) -> u64 {
        if stream.published.is_none() {
            return most;
        }
        let both = Medium::BOTH.map(|medium| stream.hold_packets(medium));
        both.iter().map(|(begin, end)| end.saturating_sub(*begin)).sum()
    }

    fn media(&self, connected: &[&ViewerReport]) -> (Media, Vec<StreamReport>) {
        let (share, ratios) = self.shares(connected, Phase::Hold);
        let most = self.most_by_stream(connected, Phase::Hold);
        let streams: Vec<_> = self
            .streams
            .iter()
            .map(|stream| {
                let mine: Vec<_> =
                    connected.iter().copied().filter(|viewer| viewer.stream == stream.index).collect();
                let mut latency = Histogram::default();
                for outcome in self.outcomes {
                    latency.merge(&outcome.latency_us[stream.index][Phase::Hold as usize]);
                }
                StreamReport {
                    name: stream.place.to_string(),
                    viewers: mine.len(),
                    published_packets: self.published(stream, most[stream.index]),
                    share: self.shares(&mine, Phase::Hold).0,
                    missing_packets: sum(&mine, |viewer| viewer.gaps),
                    latency_ms: latency.summary(1000.0),
                }
            })
            .collect();
        let readers: Vec<_> = connected.iter().copied().filter(|viewer| !viewer.slow).collect();
        let (begin, end) = (&self.edges.begin, &self.edges.end);
        let media = Media {
            published_by: if self.has_tables() {
                "own publisher"
            } else {
                "estimate: the most that any viewer of the stream received"
            },
            published_packets: streams.iter().map(|stream| stream.published_packets).sum(),
            share,
            worst_viewer_ratio: ratios.iter().copied().reduce(f64::min).map(ratio),
            viewers_with_loss: ratios.iter().filter(|ratio| **ratio < 1.0).count(),
            missing_packets: sum(&readers, |viewer| viewer.gaps),
            repeated_packets: sum(&readers, |viewer| viewer.repeated),
            rtx_packets: sum(&readers, |viewer| viewer.rtx),
            injected_drops_packets: sum(&readers, |viewer| viewer.injected_drops),
            longest_pause_ms: times(&readers, |viewer| {
                Some(viewer.longest_pause).filter(|pause| !pause.is_zero())
            }),
            received_packets: end.packets - begin.packets,
            received_mbit_per_second: round(
                (end.bytes - begin.bytes) as f64 * 8e-6 / self.edges.hold.as_secs_f64(),
            ),
        };
        (media, streams)
    }

    fn probes(&self, connected: &[&ViewerReport]) -> Probes {
        let probes: Vec<_> = connected.iter().copied().filter(|viewer| viewer.role == Role::Probe).collect();
        let figures = || probes.iter().filter_map(|viewer| viewer.probe.as_ref());
        let mut latency = Histogram::default();
        figures().for_each(|figures| latency.merge(&figures.latency_us));
        let timelines = self
            .streams
            .iter()
            .flat_map(|stream| Medium::BOTH.into_iter().filter_map(|medium| stream.timeline(medium)));
        Probes {
            count: probes.len(),
            latency_ms: latency.summary(1000.0),
            clean_start_ms: times(&probes, |viewer| viewer.clean_start),
            first_picture_ms: times(&probes, |viewer| viewer.first_picture),
            payloads_whole: figures().map(|figures| figures.whole).sum(),
            payloads_damaged: figures().map(|figures| figures.damaged).sum(),
            payloads_foreign: figures().map(|figures| figures.foreign).sum(),
            missing_packets: sum(&probes, |viewer| viewer.gaps),
            repeated_packets: sum(&probes, |viewer| viewer.repeated),
            rtx_packets: sum(&probes, |viewer| viewer.rtx),
            timeline_shifts: timelines.map(crate::timeline::Timeline::shifted).sum(),
        }
    }

    fn server(&self) -> Option<ServerCost> {
        let edges = self.edges;
        let (before, begin, end) = (edges.before?, edges.begin.server?, edges.end.server?);
        let cpu = end.cpu.saturating_sub(begin.cpu);
        let packets = edges.end.packets - edges.begin.packets;
        let grown = end.resident as f64 - before.resident as f64;
        Some(ServerCost {
            source: self.meter,
            cpu_cores: round(cpu.as_secs_f64() / edges.hold.as_secs_f64()),
            cpu_us_per_packet: per(cpu, packets),
            rss_before_kib: before.resident / 1024,
            rss_hold_begin_kib: begin.resident / 1024,
            rss_hold_end_kib: end.resident / 1024,
            kib_per_viewer: round(grown / 1024.0 / edges.connected_at_end.max(1) as f64),
        })
    }

    fn generator(&self, all: &[&ViewerReport]) -> Generator {
        let edges = self.edges;
        let hold = edges.hold.as_secs_f64();
        let mut read_delay = Histogram::default();
        let (mut calls, mut groups, mut datagrams) = (0, 0, 0);
        for outcome in self.outcomes {
            read_delay.merge(&outcome.read_delay_us);
            calls += outcome.calls;
            groups += outcome.groups;
            datagrams += outcome.datagrams;
        }
        let quotient = |a: u64, b: u64| (b > 0).then(|| round(a as f64 / b as f64));
        let threads_cpu = edges.end.threads_cpu.saturating_sub(edges.begin.threads_cpu);
        let own_cpu = edges.end.own_cpu.saturating_sub(edges.begin.own_cpu);
        Generator {
            threads: self.settings.threads,
            cpu_cores: round(own_cpu.as_secs_f64() / hold),
            viewer_cpu_us_per_packet: per(threads_cpu, edges.end.packets - edges.begin.packets),
            threads_busy_percent: round(
                100.0 * threads_cpu.as_secs_f64() / hold / self.settings.threads as f64,
            ),
            socket_drops_packets: all
                .iter()
                .filter(|viewer| !viewer.slow)
                .map(|viewer| viewer.socket_drops)
                .sum(),
            read_delay_ms: read_delay.summary(1000.0),
            datagrams_per_group: quotient(datagrams, groups),
            groups_per_call: quotient(groups, calls),
            receive_offload: self.settings.receive_offload,
            publisher_late_ms: self.publisher.and_then(|publisher| publisher.late_us.summary(1000.0)),
            publisher_failed_packets: self.publisher.map_or(0, |publisher| publisher.failed),
        }
    }
}

fn warnings(report: &Report, settings: &LoadSettings) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut warn = |wrong: bool, text: String| {
        if wrong {
            warnings.push(text);
        }
    };
    let generator = &report.generator;
    warn(
        generator.threads_busy_percent > BUSY,
        format!(
            "the generator's threads were {:.0} % busy: more --threads, or fewer --viewers",
            generator.threads_busy_percent
        ),
    );
    warn(
        generator.socket_drops_packets > 0,
        format!(
            "{} datagrams were dropped in our own sockets' buffers: they look like the server's loss, and are not",
            generator.socket_drops_packets
        ),
    );
    let late = generator.publisher_late_ms.map_or(0.0, |late| late.p99);
    warn(late > LATE_MS, format!("the publisher sent up to {late:.1} ms late (p99): the machine is busy"));
    warn(
        generator.publisher_failed_packets > 0,
        format!("the kernel did not take {} packets of the publisher", generator.publisher_failed_packets),
    );
    warn(
        report.probes.payloads_damaged > 0,
        format!("{} payloads were damaged", report.probes.payloads_damaged),
    );
    warn(
        report.probes.timeline_shifts > 0,
        "the server moved a stream's timestamps while it was measured: delivery and latency are not exact"
            .to_owned(),
    );
    let lost = report.viewers.lost + report.viewers.failed;
    warn(lost > 0, format!("{lost} viewers failed or were lost"));
    warn(
        settings.loss > 0.0,
        format!(
            "viewers dropped {} % of what they got, as asked: delivery counts what was left",
            settings.loss
        ),
    );
    warnings
}

fn share(owed: u64, delivered: u64) -> Share {
    Share {
        owed_packets: owed,
        delivered_packets: delivered,
        delivered_ratio: (owed > 0).then(|| ratio(delivered as f64 / owed as f64)),
    }
}

/// Six decimals, rounded down below 1: a single lost packet must show.
fn ratio(value: f64) -> f64 {
    (value * 1e6).floor() / 1e6
}

fn seconds(duration: Duration) -> f64 {
    round(duration.as_secs_f64())
}

fn per(cpu: Duration, packets: u64) -> Option<f64> {
    (packets > 0).then(|| round(cpu.as_secs_f64() * 1e6 / packets as f64))
}

fn sum(viewers: &[&ViewerReport], value: impl Fn(&ViewerReport) -> u64) -> u64 {
    viewers.iter().map(|viewer| value(viewer)).sum()
}

fn times(
    viewers: &[&ViewerReport],
    value: impl Fn(&ViewerReport) -> Option<Duration>,
) -> Option<crate::histogram::Summary> {
    let mut histogram = Histogram::default();
    for time in viewers.iter().filter_map(|viewer| value(viewer)) {
        histogram.add(time.as_micros() as u64);
    }
    histogram.summary(1000.0)
}
