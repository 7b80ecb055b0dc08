//! Rates out of counters, smoothed so that figures do not jump: a keyframe burst or a rush of joining viewers is no
//! permanent load. Sans-IO.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{
    Basis, ViewerLoad,
    judge::{FileReadings, NetworkReadings, Readings, WorkerReadings},
};
use crate::{StreamId, StreamSnapshot, WorkerSnapshot};

/// Time constant of the smoothing.
const SMOOTH: Duration = Duration::from_secs(8);
/// The same for the share of a core, which has to tell of a change soon.
const SMOOTH_CPU: Duration = Duration::from_secs(3);
/// Packets per second of a worker below which its processor time per packet says little: wake-ups outweigh them.
const ENOUGH_PACKETS: f64 = 5_000.0;
/// Sessions below which a worker's packets per session say little.
const ENOUGH_SESSIONS: f64 = 3.0;
/// Samples before anything counts as measured.
const ENOUGH_SAMPLES: u32 = 3;
/// What a joining viewer costs its worker besides packets (checks of its path, passing on the handshake, keys): not
/// to be counted as the cost of packets. With 300 joins a second, so much has to be taken off for the cost per
/// packet to be that of the steady state afterwards.
const JOIN_COST: Duration = Duration::from_micros(60);
/// At most this share of the processor time is put down to joining.
const MOST_FOR_JOINS: f64 = 0.5;
/// How long a worker counts as losing after it lost something.
const LOSING_FOR: Duration = Duration::from_secs(10);
/// Ethernet, IP and UDP around a packet, with the gap between frames, in bytes.
const WIRE_OVERHEAD: f64 = 66.0;
/// RTP header with extensions, and the tag.
const PACKET_OVERHEAD: f64 = 12.0 + 8.0 + 16.0;

/// Counters at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) at: Instant,
    pub(crate) workers: Vec<WorkerSnapshot>,
    /// Workers that the last verdict called full.
    pub(crate) full: Vec<bool>,
    pub(crate) streams: Vec<StreamSnapshot>,
    /// Viewers that have connected since the start.
    pub(crate) joins: u64,
    pub(crate) sessions: u32,
    pub(crate) files: Option<FileReadings>,
    pub(crate) network: Option<InterfaceSample>,
    pub(crate) max_viewers: u32,
    pub(crate) max_cpu: Option<f64>,
}

/// A network interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InterfaceSample {
    /// Its place in the system's list: figures of different ones must not be compared.
    pub(crate) index: u32,
    pub(crate) speed_mbps: u64,
    pub(crate) sent_bytes: u64,
}

/// Turns samples into readings.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    last: Option<Sample>,
    samples: u32,
    workers: Vec<WorkerMeter>,
    streams: HashMap<StreamId, StreamMeter>,
    network: Mean,
}

#[derive(Clone, Copy, Debug, Default)]
struct StreamMeter {
    packets: Mean,
    /// Of payload. A keyframe makes one second larger than the next.
    bits: Mean,
}

#[derive(Clone, Debug, Default)]
struct WorkerMeter {
    /// Seconds of processor time for packets, and those packets, both fading.
    cpu_for_packets: Mean,
    packets: Mean,
    sessions: Mean,
    dropped: Mean,
    cpu: Mean,
    lost_at: Option<Instant>,
}

/// A mean per second that fades: recent seconds weigh more.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    sum: f64,
    weight: f64,
}

impl Mean {
    /// `amount` came within `passed`.
    fn add(&mut self, amount: f64, passed: f64, constant: Duration) {
        let keep = (-passed / constant.as_secs_f64()).exp();
        self.sum = self.sum * keep + amount;
        self.weight = self.weight * keep + passed;
    }

    fn per_second(self) -> f64 {
        if self.weight > 0.0 { self.sum / self.weight } else { 0.0 }
    }
}

impl Meter {
    /// Takes the next sample; `None` when no time has passed since the last one. After the first there are no rates.
    pub(crate) fn take(&mut self, sample: Sample) -> Option<Readings> {
        let Some(last) = self.last.take() else {
            let readings = without_rates(&sample);
            self.last = Some(sample);
            return Some(readings);
        };
        let passed = sample.at.saturating_duration_since(last.at).as_secs_f64();
        if passed < 0.01 {
            self.last = Some(last);
            return None;
        }
        self.samples = self.samples.saturating_add(1);
        self.workers.resize_with(sample.workers.len(), WorkerMeter::default);
        let packets_of_streams = self.take_streams(&last, &sample, passed);
        self.take_network(&last, &sample, passed);
        // Viewers are spread evenly, so are those who have just come.
        let joins = sample.joins.saturating_sub(last.joins) as f64 / sample.workers.len().max(1) as f64;
        for ((meter, now), before) in self.workers.iter_mut().zip(&sample.workers).zip(&last.workers) {
            meter.take(now, before, passed, joins, sample.at);
        }
        let measured = self.samples >= ENOUGH_SAMPLES;
        let most_packets = packets_of_streams.iter().map(|load| load.packets_per_s).reduce(f64::max);
        let readings = Readings {
            viewers: sample.streams.iter().map(|stream| stream.viewers).sum(),
            sessions: sample.sessions,
            per_viewer: mean_viewer(&packets_of_streams),
            workers: self
                .workers
                .iter()
                .zip(&sample.workers)
                .enumerate()
                .map(|(index, (meter, worker))| WorkerReadings {
                    was_full: sample.full.get(index).copied().unwrap_or(false),
                    ..meter.readings(worker, most_packets, measured, sample.at)
                })
                .collect(),
            files: sample.files,
            network: sample.network.map(|interface| NetworkReadings {
                speed: interface.speed_mbps as f64 * 1e6,
                sent: self.network.per_second() * 8.0,
            }),
            max_viewers: sample.max_viewers,
            max_cpu: sample.max_cpu,
        };
        self.last = Some(sample);
        Some(readings)
    }

    fn take_streams(&mut self, last: &Sample, sample: &Sample, passed: f64) -> Vec<StreamLoad> {
        let packets = |stream: &StreamSnapshot| stream.tracks.iter().map(|track| track.packets).sum::<u64>();
        let before: HashMap<StreamId, u64> =
            last.streams.iter().map(|stream| (stream.id, packets(stream))).collect();
        self.streams.retain(|id, _| sample.streams.iter().any(|stream| stream.id == *id));
        let mut loads = Vec::with_capacity(sample.streams.len());
        for stream in &sample.streams {
            let Some(before) = before.get(&stream.id) else { continue };
            let payload: u64 = stream.tracks.iter().map(|track| track.bitrate_bps).sum();
            let meter = self.streams.entry(stream.id).or_default();
            meter.packets.add(packets(stream).saturating_sub(*before) as f64, passed, SMOOTH);
            meter.bits.add(payload as f64 * passed, passed, SMOOTH);
            let packets_per_s = meter.packets.per_second();
            if packets_per_s < 1.0 {
                continue;
            }
            let overhead = packets_per_s * (WIRE_OVERHEAD + PACKET_OVERHEAD) * 8.0;
            let bits_per_s = meter.bits.per_second() + overhead;
            loads.push(StreamLoad { viewers: stream.viewers, packets_per_s, bits_per_s });
        }
        loads
    }

    fn take_network(&mut self, last: &Sample, sample: &Sample, passed: f64) {
        match (last.network, sample.network) {
            (Some(before), Some(now)) if before.index == now.index => {
                let sent = now.sent_bytes.saturating_sub(before.sent_bytes);
                self.network.add(sent as f64, passed, SMOOTH_CPU);
            }
            _ => self.network = Mean::default(),
        }
    }
}

fn without_rates(sample: &Sample) -> Readings {
    let worker = |worker: &WorkerSnapshot| WorkerReadings {
        sessions: worker.sessions,
        gso: worker.gso,
        ..WorkerReadings::default()
    };
    Readings {
        viewers: sample.streams.iter().map(|stream| stream.viewers).sum(),
        sessions: sample.sessions,
        workers: sample.workers.iter().map(worker).collect(),
        files: sample.files,
        max_viewers: sample.max_viewers,
        max_cpu: sample.max_cpu,
        ..Readings::default()
    }
}

#[derive(Clone, Copy, Debug)]
struct StreamLoad {
    viewers: u32,
    packets_per_s: f64,
    bits_per_s: f64,
}

/// The mean over the viewers, or over the streams while nobody watches.
fn mean_viewer(streams: &[StreamLoad]) -> Option<ViewerLoad> {
    let watched = streams.iter().any(|stream| stream.viewers > 0);
    let weight = |stream: &StreamLoad| if watched { f64::from(stream.viewers) } else { 1.0 };
    let all: f64 = streams.iter().map(weight).sum();
    if all <= 0.0 {
        return None;
    }
    let mean = |value: fn(&StreamLoad) -> f64| {
        (streams.iter().map(|stream| value(stream) * weight(stream)).sum::<f64>() / all).round()
    };
    Some(ViewerLoad {
        packets_per_s: mean(|stream| stream.packets_per_s),
        bits_per_s: mean(|stream| stream.bits_per_s),
        basis: Basis::Measured,
    })
}

impl WorkerMeter {
    fn take(&mut self, now: &WorkerSnapshot, before: &WorkerSnapshot, passed: f64, joins: f64, at: Instant) {
        let cpu = now.cpu_us.saturating_sub(before.cpu_us) as f64 / 1e6;
        let packets = now.packets.saturating_sub(before.packets) as f64;
        let dropped = now.dropped_full.saturating_sub(before.dropped_full) as f64;
        let for_joins = (joins * JOIN_COST.as_secs_f64()).min(cpu * MOST_FOR_JOINS);
        self.cpu_for_packets.add(cpu - for_joins, passed, SMOOTH);
        self.packets.add(packets, passed, SMOOTH);
        self.dropped.add(dropped, passed, SMOOTH);
        let sessions = f64::from(now.sessions + before.sessions) / 2.0;
        self.sessions.add(sessions * passed, passed, SMOOTH);
        self.cpu.add(cpu, passed, SMOOTH_CPU);
        if now.batches_lost > before.batches_lost {
            self.lost_at = Some(at);
        }
    }

    /// `most_packets`: of the liveliest stream. A viewer that joins gets the past faster than real time; that is
    /// over soon, and does not count.
    fn readings(
        &self,
        worker: &WorkerSnapshot,
        most_packets: Option<f64>,
        measured: bool,
        at: Instant,
    ) -> WorkerReadings {
        let packets = self.packets.per_second();
        let sessions = self.sessions.per_second();
        let dropped = self.dropped.per_second();
        let enough = measured && packets >= ENOUGH_PACKETS;
        WorkerReadings {
            sessions: worker.sessions,
            cpu: self.cpu.per_second(),
            us_per_packet: enough.then(|| self.cpu_for_packets.per_second() / packets * 1e6),
            packets_per_session: (measured && sessions >= ENOUGH_SESSIONS && packets >= ENOUGH_PACKETS)
                .then(|| (packets / sessions).min(most_packets.unwrap_or(f64::INFINITY))),
            gso: worker.gso,
            dropped: if packets >= ENOUGH_PACKETS { dropped / (packets + dropped) } else { 0.0 },
            losing: self.lost_at.is_some_and(|lost| at.saturating_duration_since(lost) < LOSING_FOR),
            was_full: false,
        }
    }
}

#[cfg(test)]
#[path = "meter_tests.rs"]
mod tests;
