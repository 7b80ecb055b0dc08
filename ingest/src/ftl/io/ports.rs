//! The pool of public media ports.

use std::{
    collections::{HashSet, VecDeque},
    io,
    ops::RangeInclusive,
    time::{Duration, Instant},
};

/// Which ports are free, which are resting, and who comes next.
///
/// The port that was given back longest ago is given out next, so that a small pool rests as long as it can.
#[derive(Debug)]
pub(super) struct MediaPorts {
    rest: Duration,
    /// Free or resting, in the order in which they are given out.
    free: VecDeque<(u16, Option<Instant>)>,
    taken: HashSet<u16>,
}

/// Why there is no port.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoPort {
    #[error("all {pool} media ports are taken: {taken} in use, {resting} resting")]
    Exhausted { pool: usize, taken: usize, resting: usize },
    #[error("none of {tried} free media ports can be opened, the last one because: {last}")]
    Unbindable { tried: usize, last: io::Error },
}

impl MediaPorts {
    pub(super) fn new(range: RangeInclusive<u16>, rest: Duration) -> Self {
        Self { rest, free: range.map(|port| (port, None)).collect(), taken: HashSet::new() }
    }

    /// Opens the next port with `bind`; ports that another program holds are skipped.
    pub(super) fn take<T>(
        &mut self,
        now: Instant,
        mut bind: impl FnMut(u16) -> io::Result<T>,
    ) -> Result<(u16, T), NoPort> {
        let is_rested = |since: Option<Instant>| since.is_none_or(|since| now >= since + self.rest);
        let mut failure = None;
        let mut tried = 0;
        for index in 0..self.free.len() {
            let (port, since) = self.free[index];
            if !is_rested(since) {
                continue;
            }
            tried += 1;
            match bind(port) {
                Ok(bound) => {
                    self.free.remove(index);
                    self.taken.insert(port);
                    return Ok((port, bound));
                }
                Err(error) => failure = Some(error),
            }
        }
        Err(match failure {
            Some(last) => NoPort::Unbindable { tried, last },
            None => NoPort::Exhausted {
                pool: self.free.len() + self.taken.len(),
                taken: self.taken.len(),
                resting: self.free.len(),
            },
        })
    }

    /// Takes a port back; its socket is closed. One that no publisher was told needs no rest.
    pub(super) fn give_back(&mut self, now: Instant, port: u16, was_told: bool) {
        match self.taken.remove(&port) {
            true if was_told => self.free.push_back((port, Some(now))),
            true => self.free.push_front((port, None)),
            false => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const REST: Duration = Duration::from_secs(10);

    #[expect(clippy::unnecessary_wraps, reason = "stands for bind")]
    fn bind(port: u16) -> io::Result<u16> {
        Ok(port)
    }

    #[test]
    fn bug_j_only_ports_of_the_pool_and_each_once() {
        let now = Instant::now();
        let mut ports = MediaPorts::new(8100..=8102, REST);
        let mut given: Vec<u16> = (0..3).map(|_| ports.take(now, bind).unwrap().0).collect();
        given.sort_unstable();
        assert_eq!(given, [8100, 8101, 8102]);
        let full = ports.take(now, bind).unwrap_err();
        assert!(matches!(full, NoPort::Exhausted { pool: 3, taken: 3, resting: 0 }), "{full}");
    }

    #[test]
    fn ports_rest_before_they_are_used_again() {
        let now = Instant::now();
        let mut ports = MediaPorts::new(8100..=8101, REST);
        ports.take(now, bind).unwrap();
        ports.give_back(now, 8100, true);
        ports.give_back(now, 8100, true); // twice is harmless
        assert_eq!(ports.take(now, bind).unwrap().0, 8101);
        assert!(matches!(ports.take(now, bind).unwrap_err(), NoPort::Exhausted { resting: 1, .. }));
        assert_eq!(ports.take(now + REST, bind).unwrap().0, 8100);
        ports.give_back(now, 8101, false);
        assert_eq!(ports.take(now, bind).unwrap().0, 8101, "nobody knows it");
    }

    #[test]
    fn ports_of_other_programs_are_skipped() {
        let now = Instant::now();
        let mut ports = MediaPorts::new(8100..=8102, REST);
        let busy = |port| if port == 8102 { Ok(port) } else { Err(io::ErrorKind::AddrInUse.into()) };
        assert_eq!(ports.take(now, busy).unwrap().0, 8102);
        assert!(matches!(ports.take(now, busy).unwrap_err(), NoPort::Unbindable { tried: 2, .. }));
        assert_eq!(ports.take(now, bind).unwrap().0, 8100);
    }
}
