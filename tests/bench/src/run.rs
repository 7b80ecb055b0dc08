//! One case: a server, a generator, each on processors of its own, and what came of it.

use std::{fs, path::Path, process::Stdio, time::Duration};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::{
    cases::Case,
    cpus::{Placement, Processors},
    floor,
    server::Server,
};

/// What a case showed. Times in milliseconds unless said otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) case: Case,
    /// Processor time of the server's process per packet that viewers got, microseconds.
    pub(crate) cost_us: f64,
    /// The same for the kernel alone.
    pub(crate) floor_us: f64,
    /// Processors that the server used.
    pub(crate) cores: f64,
    /// Part of what was published that the viewers got.
    pub(crate) delivered: f64,
    /// The same for those who were watching while others joined.
    pub(crate) delivered_in_ramp: f64,
    pub latency_p50: f64,
    pub latency_p99: f64,
    pub handshake_p95: f64,
    pub clean_start_p95: f64,
    /// Resident memory, KiB per viewer.
    pub(crate) memory_kib: f64,
    /// Packets that the generator itself lost: not the server's fault, and the row is to be read with care.
    pub(crate) generator_drops: f64,
    /// Part of a processor that the generator's reading threads used, percent.
    pub(crate) generator_busy: f64,
    /// Packets that each worker has sent; as all viewers of a stream get the same, that is how they were dealt out.
    pub(crate) split: Vec<u64>,
    /// What the generator warns of.
    pub(crate) warnings: Vec<String>,
}

impl Row {
    /// Of several measurements of one case: the median of each figure, the worst of what was delivered and of what the
    /// generator lost; `None` without any.
    pub(crate) fn median(rounds: &[Self]) -> Option<Self> {
        let median = |of: fn(&Self) -> f64| {
            let mut values: Vec<f64> = rounds.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let last = rounds.last()?.clone();
        let worst = |of: fn(&Self) -> f64| rounds.iter().map(of).fold(f64::INFINITY, f64::min);
        Some(Self {
            cost_us: median(|row| row.cost_us),
            floor_us: median(|row| row.floor_us),
            cores: median(|row| row.cores),
            delivered: worst(|row| row.delivered),
            delivered_in_ramp: worst(|row| row.delivered_in_ramp),
            latency_p50: median(|row| row.latency_p50),
            latency_p99: median(|row| row.latency_p99),
            handshake_p95: median(|row| row.handshake_p95),
            clean_start_p95: median(|row| row.clean_start_p95),
            memory_kib: median(|row| row.memory_kib),
            generator_drops: rounds.iter().map(|row| row.generator_drops).fold(0.0, f64::max),
            generator_busy: median(|row| row.generator_busy),
            ..last
        })
    }

    /// Processor time against the floor.
    pub(crate) fn ratio(&self) -> f64 {
        self.cost_us / self.floor_us
    }

    /// Viewers that one processor carries at this cost.
    pub(crate) fn viewers_per_core(&self) -> f64 {
        self.case.viewers as f64 / self.cores
    }
}

/// Runs one case.
///
/// # Errors
/// When a part cannot be started, or the generator says that its run is void.
pub(crate) fn run(
    program: &Path,
    case: Case,
    hold: Duration,
    processors: &Processors,
) -> anyhow::Result<Row> {
    let place = processors.server(case.workers);
    let others = processors.generator(&place);
    let floor_us = floor::measure(case.viewers, hold.as_secs().min(10), &place, &others)
        .context("the floor of this machine")?;
    let (report, split) = measure(program, case, hold, &place, &others)?;
    let number = |path: &str| {
        report.pointer(path).and_then(Value::as_f64).with_context(|| format!("the generator's {path}"))
    };
    let warnings = report["warnings"].as_array().cloned().unwrap_or_default();
    Ok(Row {
        case,
        cost_us: number("/server/cpu_us_per_packet")?,
        floor_us,
        cores: number("/server/cpu_cores")?,
        delivered: number("/media/delivered_ratio")?,
        delivered_in_ramp: number("/ramp/delivered_ratio")?,
        latency_p50: number("/latency_ms/p50")?,
        latency_p99: number("/latency_ms/p99")?,
        handshake_p95: number("/join/handshake_ms/p95")?,
        clean_start_p95: number("/join/clean_start_ms/p95")?,
        memory_kib: number("/server/kib_per_viewer")?,
        generator_drops: number("/generator/socket_drops_packets")?,
        generator_busy: number("/generator/threads_busy_percent")?,
        split,
        warnings: warnings.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect(),
    })
}

fn measure(
    program: &Path,
    case: Case,
    hold: Duration,
    place: &Placement,
    others: &Placement,
) -> anyhow::Result<(Value, Vec<u64>)> {
    let server = Server::start(program, case.workers, place)?;
    let mut generator = others.command(program);
    generator.arg("load").arg(Server::url());
    generator.args(["--control", &Server::control_url()]);
    generator.args(["--publish", "--streams", &case.streams.to_string()]);
    generator.args(["--bitrate", &floor::KBIT.to_string()]);
    generator.args(["--keyframe-interval", &floor::KEYFRAME_EVERY.as_secs().to_string()]);
    generator.args(["--viewers", &case.viewers.to_string(), "--ramp", &case.ramp.to_string()]);
    generator.args(["--hold", &hold.as_secs().to_string()]);
    generator.args(["--transport", if case.websocket { "websocket" } else { "whep" }]);
    generator.args(["--server-pid", &server.pid().to_string()]);
    generator.args(["--threads", &others.count().to_string()]);
    // On a real network every datagram arrives by itself.
    generator.arg("--no-gro");
    if case.feedback {
        generator.args(["--feedback", "--loss", "2"]);
    }
    let output = generator.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(output.status.success(), "the generator's run is void ({}):\n{text}", output.status);
    let report: Value = serde_json::from_str(&text).context("the generator's report")?;
    let split = split(&Server::metrics()?);
    server.stop()?;
    Ok((report, split))
}

/// Packets that each worker has sent: how evenly viewers were dealt out.
fn split(metrics: &str) -> Vec<u64> {
    metrics
        .lines()
        .filter(|line| line.starts_with("heliograph_relay_egress_packets_total{"))
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
        .map(|packets| packets as u64)
        .collect()
}

/// Kernel, processor and date: without them figures mean nothing.
pub(crate) fn machine(processors: &Processors) -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let name = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |rest| rest.trim_start_matches([' ', '\t', ':']).trim())
        .to_owned();
    let kernel = read("/proc/sys/kernel/osrelease");
    let count = processors.count();
    format!("{count} processors ({name}), Linux {}, loopback", kernel.trim())
}
