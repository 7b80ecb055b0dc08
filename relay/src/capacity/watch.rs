//! Looks at the machine once a second, tells the gate, and writes a line now and then.

use std::{
    fs, io,
    path::Path,
    sync::{Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use tokio::time::{self, MissedTickBehavior};
use tracing::{info, warn};

use super::{
    Basis, Capacity, Limit,
    judge::{FileReadings, Verdict, judge},
    meter::{InterfaceSample, Meter, Sample},
};
use crate::{host, relay::Inner};

/// How often counters are read.
const PERIOD: Duration = Duration::from_secs(1);
/// Every so many looks the open files are counted, if no crowd comes: on old kernels that costs more.
const SLOW_PERIOD: u32 = 5;
/// A line this often while there are viewers.
const LINE_EVERY: Duration = Duration::from_secs(60);
/// Another limit comes first: told when it has stayed so long.
const STAYED: Duration = Duration::from_secs(10);

/// The newest verdict, for whoever asks.
#[derive(Debug, Default)]
pub(crate) struct Board(Mutex<Option<Capacity>>);

impl Board {
    /// What was last written.
    pub(crate) fn read(&self) -> Option<Capacity> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn write(&self, capacity: Capacity) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(capacity);
    }
}

/// Runs while the relay lives.
pub(crate) async fn watch(relay: Weak<Inner>) {
    let mut meter = Meter::default();
    let mut teller = Teller::default();
    let mut full = Vec::new();
    let mut files = None;
    let mut ticks = time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for tick in 0_u32.. {
        ticks.tick().await;
        let Some(relay) = relay.upgrade() else { return };
        let sessions = relay.egress.house.sessions();
        if tick % SLOW_PERIOD == 0 || files.is_some_and(|files: FileReadings| files.is_outdated(sessions)) {
            files = file_readings(&relay);
        }
        let Some(readings) = meter.take(sample(&relay, &full, files)) else { continue };
        let verdict = judge(&readings);
        full = verdict.capacity.workers.iter().map(|worker| worker.full).collect();
        relay.apply(&verdict);
        let now = Instant::now();
        if let Some(line) = teller.line(now, &verdict.capacity) {
            match line {
                Line::Plain(text) => info!("{text}"),
                Line::Warning(text) => warn!("{text}"),
            }
        }
        relay.board.write(verdict.capacity);
    }
}

fn sample(relay: &Inner, full: &[bool], files: Option<FileReadings>) -> Sample {
    let audience = relay.egress.house.snapshot();
    Sample {
        at: Instant::now(),
        workers: relay.egress.snapshots(),
        full: full.to_vec(),
        streams: relay.streams.all().iter().map(|stream| stream.snapshot()).collect(),
        joins: audience.joins.count,
        sessions: audience.sessions,
        files,
        network: interface(Path::new("/sys/class/net")).ok().flatten(),
        max_viewers: relay.settings.max_viewers,
        max_cpu: relay.settings.max_egress_cpu,
    }
}

fn file_readings(relay: &Inner) -> Option<FileReadings> {
    Some(FileReadings {
        open: host::open_files()?,
        limit: host::file_limit()?.soft,
        sessions: relay.egress.house.sessions(),
    })
}

/// The physical interface that has sent most, of those whose speed is known. None where there is none, as in most
/// virtual machines and containers.
fn interface(classes: &Path) -> io::Result<Option<InterfaceSample>> {
    let mut busiest: Option<InterfaceSample> = None;
    for entry in fs::read_dir(classes)? {
        let folder = entry?.path();
        let number = |name: &str| {
            fs::read_to_string(folder.join(name)).ok().and_then(|text| text.trim().parse::<i64>().ok())
        };
        // Bridges, tunnels and the ends of virtual cables claim speeds that mean nothing.
        if !folder.join("device").exists() {
            continue;
        }
        let speed = number("speed").and_then(|speed| u64::try_from(speed).ok()).filter(|&speed| speed > 0);
        let (Some(speed_mbps), Some(sent), Some(index)) =
            (speed, number("statistics/tx_bytes"), number("ifindex"))
        else {
            continue;
        };
        let (Ok(sent_bytes), Ok(index)) = (u64::try_from(sent), u32::try_from(index)) else { continue };
        if busiest.is_none_or(|busiest| sent_bytes > busiest.sent_bytes) {
            busiest = Some(InterfaceSample { index, speed_mbps, sent_bytes });
        }
    }
    Ok(busiest)
}

impl Inner {
    /// What the gate goes by until the next verdict.
    fn apply(&self, verdict: &Verdict) {
        self.egress.house.set_seats(verdict.seats);
        for (worker, seats) in self.egress.workers.iter().zip(&verdict.worker_seats) {
            worker.set_seats(*seats);
        }
    }
}

/// Decides when a line is worth writing.
#[derive(Debug, Default)]
struct Teller {
    told: Option<Instant>,
    told_limit: Option<Limit>,
    told_full: bool,
    /// Another limit has come first since then.
    changed: Option<(Limit, Instant)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Line {
    Plain(String),
    Warning(String),
}

impl Teller {
    fn line(&mut self, now: Instant, capacity: &Capacity) -> Option<Line> {
        if capacity.sessions == 0 {
            self.changed = None;
            return None;
        }
        let limit = capacity.limited_by;
        if self.told_limit == Some(limit) {
            self.changed = None;
        } else if self.changed.is_none_or(|(other, _)| other != limit) {
            self.changed = Some((limit, now));
        }
        let other = self.changed.is_some_and(|(_, since)| now.saturating_duration_since(since) >= STAYED);
        let due = self.told.is_none_or(|told| now.saturating_duration_since(told) >= LINE_EVERY);
        let newly_full = capacity.full && !self.told_full;
        // A first line only when the figures have settled.
        if !(newly_full || other || (due && self.told_limit.is_some())) {
            return None;
        }
        self.told = Some(now);
        self.told_limit = Some(limit);
        self.told_full = capacity.full;
        self.changed = None;
        let text = describe(capacity);
        Some(if newly_full { Line::Warning(text) } else { Line::Plain(text) })
    }
}

fn describe(capacity: &Capacity) -> String {
    let reading = capacity.limits.first();
    let used = reading
        .and_then(|reading| reading.used_percent)
        .map_or_else(String::new, |used| format!(", {used:.0} % of it used"));
    let what = match capacity.limited_by {
        Limit::MaxViewers => "the setting max_viewers",
        Limit::Cpu => "processor time of the egress workers",
        Limit::Files => "the limit on open files",
        Limit::Network => "the network interface",
        Limit::Buffers => "socket send buffers (net.core.wmem_max)",
    };
    let basis = match reading.map(|reading| reading.basis) {
        Some(Basis::Measured) => "measured",
        Some(Basis::Set) => "as set",
        _ => "estimated",
    };
    if capacity.full {
        format!(
            "full: {} viewers, new ones are refused; the limit is {what}{used} ({basis})",
            capacity.sessions
        )
    } else {
        format!(
            "{} viewers of about {} that fit; what limits first is {what}{used} ({basis})",
            capacity.sessions, capacity.can_carry
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::capacity::LimitReading;

    fn capacity(sessions: u32, limit: Limit, full: bool) -> Capacity {
        let reading = LimitReading {
            limit,
            viewers: Some(1000),
            used_percent: Some(41.2),
            basis: Basis::Measured,
            reached: full,
        };
        Capacity {
            viewers: sessions,
            sessions,
            can_carry: 1000,
            limited_by: limit,
            full,
            limits: vec![reading],
            ..Capacity::default()
        }
    }

    /// The seconds at which a line is written, of `minutes`.
    fn seconds(minutes: u64, at: impl Fn(u64) -> Capacity) -> Vec<(u64, bool)> {
        let start = Instant::now();
        let mut teller = Teller::default();
        (0..minutes * 60)
            .filter_map(|second| {
                let line = teller.line(start + Duration::from_secs(second), &at(second))?;
                Some((second, matches!(line, Line::Warning(_))))
            })
            .collect()
    }

    #[test]
    fn a_line_a_minute_while_there_are_viewers() {
        assert_eq!(seconds(5, |_| capacity(0, Limit::Cpu, false)), []);
        let calm = [(10, false), (70, false), (130, false)];
        assert_eq!(seconds(3, |_| capacity(9, Limit::Cpu, false)), calm);
    }

    #[test]
    fn another_limit_is_told_when_it_stays() {
        let lines = seconds(2, |second| {
            let limit = if second == 20 || second >= 40 { Limit::Files } else { Limit::Cpu };
            capacity(9, limit, false)
        });
        assert_eq!(lines, [(10, false), (50, false), (110, false)]);
    }

    #[test]
    fn being_full_is_told_at_once_and_not_again_at_every_turn() {
        let lines = seconds(3, |second| capacity(9, Limit::Cpu, second >= 33 && second % 4 < 2));
        assert_eq!(lines, [(10, false), (33, true), (93, false), (153, false)]);
    }

    #[test]
    fn the_line_says_what_it_is_about() {
        let line = describe(&capacity(412, Limit::Cpu, false));
        assert_eq!(
            line,
            "412 viewers of about 1000 that fit; what limits first is processor time of the egress workers, \
             41 % of it used (measured)"
        );
        assert!(describe(&capacity(412, Limit::Buffers, true)).contains("wmem_max"));
    }

    #[test]
    fn the_busiest_interface_with_a_known_speed() {
        let root = std::env::temp_dir().join(format!("heliograph-net-{}", std::process::id()));
        for (name, index, speed, sent, physical) in [
            ("lo", 1, "-1", 999, false),
            ("eth0", 2, "1000", 50, true),
            ("eth1", 3, "10000", 70, true),
            ("eth2", 4, "-1", 900, true),
            ("veth7", 5, "10000", 950, false),
        ] {
            let folder = root.join(name);
            fs::create_dir_all(folder.join("statistics")).unwrap();
            fs::write(folder.join("speed"), format!("{speed}\n")).unwrap();
            fs::write(folder.join("ifindex"), format!("{index}\n")).unwrap();
            fs::write(folder.join("statistics/tx_bytes"), format!("{sent}\n")).unwrap();
            if physical {
                fs::create_dir(folder.join("device")).unwrap();
            }
        }
        let found = interface(&root).unwrap();
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(found, Some(InterfaceSample { index: 3, speed_mbps: 10_000, sent_bytes: 70 }));
        assert!(interface(&root).is_err());
    }
}
