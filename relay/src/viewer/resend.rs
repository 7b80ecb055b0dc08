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
/// Further copies waiting at once.
const WAITING: usize = 128;
/// Between two copies: long enough to leave a burst of loss behind.
pub(crate) const COPY_AFTER: Duration = Duration::from_millis(10);
/// Loss above which everything is sent twice, in 1/256.
const TWICE_ABOVE: u32 = 5;
/// Loss above which everything is sent three times while credit lasts, in 1/256.
const THRICE_ABOVE: u32 = 18;
/// Loss above which everything is sent once: so much is lost where a line is too narrow, and more would not pass either.
const ONCE_ABOVE: u32 = 64;
/// From this round trip on everything is sent twice: whoever lacks the second try has to wait for too long for a third.
const LONG_WAY: Duration = Duration::from_millis(100);
/// Packets over which requests are counted.
const WINDOW: u32 = 512;
/// The fewest packets that say anything about loss.
const FEW: u32 = 64;

/// Budget, memory of recent resends, and further copies. Costs nothing until the first NACK.
#[derive(Debug)]
pub(crate) struct Resends {
    /// In quarters of a packet.
    credit: u32,
    recent: VecDeque<(OutSeq, Instant)>,
    copies: VecDeque<(Instant, OutSeq)>,
    /// What the viewer's newest report says, in 1/256.
    reported: u8,
    /// Packets sent lately, and how many of them were asked for again: known long before the first report.
    sent: u32,
    asked: u32,
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
        Self {
            credit: RESERVE * ONE_IN,
            recent: VecDeque::new(),
            copies: VecDeque::new(),
            reported: 0,
            sent: 0,
            asked: 0,
        }
    }

    /// Media packets went out: more may be sent again.
    pub(crate) fn earn(&mut self, packets: u32) {
        self.credit = self.credit.saturating_add(packets).min(MOST);
        self.sent = self.sent.saturating_add(packets);
        while self.sent > WINDOW {
            self.sent /= 2;
            self.asked /= 2;
        }
    }

    /// The viewer's newest report about the track, in 1/256.
    pub(crate) const fn set_fraction_lost(&mut self, fraction: u8) {
        self.reported = fraction;
    }

    /// Decides about one packet of a NACK and accounts for it. `eager`: it goes twice though little gets lost.
    pub(crate) fn ask(&mut self, now: Instant, out: OutSeq, round_trip: Duration, eager: bool) -> Resend {
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
        self.asked += 1;
        let loss = self.loss();
        if loss > ONCE_ABOVE {
            return Resend::Now;
        }
        if eager || round_trip >= LONG_WAY || loss > TWICE_ABOVE {
            self.schedule(now + COPY_AFTER, out);
        }
        if loss > THRICE_ABOVE && self.credit > MOST / 2 {
            self.schedule(now + 2 * COPY_AFTER, out);
        }
        Resend::Now
    }

    /// Whether anything was ever lost, as far as the viewer has told.
    pub(crate) const fn has_lost(&self) -> bool {
        self.reported > 0 || self.asked > 0
    }

    /// The present loss in 1/256, reported or guessed from what is asked for.
    pub(super) fn loss(&self) -> u32 {
        u32::from(self.reported).max(self.asked * 256 / self.sent.max(FEW))
    }

    /// Sends a packet (again) at `at`, budget permitting.
    pub(crate) fn schedule(&mut self, at: Instant, out: OutSeq) {
        if self.copies.len() < WAITING {
            let place = self.copies.partition_point(|&(other, _)| other <= at);
            self.copies.insert(place, (at, out));
        }
    }

    /// When [`Resends::due`] has something.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.copies.front().map(|&(at, _)| at)
    }

    /// The next scheduled copy that is due and within budget.
    pub(crate) fn due(&mut self, now: Instant) -> Option<OutSeq> {
        while self.copies.front().is_some_and(|&(at, _)| at <= now) {
            let (_, out) = self.copies.pop_front()?;
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
            granted += u32::from(resends.ask(now, OutSeq(seq), RTT, false) == Resend::Now);
        }
        assert_eq!(granted, 64 + 250);
        assert_eq!(resends.ask(now, OutSeq(5000), RTT, false), Resend::OverBudget);
    }

    #[test]
    fn credit_is_not_saved_up_for_ever() {
        let now = Instant::now();
        let mut resends = Resends::new();
        resends.earn(10_000_000);
        let granted = (0..10_000).filter(|&s| resends.ask(now, OutSeq(s), RTT, false) == Resend::Now).count();
        assert_eq!(granted, 320);
    }

    #[test]
    fn duplicates_within_a_round_trip_are_dropped() {
        let now = Instant::now();
        let mut resends = Resends::new();
        assert_eq!(resends.ask(now, OutSeq(7), RTT, false), Resend::Now);
        assert_eq!(resends.ask(now + RTT / 2, OutSeq(7), RTT, false), Resend::Duplicate);
        assert_eq!(resends.ask(now + RTT, OutSeq(7), RTT, false), Resend::Now);
    }

    #[test]
    fn above_two_percent_each_goes_twice() {
        let now = Instant::now();
        let mut resends = Resends::new();
        resends.set_fraction_lost(5);
        resends.ask(now, OutSeq(1), RTT, false);
        assert_eq!(resends.next_due(), None);
        resends.set_fraction_lost(6);
        resends.ask(now, OutSeq(2), RTT, false);
        assert_eq!(resends.next_due(), Some(now + COPY_AFTER));
        assert_eq!(resends.due(now), None);
        assert_eq!(resends.due(now + COPY_AFTER), Some(OutSeq(2)));
        assert_eq!(resends.due(now + COPY_AFTER), None);
        assert_eq!(resends.credit, 61 * ONE_IN, "the second copy is paid for too");
    }

    #[test]
    fn whoever_joins_gets_the_first_one_twice() {
        let now = Instant::now();
        let mut resends = Resends::new();
        resends.ask(now, OutSeq(1), RTT, true);
        assert_eq!(resends.next_due(), Some(now + COPY_AFTER));
    }

    #[test]
    fn on_a_long_way_each_goes_twice() {
        let now = Instant::now();
        let mut resends = Resends::new();
        resends.ask(now, OutSeq(1), LONG_WAY, false);
        assert_eq!(resends.next_due(), Some(now + COPY_AFTER));
    }

    #[test]
    fn what_a_narrow_line_drops_goes_once() {
        let now = Instant::now();
        let mut resends = Resends::new();
        resends.earn(10_000);
        for (reported, copies) in [(63, 2), (65, 2), (64, 4)] {
            resends.set_fraction_lost(reported);
            resends.ask(now, OutSeq(u64::from(reported)), RTT, true);
            assert_eq!(resends.copies.len(), copies, "{reported}");
        }
    }

    #[test]
    fn above_seven_percent_three_times_while_credit_lasts() {
        let now = Instant::now();
        let mut resends = Resends::new();
        resends.set_fraction_lost(19);
        resends.ask(now, OutSeq(1), RTT, false);
        assert_eq!(resends.copies.len(), 1, "little credit yet");
        resends.earn(10_000);
        resends.ask(now, OutSeq(2), RTT, false);
        assert_eq!(resends.copies.back(), Some(&(now + 2 * COPY_AFTER, OutSeq(2))));
        assert_eq!(resends.copies.len(), 3);
    }

    #[test]
    fn requests_tell_of_loss_before_the_first_report() {
        let now = Instant::now();
        let mut resends = Resends::new();
        assert!(!resends.has_lost());
        resends.earn(200);
        resends.ask(now, OutSeq(1), RTT, false);
        assert!(resends.has_lost());
        assert_eq!(resends.next_due(), None, "one in two hundred");
        for seq in 2..=5 {
            resends.ask(now, OutSeq(seq), RTT, false);
        }
        assert_eq!(resends.copies.back(), Some(&(now + COPY_AFTER, OutSeq(5))), "five in two hundred");
        resends.earn(100_000);
        assert_eq!(resends.loss(), 0, "long ago");
    }

    #[test]
    fn a_flood_stays_bounded() {
        let now = Instant::now();
        let mut resends = Resends::new();
        resends.set_fraction_lost(255);
        for seq in 0..100_000 {
            resends.earn(8);
            resends.ask(now, OutSeq(seq), RTT, false);
        }
        assert!(resends.recent.len() <= REMEMBERED && resends.copies.len() <= WAITING);
    }
}
