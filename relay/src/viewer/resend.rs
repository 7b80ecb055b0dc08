//! What may be sent again to one viewer, and when.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::cursor::OutSeq;

/// Part of the stream that may be sent again: one packet in so many.
const ONE_IN: u32 = 4;
/// Packets that may be sent again beyond that.
const RESERVE: u32 = 64;
/// Credit that can be saved up: reserve and a quarter of about three seconds of an ordinary stream.
const MOST: u32 = (RESERVE + 256) * ONE_IN;
/// Resends remembered for recognising duplicates.
const REMEMBERED: usize = 64;
/// Second copies waiting at once.
const WAITING: usize = 64;
/// Between the two copies: long enough to leave a burst of loss behind.
pub(crate) const SECOND_COPY_AFTER: Duration = Duration::from_millis(10);
/// Reported loss above which everything is sent twice, in 1/256.
const TWICE_ABOVE: u8 = 5;

/// Budget, memory of recent resends, and second copies. Costs nothing until the first NACK.
#[derive(Debug)]
pub(crate) struct Resends {
    /// In quarters of a packet.
    credit: u32,
    recent: VecDeque<(OutSeq, Instant)>,
    second: VecDeque<(Instant, OutSeq)>,
    fraction_lost: u8,
}

/// What to do about one asked-for packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resend {
    Now,
    /// Sent less than a round trip ago.
    Duplicate,
    OverBudget,
}

impl Resends {
    pub(crate) fn new() -> Self {
        Self { credit: RESERVE * ONE_IN, recent: VecDeque::new(), second: VecDeque::new(), fraction_lost: 0 }
    }

    /// Media packets went out: more may be sent again.
    pub(crate) fn earn(&mut self, packets: u32) {
        self.credit = self.credit.saturating_add(packets).min(MOST);
    }

    /// The viewer's newest report about the track, in 1/256.
    pub(crate) const fn set_fraction_lost(&mut self, fraction: u8) {
        self.fraction_lost = fraction;
    }

    /// Decides about one packet of a NACK and accounts for it.
    pub(crate) fn ask(&mut self, now: Instant, out: OutSeq, round_trip: Duration) -> Resend {
        while self.recent.front().is_some_and(|&(_, at)| now.saturating_duration_since(at) >= round_trip) {
            self.recent.pop_front();
        }
        if self.recent.iter().any(|&(seq, _)| seq == out) {
            return Resend::Duplicate;
        }
        if !self.spend() {
            return Resend::OverBudget;
        }
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back((out, now));
        if self.fraction_lost > TWICE_ABOVE {
            self.schedule(now + SECOND_COPY_AFTER, out);
        }
        Resend::Now
    }

    /// Sends a packet (again) at `at`, budget permitting.
    pub(crate) fn schedule(&mut self, at: Instant, out: OutSeq) {
        if self.second.len() < WAITING {
            let place = self.second.partition_point(|&(other, _)| other <= at);
            self.second.insert(place, (at, out));
        }
    }

    /// When [`Resends::due`] has something.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.second.front().map(|&(at, _)| at)
    }

    /// The next scheduled copy that is due and within budget.
    pub(crate) fn due(&mut self, now: Instant) -> Option<OutSeq> {
        while self.second.front().is_some_and(|&(at, _)| at <= now) {
            let (_, out) = self.second.pop_front()?;
            if self.spend() {
                return Some(out);
            }
        }
        None
    }

    const fn spend(&mut self) -> bool {
        if self.credit < ONE_IN {
            return false;
        }
        self.credit -= ONE_IN;
        true
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const RTT: Duration = Duration::from_millis(40);

    #[test]
    fn a_quarter_of_the_stream_and_64_packets() {
        let now = Instant::now();
        let mut resends = Resends::new();
        let mut granted = 0;
        for seq in 0..1000 {
            resends.earn(1);
            granted += u32::from(resends.ask(now, OutSeq(seq), RTT) == Resend::Now);
        }
        assert_eq!(granted, 64 + 250);
        assert_eq!(resends.ask(now, OutSeq(5000), RTT), Resend::OverBudget);
    }

    #[test]
    fn credit_is_not_saved_up_for_ever() {
        let now = Instant::now();
        let mut resends = Resends::new();
        resends.earn(10_000_000);
        let granted = (0..10_000).filter(|&s| resends.ask(now, OutSeq(s), RTT) == Resend::Now).count();
        assert_eq!(granted, 320);
    }

    #[test]
    fn duplicates_within_a_round_trip_are_dropped() {
        let now = Instant::now();
        let mut resends = Resends::new();
        assert_eq!(resends.ask(now, OutSeq(7), RTT), Resend::Now);
        assert_eq!(resends.ask(now + RTT / 2, OutSeq(7), RTT), Resend::Duplicate);
        assert_eq!(resends.ask(now + RTT, OutSeq(7), RTT), Resend::Now);
    }

    #[test]
    fn above_two_percent_each_goes_twice() {
        let now = Instant::now();
        let mut resends = Resends::new();
        resends.set_fraction_lost(5);
        resends.ask(now, OutSeq(1), RTT);
        assert_eq!(resends.next_due(), None);
        resends.set_fraction_lost(6);
        resends.ask(now, OutSeq(2), RTT);
        assert_eq!(resends.next_due(), Some(now + SECOND_COPY_AFTER));
        assert_eq!(resends.due(now), None);
        assert_eq!(resends.due(now + SECOND_COPY_AFTER), Some(OutSeq(2)));
        assert_eq!(resends.due(now + SECOND_COPY_AFTER), None);
        assert_eq!(resends.credit, 61 * ONE_IN, "the second copy is paid for too");
    }

    #[test]
    fn a_flood_stays_bounded() {
        let now = Instant::now();
        let mut resends = Resends::new();
        resends.set_fraction_lost(255);
        for seq in 0..100_000 {
            resends.earn(8);
            resends.ask(now, OutSeq(seq), RTT);
        }
        assert!(resends.recent.len() <= REMEMBERED && resends.second.len() <= WAITING);
    }
}
