//! Puts the packets of one track back into order, and knows which ones to ask for again.
//!
//! Behind a gap, later packets are held until the missing ones come or their time is up: otherwise every viewer
//! would see the gap and ask for it. What comes after its time still goes out, late; the relay inserts it.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use heliograph_media::{SeqNo, SeqUnwrapper, WireSeq};

/// Packets of one track on their way through.
#[derive(Debug)]
pub(crate) struct Reorder<P> {
    /// The publisher numbers its first packet 0.
    from_zero: bool,
    unwrapper: SeqUnwrapper,
    /// The number to give out next; `None` before the first packet.
    next: Option<SeqNo>,
    held: BTreeMap<SeqNo, P>,
    missing: BTreeMap<SeqNo, Missing>,
    /// Found late, or ready for other reasons: goes out before anything else.
    ready: VecDeque<(SeqNo, P)>,
    stranger: Option<Stranger<P>>,
    counts: ReorderCounts,
}

/// A number that was jumped over.
#[derive(Clone, Copy, Debug)]
struct Missing {
    noticed: Instant,
    /// Later packets are held for it until then.
    hold_until: Instant,
    asked: u8,
    /// When to ask (again), if it is still missing.
    ask_at: Option<Instant>,
    /// When it was first asked for.
    first_asked: Option<Instant>,
}

/// Packets whose numbers make no sense, unless the publisher started to count anew.
#[derive(Debug)]
struct Stranger<P> {
    seq: WireSeq,
    packet: P,
    /// How many came one after the other.
    run: u32,
}

/// How long to hold and how often to ask; depends on the round trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience {
    /// Later packets wait so long for a missing one.
    pub(crate) hold: Duration,
    /// Between two requests for the same packet.
    pub(crate) ask_again: Duration,
}

impl Patience {
    /// `hold` is the operator's setting.
    ///
    /// Holding only helps for as long as answers can be expected: on a short way three tries are over long before
    /// `hold`, so it shrinks to a third at most. On a long way one try takes longer than `hold`, so it grows to
    /// twice; on a still longer way no answer can come in time, and nothing is held beyond reordering.
    pub(crate) fn new(hold: Duration, round_trip: Option<Duration>) -> Self {
        let Some(round_trip) = round_trip else {
            return Self { hold, ask_again: UNKNOWN_ROUND_TRIP };
        };
        let one_try = REORDER_TIME + round_trip + MARGIN;
        let three_tries = REORDER_TIME + 3 * round_trip + 2 * MARGIN;
        let hold =
            if one_try > 2 * hold { REORDER_TIME } else { hold.min(three_tries.max(hold / 3)).max(one_try) };
        let ask_again = (round_trip * 3 / 2 + MARGIN).clamp(MIN_ASK_AGAIN, MAX_ASK_AGAIN);
        Self { hold, ask_again }
    }
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// New; see [`Reorder::release`].
    Taken {
        /// It filled a gap and was asked for exactly once, this long ago: a round trip.
        answered_after: Option<Duration>,
    },
    /// Had it before.
    Duplicate,
    /// Its number is far from all others; kept aside until the next one explains it.
    Strange,
    /// The publisher counts anew: everything before belongs to another run.
    Restarted,
}

/// Totals of one track.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReorderCounts {
    /// Given up, and not come late either.
    pub(crate) lost: u64,
    /// Missing once, but came.
    pub(crate) recovered: u64,
    /// Of those, too late for their place.
    pub(crate) late: u64,
    pub(crate) duplicates: u64,
    /// Numbers asked for; each request counts.
    pub(crate) asked: u64,
    pub(crate) restarts: u64,
}

impl<P> Reorder<P> {
    /// For publishers that count from 0: a first packet close above it means that its predecessors are missing.
    pub(crate) fn counting_from_zero() -> Self {
        Self::new(true)
    }

    /// For publishers that begin anywhere.
    pub(crate) fn counting_from_anywhere() -> Self {
        Self::new(false)
    }

    fn new(from_zero: bool) -> Self {
        Self {
            from_zero,
            unwrapper: SeqUnwrapper::new(),
            next: None,
            held: BTreeMap::new(),
            missing: BTreeMap::new(),
            ready: VecDeque::new(),
            stranger: None,
            counts: ReorderCounts::default(),
        }
    }

    pub(crate) fn counts(&self) -> ReorderCounts {
        self.counts
    }

    /// Takes a packet in.
    pub(crate) fn on_packet(&mut self, now: Instant, seq: WireSeq, packet: P, patience: Patience) -> Arrival {
        let (Some(next), Some(highest)) = (self.next, self.unwrapper.highest()) else {
            self.begin(now, seq, packet, patience);
            return Arrival::Taken { answered_after: None };
        };
        // Never below zero: the unwrapper starts a whole cycle up.
        let number = seq.nearest_to(highest).unwrap_or_default();
        let ahead = number.since(highest).unwrap_or(0);
        let behind = highest.since(number).unwrap_or(0);
        if ahead > FARTHEST || behind > FARTHEST {
            return self.on_stranger(now, seq, packet, patience, RUN_OF_FAR_ONES);
        }
        if let Some(missing) = self.missing.remove(&number) {
            self.stranger = None;
            self.counts.recovered += 1;
            let answered_after = missing.first_asked.filter(|_| missing.asked == 1);
            let answered_after = answered_after.map(|asked| now.saturating_duration_since(asked));
            if number < next {
                self.counts.late += 1;
                self.counts.lost = self.counts.lost.saturating_sub(1);
                self.ready.push_back((number, packet));
            } else {
                self.held.insert(number, packet);
            }
            return Arrival::Taken { answered_after };
        }
        if number <= highest {
            // Had it. But a publisher that counts anew from a number not far below looks the same for a while.
            let arrival = self.on_stranger(now, seq, packet, patience, RUN_OF_NEAR_ONES);
            if arrival == Arrival::Strange {
                self.counts.duplicates += 1;
                return Arrival::Duplicate;
            }
            return arrival;
        }
        self.stranger = None;
        self.unwrapper.extend(seq);
        self.note_missing(now, highest.next(), number, patience);
        self.held.insert(number, packet);
        Arrival::Taken { answered_after: None }
    }

    /// Takes a retransmission that came apart from the stream (RFC 4588): only what is missing counts. Senders also
    /// fill the line with such packets when they measure it.
    pub(crate) fn on_retransmission(
        &mut self,
        now: Instant,
        seq: WireSeq,
        packet: P,
        patience: Patience,
    ) -> Arrival {
        let number = self.unwrapper.highest().and_then(|highest| seq.nearest_to(highest));
        match number.filter(|number| self.missing.contains_key(number)) {
            Some(_) => self.on_packet(now, seq, packet, patience),
            None => Arrival::Duplicate,
        }
    }

    /// The number after the highest that was seen; `None` before the first.
    pub(crate) fn highest(&self) -> Option<SeqNo> {
        self.unwrapper.highest()
    }

    /// The next packet to go out, if one is due. Call until there is none.
    pub(crate) fn release(&mut self, now: Instant) -> Option<(SeqNo, P)> {
        if let Some(late) = self.ready.pop_front() {
            return Some(late);
        }
        loop {
            let next = self.next?;
            if let Some(packet) = self.held.remove(&next) {
                self.next = Some(next.next());
                return Some((next, packet));
            }
            let (&first_held, _) = self.held.first_key_value()?;
            let overfull = self.held.len() > MAX_HELD;
            match self.missing.get(&next) {
                Some(missing) if now < missing.hold_until && !overfull => return None,
                Some(_) => {
                    self.counts.lost += 1;
                    self.next = Some(next.next());
                }
                // Not even listed: the list of missing ones was full.
                None => {
                    let until =
                        self.missing.range(next..).next().map_or(first_held, |(&seq, _)| seq.min(first_held));
                    self.counts.lost += until.since(next).unwrap_or(0);
                    self.next = Some(until);
                }
            }
        }
    }

    /// Appends the numbers to ask for now, in ascending order.
    pub(crate) fn ask(&mut self, now: Instant, patience: Patience, out: &mut Vec<WireSeq>) {
        let highest = self.unwrapper.highest().unwrap_or_default();
        self.missing.retain(|_, missing| now < missing.noticed + FORGET_AFTER);
        for (seq, missing) in &mut self.missing {
            let overtaken = missing.asked == 0 && highest.since(*seq).unwrap_or(0) >= REORDER_PACKETS;
            if !missing.ask_at.is_some_and(|at| at <= now || overtaken) {
                continue;
            }
            missing.asked += 1;
            missing.first_asked.get_or_insert(now);
            let again = now + patience.ask_again;
            let worth_it = missing.asked < MAX_ASKS && again < missing.noticed + ASK_NO_LONGER_THAN;
            missing.ask_at = worth_it.then_some(again);
            self.counts.asked += 1;
            out.push(seq.wire());
        }
    }

    /// When to call [`Self::ask`] and [`Self::release`] again without a new packet.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let ask = self.missing.values().filter_map(|missing| missing.ask_at).min();
        let release = self.next.and_then(|next| self.missing.get(&next)).map(|missing| missing.hold_until);
        let release = release.filter(|_| !self.held.is_empty());
        ask.into_iter().chain(release).min()
    }

    fn begin(&mut self, now: Instant, seq: WireSeq, packet: P, patience: Patience) {
        let number = self.unwrapper.extend(seq);
        let first =
            if self.from_zero && seq.0 <= FIRST_WITHIN { SeqNo(number.0 - u64::from(seq.0)) } else { number };
        self.next = Some(first);
        self.note_missing(now, first, number, patience);
        self.held.insert(number, packet);
    }

    /// All of `from..to` did not come.
    fn note_missing(&mut self, now: Instant, from: SeqNo, to: SeqNo, patience: Patience) {
        let entry = Missing {
            noticed: now,
            hold_until: now + patience.hold,
            asked: 0,
            ask_at: Some(now + REORDER_TIME),
            first_asked: None,
        };
        for number in from.0..to.0 {
            if self.missing.len() >= MAX_MISSING {
                self.missing.pop_first();
            }
            self.missing.insert(SeqNo(number), entry);
        }
    }

    fn on_stranger(
        &mut self,
        now: Instant,
        seq: WireSeq,
        packet: P,
        patience: Patience,
        enough: u32,
    ) -> Arrival {
        let before = self.stranger.take();
        let run =
            before.as_ref().filter(|before| before.seq.next() == seq).map_or(1, |before| before.run + 1);
        if run < enough {
            self.stranger = Some(Stranger { seq, packet, run });
            return Arrival::Strange;
        }
        let before = before.map(|before| (before.seq, before.packet));
        let counts = ReorderCounts { restarts: self.counts.restarts + 1, ..self.counts };
        *self = Self { counts, ..Self::new(self.from_zero) };
        if let Some((seq, packet)) = before {
            self.begin(now, seq, packet, patience);
            // Its predecessors were seen: they are not missing.
            self.missing.clear();
            self.next = self.unwrapper.highest();
        }
        self.on_packet(now, seq, packet, patience);
        Arrival::Restarted
    }
}

/// Packets may overtake each other by so many before one counts as lost…
const REORDER_PACKETS: u64 = 16;
/// …or by so much time.
pub(crate) const REORDER_TIME: Duration = Duration::from_millis(5);
/// For the way of an answer through both machines.
const MARGIN: Duration = Duration::from_millis(10);
const UNKNOWN_ROUND_TRIP: Duration = Duration::from_millis(80);
const MIN_ASK_AGAIN: Duration = Duration::from_millis(20);
const MAX_ASK_AGAIN: Duration = Duration::from_millis(250);
/// Each request makes OBS count a dropped frame.
const MAX_ASKS: u8 = 4;
const ASK_NO_LONGER_THAN: Duration = Duration::from_millis(600);
/// What comes later than this is a duplicate to us.
const FORGET_AFTER: Duration = Duration::from_secs(3);
/// Clients can send again the last 2048 packets; a number farther away is none of this run.
const FARTHEST: u64 = 2048;
const MAX_MISSING: usize = 1024;
/// About 5 MB; at 8 Mbit/s more than 2 s.
const MAX_HELD: usize = 2048;
const FIRST_WITHIN: u16 = 64;
/// RFC 3550 appendix A.1: two in a row are a new run.
const RUN_OF_FAR_ONES: u32 = 2;
/// Near ones can be answers to many requests, but not this many without one new packet between.
const RUN_OF_NEAR_ONES: u32 = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOLD: Duration = Duration::from_millis(150);
    const PATIENCE: Patience = Patience { hold: HOLD, ask_again: Duration::from_millis(30) };

    /// A track in virtual time; packets are their own number.
    struct Sim {
        track: Reorder<u16>,
        now: Instant,
        out: Vec<u16>,
        asked: Vec<u16>,
    }

    impl Sim {
        fn new() -> Self {
            Self {
                track: Reorder::counting_from_zero(),
                now: Instant::now(),
                out: Vec::new(),
                asked: Vec::new(),
            }
        }

        fn get(&mut self, seq: u16) -> Arrival {
            let arrival = self.track.on_packet(self.now, WireSeq(seq), seq, PATIENCE);
            self.settle();
            arrival
        }

        fn settle(&mut self) {
            let mut asked = Vec::new();
            self.track.ask(self.now, PATIENCE, &mut asked);
            self.asked.extend(asked.iter().map(|seq| seq.0));
            while let Some((number, packet)) = self.track.release(self.now) {
                assert_eq!(number.wire().0, packet);
                self.out.push(packet);
            }
        }

        fn pass(&mut self, time: Duration) {
            let until = self.now + time;
            while let Some(at) = self.track.deadline().filter(|at| *at <= until) {
                self.now = self.now.max(at);
                self.settle();
            }
            self.now = until;
            self.settle();
        }

        fn get_all(&mut self, seqs: impl IntoIterator<Item = u16>) {
            for seq in seqs {
                self.get(seq);
            }
        }
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// The same story from many starting numbers, both sides of the wrap among them.
    const STARTS: [u16; 8] = [0, 1, 100, 32_767, 32_768, 65_500, 65_534, 65_535];

    fn from(start: u16, offsets: &[u16]) -> Vec<u16> {
        offsets.iter().map(|offset| start.wrapping_add(*offset)).collect()
    }

    #[test]
    fn in_order_goes_straight_through() {
        for start in STARTS {
            let mut sim = Sim::new();
            let first = if start <= FIRST_WITHIN { 0 } else { start };
            let all: Vec<u16> = (0..3000).map(|offset| first.wrapping_add(offset)).collect();
            for seq in &all {
                sim.get(*seq);
                assert_eq!(sim.out.last(), Some(seq));
            }
            assert_eq!(sim.out, all);
            assert!(sim.asked.is_empty());
            assert!(sim.track.missing.is_empty());
        }
    }

    #[test]
    fn reordering_is_repaired_without_asking() {
        for start in STARTS {
            let mut sim = Sim::new();
            sim.get_all((0..=64).filter(|_| start <= FIRST_WITHIN)); // so that 0 is not missed
            let start = if start <= FIRST_WITHIN { 65 } else { start };
            sim.out.clear();
            sim.get_all(from(start, &[0, 2, 1, 5, 4, 3, 6]));
            assert_eq!(sim.out, from(start, &[0, 1, 2, 3, 4, 5, 6]));
            assert!(sim.asked.is_empty());
        }
    }

    #[test]
    fn a_gap_is_asked_for_held_and_filled() {
        for start in STARTS {
            let mut sim = Sim::new();
            let start = start.max(FIRST_WITHIN + 1);
            sim.get_all(from(start, &[0, 1, 4, 5]));
            assert_eq!(sim.out, from(start, &[0, 1]));
            sim.pass(ms(4));
            assert!(sim.asked.is_empty());
            sim.pass(ms(1));
            assert_eq!(sim.asked, from(start, &[2, 3]));
            sim.pass(ms(20));
            assert_eq!(sim.get(start.wrapping_add(3)), Arrival::Taken { answered_after: Some(ms(20)) });
            assert_eq!(sim.out, from(start, &[0, 1]));
            sim.get(start.wrapping_add(2));
            assert_eq!(sim.out, from(start, &[0, 1, 2, 3, 4, 5]));
            assert_eq!(
                sim.track.counts(),
                ReorderCounts { recovered: 2, asked: 2, ..ReorderCounts::default() }
            );
        }
    }

    #[test]
    fn sixteen_packets_behind_is_lost_at_once() {
        let mut sim = Sim::new();
        sim.get_all((1000..1001).chain(1002..1017));
        assert!(sim.asked.is_empty());
        sim.get(1017);
        assert_eq!(sim.asked, [1001]);
    }

    #[test]
    fn asked_again_until_the_hold_is_over_then_released() {
        let mut sim = Sim::new();
        sim.get_all([1000, 1002, 1003]);
        sim.pass(ms(149));
        assert_eq!(sim.out, [1000]);
        assert_eq!(sim.asked, [1001; 4]);
        sim.pass(ms(1));
        assert_eq!(sim.out, [1000, 1002, 1003]);
        assert_eq!(sim.track.counts().lost, 1);
        sim.pass(ms(5000));
        assert_eq!(sim.asked.len(), usize::from(MAX_ASKS));
    }

    #[test]
    fn late_ones_go_out_late_and_once() {
        let mut sim = Sim::new();
        sim.get_all([1000, 1002]);
        sim.pass(ms(200));
        assert_eq!(sim.get(1001), Arrival::Taken { answered_after: None });
        assert_eq!(sim.get(1001), Arrival::Duplicate);
        assert_eq!(sim.out, [1000, 1002, 1001]);
        let counts = sim.track.counts();
        assert_eq!((counts.lost, counts.late, counts.recovered, counts.duplicates), (0, 1, 1, 1));
    }

    #[test]
    fn duplicates_are_dropped_wherever_they_are() {
        let mut sim = Sim::new();
        sim.get_all([1000, 1000, 1001, 1003, 1003, 1000, 1002, 1002, 1004, 1003]);
        assert_eq!(sim.out, [1000, 1001, 1002, 1003, 1004]);
        assert_eq!(sim.track.counts().duplicates, 5);
    }

    #[test]
    fn the_first_packets_can_be_missing() {
        let mut sim = Sim::new();
        sim.get_all([2, 3]);
        assert!(sim.out.is_empty());
        sim.pass(ms(5));
        assert_eq!(sim.asked, [0, 1]);
        sim.get_all([0, 1]);
        assert_eq!(sim.out, [0, 1, 2, 3]);
    }

    #[test]
    fn counting_anew_far_away_takes_two_packets() {
        let mut sim = Sim::new();
        sim.get_all(9000..9010);
        assert_eq!(sim.get(0), Arrival::Strange);
        assert_eq!(sim.get(1), Arrival::Restarted);
        sim.get(2);
        assert_eq!(sim.out[10..], [0, 1, 2]);
        assert!(sim.asked.is_empty());
        // One stray number changes nothing.
        assert_eq!(sim.get(40_000), Arrival::Strange);
        sim.get(3);
        assert_eq!(sim.get(40_001), Arrival::Strange);
        sim.get(4);
        assert_eq!(sim.out[10..], [0, 1, 2, 3, 4]);
        assert_eq!(sim.track.counts().restarts, 1);
    }

    #[test]
    fn counting_anew_close_by_is_understood_in_time() {
        let mut sim = Sim::new();
        sim.get_all(0..200);
        sim.get_all(0..100);
        assert_eq!(sim.track.counts().restarts, 1);
        assert_eq!(*sim.out.last().expect("packets"), 99);
    }

    #[test]
    fn a_huge_gap_is_bounded() {
        let mut sim = Sim::new();
        sim.get(10_000);
        sim.get(12_000); // 1999 missing
        assert_eq!(sim.track.missing.len(), MAX_MISSING);
        sim.pass(ms(200));
        assert_eq!(sim.out, [10_000, 12_000]);
        assert_eq!(sim.track.counts().lost, 1999);
        sim.get(12_001);
        assert_eq!(*sim.out.last().expect("packets"), 12_001);
    }

    #[test]
    fn holding_is_bounded() {
        let mut sim = Sim::new();
        sim.get_all([10_000, 10_002]);
        for seq in 10_003..=20_000 {
            sim.get(seq); // all within one instant
        }
        assert!(sim.track.held.len() <= MAX_HELD + 1);
        assert_eq!(*sim.out.last().expect("packets"), 20_000);
    }

    #[test]
    fn patience_follows_the_round_trip() {
        let hold = |rtt: u64| Patience::new(HOLD, Some(ms(rtt))).hold;
        assert_eq!(Patience::new(HOLD, None).hold, HOLD);
        assert_eq!(hold(0), ms(50)); // short way: three tries are over long before
        assert_eq!(hold(20), ms(85));
        assert_eq!(hold(60), HOLD);
        assert_eq!(hold(200), ms(215)); // long way: one try must fit
        assert_eq!(hold(400), REORDER_TIME); // too long: holding cannot help
        assert_eq!(Patience::new(Duration::ZERO, Some(ms(20))).hold, REORDER_TIME);
        assert_eq!(Patience::new(HOLD, Some(ms(0))).ask_again, MIN_ASK_AGAIN);
        assert_eq!(Patience::new(HOLD, Some(ms(100))).ask_again, ms(160));
        assert_eq!(Patience::new(HOLD, Some(ms(1000))).ask_again, MAX_ASK_AGAIN);
    }

    proptest! {
        /// Whatever a network does within reason: every packet that arrives in time comes out once and in order.
        #[test]
        fn nothing_is_invented_and_nothing_repeated(
            start in any::<u16>(),
            steps in proptest::collection::vec((0u16..40, any::<bool>(), 0u64..20), 1..400),
        ) {
            let mut sim = Sim::new();
            let mut sent = start;
            let mut delayed: Vec<u16> = Vec::new();
            let mut arrived = std::collections::BTreeSet::new();
            for (fate, twice, wait) in steps {
                match fate {
                    0 => {}                          // lost
                    1..=4 => delayed.push(sent),     // overtaken
                    _ => { sim.get(sent); arrived.insert(sent); if twice { sim.get(sent); } }
                }
                sent = sent.wrapping_add(1);
                if fate > 30 {
                    for seq in delayed.drain(..) { sim.get(seq); arrived.insert(seq); }
                }
                sim.pass(ms(wait));
            }
            sim.pass(ms(1000));
            let out: std::collections::BTreeSet<u16> = sim.out.iter().copied().collect();
            prop_assert_eq!(out.len(), sim.out.len(), "repeated");
            prop_assert!(out.is_subset(&arrived), "invented");
            // The first to arrive may have overtaken others: those are before the beginning and may be dropped.
            let first = *sim.out.first().unwrap_or(&start);
            for seq in arrived.difference(&out) {
                prop_assert!(seq.wrapping_sub(first) > 32_768, "{} swallowed", seq);
            }
        }

        #[test]
        fn any_numbers_are_survived(seqs in proptest::collection::vec((any::<u16>(), 0u64..100), 0..500)) {
            let mut sim = Sim::new();
            for (seq, wait) in seqs {
                sim.get(seq);
                sim.pass(ms(wait));
            }
            prop_assert!(sim.track.held.len() <= MAX_HELD + 1 && sim.track.missing.len() <= MAX_MISSING);
        }
    }
}
