//! How many viewers this machine can carry, what limits it first, and the gate that keeps to it.
//!
//! ```text
//! counters, /proc, /sys -> watch (once a second) -> Meter (rates, smoothed) -> Readings -> judge -> Capacity
//!                                                                                      \-> seats at the gate
//! ```
//!
//! `meter` and `judge` are pure. A figure that was not measured says so.

pub(crate) mod judge;
pub(crate) mod meter;
pub(crate) mod watch;

use std::fmt;

use serde::Serialize;

/// What the machine can carry at the present bitrates, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Capacity {
    /// Connected viewers.
    pub viewers: u32,
    /// Viewer sessions, connected or not.
    pub sessions: u32,
    /// Sessions that the machine can carry: the lowest of all limits.
    pub can_carry: u32,
    /// Which limit that is.
    pub limited_by: Limit,
    /// New viewers are refused.
    pub full: bool,
    /// What one viewer costs on average.
    pub per_viewer: ViewerLoad,
    /// Each limit: the first one that is reached stands at the top.
    pub limits: Vec<LimitReading>,
    /// The egress workers. A viewer stays on its worker, and new ones go where there is room.
    pub workers: Vec<WorkerCapacity>,
}

impl Capacity {
    /// The first of `candidates` that turns viewers away; the last of them where the newest look saw none.
    pub(crate) fn reached_of(&self, candidates: [Limit; 2]) -> Limit {
        let reached =
            |limit: &Limit| self.limits.iter().any(|reading| reading.limit == *limit && reading.reached);
        candidates.into_iter().find(reached).unwrap_or(candidates[1])
    }
}

/// What can limit the number of viewers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// The setting `max_viewers`.
    #[default]
    MaxViewers,
    /// Processor time of the egress workers, up to `max_egress_cpu_percent` of a core each.
    Cpu,
    /// Open files: each WebSocket is one.
    Files,
    /// The speed of the network interface.
    Network,
    /// Socket send buffers: packets are dropped because they stay full.
    Buffers,
}

impl fmt::Display for Limit {
    /// What is used up, for whoever is turned away.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MaxViewers => "as many as are permitted (max_viewers) are there",
            Self::Cpu => "its egress workers have no processor time left",
            Self::Files => "it may not open more files",
            Self::Network => "its network interface is full",
            Self::Buffers => "its send buffers stay full",
        })
    }
}

/// Where a figure comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// Measured over the last seconds.
    Measured,
    /// Set, or told by the system.
    Set,
    /// Computed from a cautious constant, for want of a measurement.
    #[default]
    Estimated,
    /// Nothing is known.
    Unknown,
}

/// The mean load of one viewer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ViewerLoad {
    /// Packets per second.
    pub packets_per_s: f64,
    /// Bits per second on the wire, all headers included.
    pub bits_per_s: f64,
    /// [`Basis::Measured`] from what is live; [`Basis::Estimated`] when nothing is: then a 720p stream of
    /// 2.6 Mbit/s is assumed.
    pub basis: Basis,
}

/// One limit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LimitReading {
    /// Which.
    pub limit: Limit,
    /// Sessions that it allows; none where that is not known.
    pub viewers: Option<u32>,
    /// How much of it is used; none where that is not known.
    pub used_percent: Option<f64>,
    /// Where the figures come from.
    pub basis: Basis,
    /// New viewers are refused because of it.
    pub reached: bool,
}

/// One egress worker.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WorkerCapacity {
    /// Its number.
    pub worker: u16,
    /// Its sessions.
    pub sessions: u32,
    /// Sessions it can carry within the limit on processor time.
    pub can_carry: u32,
    /// Share of one core, in percent, over the last seconds.
    pub cpu_percent: f64,
    /// Processor time for one packet, microseconds, without that for joining.
    pub us_per_packet: f64,
    /// Whether `us_per_packet` was measured.
    pub basis: Basis,
    /// No new viewer is given to this worker.
    pub full: bool,
}
