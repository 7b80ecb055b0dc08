//! From readings to a verdict: what fits, what limits first, who is full. Pure.

use super::{Basis, Capacity, Limit, LimitReading, ViewerLoad, WorkerCapacity};

/// Processor time for a packet before anything was measured, with segmentation offload and without: what a slow
/// server core needs.
const CAUTIOUS_US: (f64, f64) = (4.0, 6.0);
/// Load of a viewer while nothing is live: 720p at 2.6 Mbit/s with sound.
const USUAL_VIEWER: ViewerLoad =
    ViewerLoad { packets_per_s: 330.0, bits_per_s: 2_850_000.0, basis: Basis::Estimated };
/// Files kept for everything that is not a viewer: logs, publishers, pages, questions to this server.
const SPARE_FILES: u64 = 64;
/// Share of an interface's speed that can be filled before queues grow.
const NETWORK_SHARE: f64 = 0.95;
/// From this share on the interface is as good as full.
const NETWORK_FULL: f64 = 0.93;
/// Dropped packets, as a share, above which a full send buffer is more than bad luck.
const DROPPING: f64 = 0.01;
/// A worker that was full takes viewers again when it is this far below its limit, so that refusals do not flap.
const HYSTERESIS: f64 = 0.98;
/// A worker below this share of its limit is never called full, whatever the arithmetic says.
const BUSY_ENOUGH: f64 = 0.5;

/// What is known of the machine at one moment. Rates are smoothed already.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readings {
    /// Connected viewers.
    pub(crate) viewers: u32,
    /// Sessions of all workers.
    pub(crate) sessions: u32,
    /// Mean over the viewers, else over what is live, else nothing.
    pub(crate) per_viewer: Option<ViewerLoad>,
    pub(crate) workers: Vec<WorkerReadings>,
    pub(crate) files: Option<FileReadings>,
    pub(crate) network: Option<NetworkReadings>,
    pub(crate) max_viewers: u32,
    /// Share of a core that a worker may use, 0 to 1; none: as much as there is, and nobody is refused for it.
    pub(crate) max_cpu: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WorkerReadings {
    pub(crate) sessions: u32,
    /// Share of a core.
    pub(crate) cpu: f64,
    /// None before there was enough to measure.
    pub(crate) us_per_packet: Option<f64>,
    /// Packets per second and session; none with hardly any session.
    pub(crate) packets_per_session: Option<f64>,
    pub(crate) gso: bool,
    /// Share of the packets that were dropped because the socket stayed full.
    pub(crate) dropped: f64,
    /// It lost media a moment ago because it was seconds behind.
    pub(crate) losing: bool,
    /// It was full at the last verdict.
    pub(crate) was_full: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct FileReadings {
    pub(crate) open: u64,
    pub(crate) limit: u64,
    /// Sessions when `open` was read.
    pub(crate) sessions: u32,
}

impl FileReadings {
    /// For viewers who come later.
    fn free(&self) -> u64 {
        self.limit.saturating_sub(self.open).saturating_sub(SPARE_FILES)
    }

    /// So many have come since the files were counted that more than half of the rest could be used up. Only those over a
    /// WebSocket keep one open.
    pub(crate) fn is_outdated(&self, sessions: u32) -> bool {
        u64::from(sessions.saturating_sub(self.sessions)) > self.free() / 2
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct NetworkReadings {
    /// Bits per second, of the interface that carries most.
    pub(crate) speed: f64,
    /// What goes out there, whoever sends it.
    pub(crate) sent: f64,
}

/// A verdict, and how many sessions the gate may let in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) capacity: Capacity,
    /// All workers together; none: no more than `max_viewers`.
    pub(crate) seats: Option<u32>,
    /// Each worker; none: as many as come.
    pub(crate) worker_seats: Vec<Option<u32>>,
}

pub(crate) fn judge(readings: &Readings) -> Verdict {
    let load = readings.per_viewer.unwrap_or(USUAL_VIEWER);
    let measured: Vec<f64> = readings.workers.iter().filter_map(|worker| worker.us_per_packet).collect();
    let elsewhere = (!measured.is_empty()).then(|| measured.iter().sum::<f64>() / measured.len() as f64);
    let judged: Vec<JudgedWorker> = readings
        .workers
        .iter()
        .map(|worker| judge_worker(worker, load.packets_per_s, elsewhere, readings.max_cpu))
        .collect();

    let mut limits = vec![
        LimitReading {
            limit: Limit::MaxViewers,
            viewers: Some(readings.max_viewers),
            used_percent: Some(percent(f64::from(readings.sessions), f64::from(readings.max_viewers))),
            basis: Basis::Set,
            reached: readings.sessions >= readings.max_viewers,
        },
        cpu(readings, &judged),
        buffers(readings, &judged),
    ];
    let (files, file_seats) = files(readings);
    let (network, network_seats) = network(readings, load);
    limits.push(files);
    limits.push(network);
    // What is reached stands first, then what comes first, then what nobody knows.
    limits.sort_by_key(|reading| (!reading.reached, reading.viewers.unwrap_or(u32::MAX)));

    let first = &limits[0];
    let capacity = Capacity {
        viewers: readings.viewers,
        sessions: readings.sessions,
        can_carry: if first.reached {
            first.viewers.unwrap_or(u32::MAX).min(readings.sessions)
        } else {
            limits.iter().filter_map(|reading| reading.viewers).min().unwrap_or(readings.max_viewers)
        },
        limited_by: first.limit,
        full: limits.iter().any(|reading| reading.reached),
        per_viewer: load,
        workers: (0..)
            .zip(&readings.workers)
            .zip(&judged)
            .map(|((index, worker), judged)| WorkerCapacity {
                worker: index,
                sessions: worker.sessions,
                can_carry: judged.can_carry,
                cpu_percent: tenths(worker.cpu * 100.0),
                us_per_packet: (judged.us_per_packet * 100.0).round() / 100.0,
                basis: judged.basis,
                full: judged.full,
            })
            .collect(),
        limits,
    };
    Verdict {
        capacity,
        seats: [file_seats, network_seats].into_iter().flatten().min(),
        worker_seats: judged.iter().map(|judged| judged.seats).collect(),
    }
}

struct JudgedWorker {
    can_carry: u32,
    us_per_packet: f64,
    basis: Basis,
    seats: Option<u32>,
    /// By processor time or because it loses media.
    overloaded: bool,
    /// Its send buffer stays full.
    dropping: bool,
    full: bool,
}

fn judge_worker(
    worker: &WorkerReadings,
    usual_packets: f64,
    elsewhere: Option<f64>,
    max_cpu: Option<f64>,
) -> JudgedWorker {
    let (us_per_packet, basis) = match (worker.us_per_packet.or(elsewhere), worker.gso) {
        (Some(us), _) => (us, Basis::Measured),
        (None, true) => (CAUTIOUS_US.0, Basis::Estimated),
        (None, false) => (CAUTIOUS_US.1, Basis::Estimated),
    };
    let cost = us_per_packet * 1e-6 * worker.packets_per_session.unwrap_or(usual_packets);
    let fits = max_cpu.unwrap_or(1.0) / cost.max(1e-9);
    let can_carry = fits.min(f64::from(u32::MAX)) as u32;
    // Only what was measured on this very worker, while it was busy, may turn anybody away.
    let in_force = max_cpu.filter(|limit| worker.us_per_packet.is_some() && worker.cpu > limit * BUSY_ENOUGH);
    let by_cpu = in_force.map(|_| {
        let margin = if worker.was_full { HYSTERESIS } else { 1.0 };
        (f64::from(can_carry) * margin) as u32
    });
    let losing = (worker.losing && max_cpu.is_some()).then_some(worker.sessions);
    let dropping = worker.dropped > DROPPING;
    let by_buffers = dropping.then_some(worker.sessions);
    let seats = [by_cpu, losing, by_buffers].into_iter().flatten().min();
    let over = |seats: Option<u32>| seats.is_some_and(|seats| worker.sessions >= seats);
    JudgedWorker {
        can_carry,
        us_per_packet,
        basis,
        seats,
        overloaded: over(by_cpu) || losing.is_some(),
        dropping,
        full: over(seats),
    }
}

fn cpu(readings: &Readings, judged: &[JudgedWorker]) -> LimitReading {
    let limit = readings.max_cpu.unwrap_or(1.0);
    let busiest = readings.workers.iter().map(|worker| worker.cpu).fold(0.0, f64::max);
    LimitReading {
        limit: Limit::Cpu,
        viewers: Some(judged.iter().fold(0, |sum: u32, worker| sum.saturating_add(worker.can_carry))),
        used_percent: Some(percent(busiest, limit)),
        basis: if judged.iter().any(|worker| worker.basis == Basis::Measured) {
            Basis::Measured
        } else {
            Basis::Estimated
        },
        reached: !judged.is_empty() && judged.iter().all(|w| w.full) && judged.iter().any(|w| w.overloaded),
    }
}

fn buffers(readings: &Readings, judged: &[JudgedWorker]) -> LimitReading {
    let dropping = judged.iter().any(|worker| worker.dropping);
    let reached = dropping && judged.iter().all(|worker| worker.full);
    LimitReading {
        limit: Limit::Buffers,
        // How large a burst fits is a matter of the network behind it: only that it does not fit can be seen.
        viewers: dropping.then_some(readings.sessions),
        used_percent: None,
        basis: if dropping { Basis::Measured } else { Basis::Unknown },
        reached,
    }
}

fn files(readings: &Readings) -> (LimitReading, Option<u32>) {
    let mut reading = unknown(Limit::Files);
    let Some(files) = readings.files else { return (reading, None) };
    let seats = u32::try_from(files.free()).unwrap_or(u32::MAX).saturating_add(files.sessions);
    reading.viewers = Some(seats);
    reading.used_percent = Some(percent(files.open as f64, files.limit as f64));
    reading.basis = Basis::Set;
    reading.reached = readings.sessions >= seats;
    (reading, Some(seats))
}

fn network(readings: &Readings, load: ViewerLoad) -> (LimitReading, Option<u32>) {
    let mut reading = unknown(Limit::Network);
    let Some(network) = readings.network else { return (reading, None) };
    let fits = network.speed * NETWORK_SHARE / load.bits_per_s.max(1.0);
    reading.viewers = Some(fits.min(f64::from(u32::MAX)) as u32);
    reading.used_percent = Some(percent(network.sent, network.speed));
    reading.basis = Basis::Set;
    // Viewers may come by another way than this interface, so only a full one turns anybody away.
    reading.reached = network.sent >= network.speed * NETWORK_FULL && readings.sessions > 0;
    let seats = reading.reached.then_some(readings.sessions);
    (reading, seats)
}

/// A limit of which the system tells nothing.
const fn unknown(limit: Limit) -> LimitReading {
    LimitReading { limit, viewers: None, used_percent: None, basis: Basis::Unknown, reached: false }
}

fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { tenths(part / whole * 100.0) } else { 0.0 }
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(sessions: u32, cpu: f64, us_per_packet: f64) -> WorkerReadings {
        WorkerReadings {
            sessions,
            cpu,
            us_per_packet: Some(us_per_packet),
            packets_per_session: Some(330.0),
            gso: true,
            ..WorkerReadings::default()
        }
    }

    fn readings(workers: &[WorkerReadings]) -> Readings {
        let sessions = workers.iter().map(|worker| worker.sessions).sum();
        Readings {
            viewers: sessions,
            sessions,
            per_viewer: Some(ViewerLoad {
                packets_per_s: 330.0,
                bits_per_s: 2_900_000.0,
                basis: Basis::Measured,
            }),
            workers: workers.to_vec(),
            files: Some(FileReadings { open: 100 + u64::from(sessions), limit: 100_000, sessions }),
            network: None,
            max_viewers: 20_000,
            max_cpu: Some(0.9),
        }
    }

    fn reading(verdict: &Verdict, limit: Limit) -> LimitReading {
        verdict.capacity.limits.iter().find(|reading| reading.limit == limit).cloned().expect("all are there")
    }

    /// Sessions, share of a core, microseconds per packet, was full; then: carries, seats, full.
    type Case = ((u32, f64, f64, bool), (u32, Option<u32>, bool));

    #[test]
    fn a_worker_is_full_when_its_own_measurement_says_so() {
        let cases: &[Case] = &[
            // 0.9 / (2.5 us * 330/s)
            ((500, 0.41, 2.5, false), (1090, None, false)),
            ((700, 0.58, 2.5, false), (1090, Some(1090), false)),
            ((1089, 0.899, 2.5, false), (1090, Some(1090), false)),
            ((1090, 0.9, 2.5, false), (1090, Some(1090), true)),
            // Once full, it opens again only with some room.
            ((1075, 0.89, 2.5, true), (1090, Some(1068), true)),
            ((1067, 0.88, 2.5, true), (1090, Some(1068), false)),
            // Few viewers cost more each; that is no reason to refuse any.
            ((3, 0.02, 20.0, false), (136, None, false)),
            ((300, 0.3, 20.0, false), (136, None, false)),
            // Overtaken: those who are there stay.
            ((1500, 1.0, 2.5, false), (1090, Some(1090), true)),
        ];
        for &((sessions, cpu, us, was_full), (carries, seats, full)) in cases {
            let worker = WorkerReadings { was_full, ..worker(sessions, cpu, us) };
            let verdict = judge(&readings(&[worker]));
            let judged = &verdict.capacity.workers[0];
            let got = (judged.can_carry, verdict.worker_seats[0], judged.full);
            assert_eq!(got, (carries, seats, full), "{sessions} {cpu} {us} {was_full}");
            assert_eq!(verdict.capacity.full, full);
        }
    }

    #[test]
    fn without_a_limit_nobody_is_refused() {
        let mut readings = readings(&[WorkerReadings { losing: true, ..worker(1500, 1.0, 2.5) }]);
        readings.max_cpu = None;
        let verdict = judge(&readings);
        assert!(!verdict.capacity.full);
        assert_eq!(verdict.worker_seats, [None]);
        assert_eq!(verdict.capacity.can_carry, 1212, "a whole core");
    }

    #[test]
    fn before_a_measurement_it_says_estimated_and_refuses_nobody() {
        let idle = WorkerReadings { gso: true, ..WorkerReadings::default() };
        let mut readings = readings(&[idle, WorkerReadings { gso: false, ..idle }]);
        readings.per_viewer = None;
        let verdict = judge(&readings);
        let cpu = reading(&verdict, Limit::Cpu);
        assert_eq!((cpu.basis, cpu.viewers), (Basis::Estimated, Some(681 + 454)));
        assert_eq!(verdict.capacity.per_viewer.basis, Basis::Estimated);
        assert_eq!(verdict.worker_seats, [None, None]);
        assert_eq!(verdict.capacity.limited_by, Limit::Cpu);
    }

    #[test]
    fn what_one_worker_measured_counts_for_an_idle_one_but_turns_nobody_away_there() {
        let idle = WorkerReadings { gso: true, ..WorkerReadings::default() };
        let verdict = judge(&readings(&[worker(1090, 0.9, 2.5), idle]));
        assert_eq!(verdict.worker_seats, [Some(1090), None]);
        assert!(verdict.capacity.workers[0].full && !verdict.capacity.full, "there is room on the other one");
        assert_eq!(verdict.capacity.can_carry, 2180);
        assert_eq!(reading(&verdict, Limit::Cpu).used_percent, Some(100.0), "the busiest one tells");
    }

    #[test]
    fn the_first_limit_is_named() {
        let set = |change: &dyn Fn(&mut Readings)| {
            let mut readings = readings(&[worker(500, 0.41, 2.5)]);
            change(&mut readings);
            let verdict = judge(&readings);
            (verdict.capacity.limited_by, verdict.capacity.can_carry, verdict.capacity.full, verdict.seats)
        };
        assert_eq!(set(&|_| ()), (Limit::Cpu, 1090, false, Some(99_836)));
        assert_eq!(set(&|r| r.max_viewers = 800), (Limit::MaxViewers, 800, false, Some(99_836)));
        assert_eq!(set(&|r| r.max_viewers = 500), (Limit::MaxViewers, 500, true, Some(99_836)));
        let files = |open, limit| Some(FileReadings { open, limit, sessions: 500 });
        assert_eq!(set(&|r| r.files = files(600, 1024)), (Limit::Files, 860, false, Some(860)));
        assert_eq!(set(&|r| r.files = files(990, 1024)), (Limit::Files, 500, true, Some(500)));
        let outdated =
            [730, 731].map(|sessions| files(500, 1024).is_some_and(|files| files.is_outdated(sessions)));
        assert_eq!(outdated, [false, true], "a crowd that may not have opened any");
        assert_eq!(set(&|r| r.files = None), (Limit::Cpu, 1090, false, None));
        let network = |speed, sent| Some(NetworkReadings { speed, sent });
        assert_eq!(set(&|r| r.network = network(1e9, 1.45e8)), (Limit::Network, 327, false, Some(99_836)));
        assert_eq!(set(&|r| r.network = network(1e10, 1.45e9)), (Limit::Cpu, 1090, false, Some(99_836)));
        assert_eq!(set(&|r| r.network = network(1e9, 9.4e8)), (Limit::Network, 327, true, Some(500)));
    }

    #[test]
    fn a_worker_that_drops_or_loses_takes_nobody_more() {
        for (dropped, losing, limit, full) in [
            (0.0, false, Limit::Cpu, false),
            (0.009, false, Limit::Cpu, false),
            (0.02, false, Limit::Buffers, true),
            (0.0, true, Limit::Cpu, true),
        ] {
            let worker = WorkerReadings { dropped, losing, ..worker(100, 0.08, 2.5) };
            let verdict = judge(&readings(&[worker]));
            assert_eq!(
                (verdict.capacity.limited_by, verdict.capacity.full),
                (limit, full),
                "{dropped} {losing}"
            );
            assert_eq!(verdict.worker_seats, [full.then_some(100)]);
        }
    }

    #[test]
    fn a_verdict_is_finite_whatever_the_readings() {
        for value in [0.0, -1.0, f64::MIN_POSITIVE, 1e300] {
            let worker = WorkerReadings {
                packets_per_session: Some(value),
                us_per_packet: Some(value),
                cpu: value,
                dropped: value,
                ..worker(1, value, value)
            };
            let mut readings = readings(&[worker]);
            readings.network = Some(NetworkReadings { speed: value, sent: value });
            let Capacity { limits, workers, per_viewer, .. } = judge(&readings).capacity;
            let figures = limits
                .iter()
                .filter_map(|limit| limit.used_percent)
                .chain(workers.iter().flat_map(|worker| [worker.cpu_percent, worker.us_per_packet]))
                .chain([per_viewer.bits_per_s, per_viewer.packets_per_s]);
            for figure in figures {
                assert!(figure.is_finite(), "{value}: {limits:?} {workers:?}");
            }
        }
    }
}
