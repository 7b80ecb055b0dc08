//! One way of the link, without any I/O: packets go in with a moment and come out when their time has come.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::Serialize;

use super::conditions::{Conditions, millis};

/// Packets on their way at once; what comes then is dropped as if a queue were full.
const MOST_UNDER_WAY: usize = 50_000;

/// What became of the packets so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Came in.
    pub packets: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// Came out at the other end.
    pub delivered: u64,
    /// Vanished by their own luck.
    pub lost: u64,
    /// Vanished in a burst.
    pub lost_in_bursts: u64,
    /// Dropped because too much was waiting.
    pub overflowed: u64,
    /// Dropped because the wire was cut.
    pub cut: u64,
    /// Held back so that others overtook them.
    pub reordered: u64,
}

/// One way.
#[derive(Debug)]
pub struct Direction {
    conditions: Conditions,
    rng: StdRng,
    counts: Counts,
    /// In the bad state of [`super::Bursts`].
    in_burst: bool,
    /// The present jitter, and until when it stays.
    jitter: Option<(Duration, Instant)>,
    /// When the narrowest place is done with everything that has come.
    line_free: Option<Instant>,
    /// What waits there: when each will have passed, and its size.
    waiting: VecDeque<(Instant, usize)>,
    waiting_bytes: usize,
    /// The latest arrival so far: nothing arrives before it, unless it is overtaken.
    last_arrival: Option<Instant>,
    under_way: BinaryHeap<Reverse<UnderWay>>,
}

/// Ordered by arrival, then by the order in which they came.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct UnderWay {
    arrival: Instant,
    number: u64,
    packet: Vec<u8>,
}

impl Direction {
    /// A perfect wire. The same seed, packets and moments give the same fate.
    pub fn new(seed: u64) -> Self {
        Self {
            conditions: Conditions::default(),
            rng: StdRng::seed_from_u64(seed),
            counts: Counts::default(),
            in_burst: false,
            jitter: None,
            line_free: None,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            last_arrival: None,
            under_way: BinaryHeap::new(),
        }
    }

    /// From now on. What is already on its way arrives as it was going to.
    pub fn set(&mut self, conditions: Conditions) {
        self.jitter = None;
        self.in_burst = false;
        self.conditions = conditions;
    }

    /// What became of the packets so far.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// A packet comes in. Moments must not go back. Whether it will come out.
    pub fn push(&mut self, now: Instant, packet: Vec<u8>) -> bool {
        self.counts.packets += 1;
        self.counts.bytes += packet.len() as u64;
        if self.conditions.cut {
            self.counts.cut += 1;
            return false;
        }
        if self.is_lost() {
            return false;
        }
        let Some(passed) = self.pass_narrowest(now, packet.len()) else {
            self.counts.overflowed += 1;
            return false;
        };
        let mut arrival = passed + millis(self.conditions.delay_ms) + self.jitter(now);
        arrival = arrival.max(self.last_arrival.unwrap_or(arrival));
        if self.chance(self.conditions.reorder) {
            self.counts.reordered += 1;
            arrival += millis(self.conditions.reorder_ms);
        } else {
            self.last_arrival = Some(arrival);
        }
        self.under_way.push(Reverse(UnderWay { arrival, number: self.counts.packets, packet }));
        true
    }

    /// When [`Direction::pop`] has something next.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.under_way.peek().map(|Reverse(first)| first.arrival)
    }

    /// The next packet that has arrived by now.
    pub fn pop(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.next_arrival()? > now {
            return None;
        }
        let Reverse(UnderWay { packet, .. }) = self.under_way.pop()?;
        self.counts.delivered += 1;
        Some(packet)
    }

    fn is_lost(&mut self) -> bool {
        if let Some(bursts) = self.conditions.bursts {
            let turns = self.chance(if self.in_burst { bursts.leave } else { bursts.enter });
            self.in_burst ^= turns;
            if self.in_burst && self.chance(bursts.loss) {
                self.counts.lost_in_bursts += 1;
                return true;
            }
        }
        let lost = self.chance(self.conditions.loss);
        self.counts.lost += u64::from(lost);
        lost
    }

    /// When the packet has passed the narrowest place; `None` when too much waits there.
    fn pass_narrowest(&mut self, now: Instant, bytes: usize) -> Option<Instant> {
        while let Some(&(_, size)) = self.waiting.front().filter(|(passed, _)| *passed <= now) {
            self.waiting.pop_front();
            self.waiting_bytes -= size;
        }
        if self.waiting_bytes + bytes > self.conditions.queue_bytes && !self.waiting.is_empty()
            || self.under_way.len() >= MOST_UNDER_WAY
        {
            return None;
        }
        let begin = self.line_free.map_or(now, |free| free.max(now));
        let passed = begin + self.conditions.serialisation(bytes);
        if passed > now {
            self.waiting.push_back((passed, bytes));
            self.waiting_bytes += bytes;
            self.line_free = Some(passed);
        }
        Some(passed)
    }

    fn jitter(&mut self, now: Instant) -> Duration {
        if self.conditions.jitter_ms == 0.0 {
            return Duration::ZERO;
        }
        match self.jitter {
            Some((jitter, until)) if now < until => jitter,
            _ => {
                let jitter = millis(self.rng.random_range(0.0..=self.conditions.jitter_ms));
                self.jitter = Some((jitter, now + millis(self.conditions.jitter_hold_ms)));
                jitter
            }
        }
    }

    /// Draws nothing for what cannot be otherwise, so that unused conditions do not change the fate of packets.
    fn chance(&mut self, share: f64) -> bool {
        share > 0.0 && self.rng.random_bool(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Bursts;

    const PACKET: usize = 1000;

    fn conditions() -> Conditions {
        Conditions::default()
    }

    /// Sends `count` packets, one each `every`, and returns for each that arrived its number and how long it was
    /// under way, in order of arrival.
    fn run(way: &mut Direction, count: u32, every: Duration) -> Vec<(u32, Duration)> {
        let start = Instant::now();
        let mut arrived = Vec::new();
        let mut take = |way: &mut Direction, until: Instant| {
            while let Some(at) = way.next_arrival().filter(|at| *at <= until) {
                assert_eq!(way.pop(at - Duration::from_nanos(1)), None, "too early");
                let packet = way.pop(at).unwrap();
                let number = u32::from_be_bytes(packet[..4].try_into().unwrap());
                arrived.push((number, at - (start + every * number)));
            }
        };
        for number in 0..count {
            let now = start + every * number;
            take(way, now);
            let mut packet = vec![0; PACKET];
            packet[..4].copy_from_slice(&number.to_be_bytes());
            way.push(now, packet);
        }
        take(way, start + every * count + Duration::from_secs(600));
        arrived
    }

    fn numbers(arrived: &[(u32, Duration)]) -> Vec<u32> {
        arrived.iter().map(|(number, _)| *number).collect()
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn way(conditions: Conditions) -> Direction {
        let mut way = Direction::new(1);
        way.set(conditions);
        way
    }

    #[test]
    fn a_perfect_wire_changes_nothing() {
        let arrived = run(&mut way(conditions()), 1000, ms(1));
        assert_eq!(arrived, (0..1000).map(|number| (number, Duration::ZERO)).collect::<Vec<_>>());
    }

    #[test]
    fn the_same_seed_is_the_same_fate() {
        let bad = Conditions {
            loss: 0.1,
            bursts: Some(Bursts { enter: 0.01, leave: 0.2, loss: 0.9 }),
            jitter_ms: 20.0,
            reorder: 0.05,
            reorder_ms: 7.0,
            ..conditions()
        };
        let fate = |seed| {
            let mut way = Direction::new(seed);
            way.set(bad.clone());
            (run(&mut way, 5000, ms(3)), way.counts())
        };
        assert_eq!(fate(7), fate(7));
        assert_ne!(fate(7), fate(8));
    }

    #[test]
    fn loss_is_as_often_as_asked_for() {
        for loss in [0.01, 0.05, 0.1, 0.5] {
            let mut way = way(Conditions { loss, ..conditions() });
            let count = 100_000_u32;
            let arrived = run(&mut way, count, ms(1)).len();
            let counts = way.counts();
            assert_eq!(counts.lost as usize, count as usize - arrived);
            // Four standard deviations.
            let off = (counts.lost as f64 - f64::from(count) * loss).abs();
            assert!(off < 4.0 * (f64::from(count) * loss * (1.0 - loss)).sqrt(), "{loss}: {counts:?}");
        }
        assert!(run(&mut way(Conditions { loss: 1.0, ..conditions() }), 100, ms(1)).is_empty());
    }

    #[test]
    fn bursts_have_their_share_and_length() {
        // A share of 0.01 / (0.01 + 0.25) in bursts of four.
        let bursts = Bursts { enter: 0.01, leave: 0.25, loss: 1.0 };
        let arrived = run(&mut way(Conditions { bursts: Some(bursts), ..conditions() }), 200_000, ms(1));
        let lost = 200_000 - arrived.len();
        assert!((6900..8500).contains(&lost), "{lost}");
        let gaps = numbers(&arrived).windows(2).filter(|pair| pair[1] - pair[0] > 1).count();
        let length = lost as f64 / gaps as f64;
        assert!((3.7..4.3).contains(&length), "{length}");
    }

    #[test]
    fn delay_is_exact_and_jitter_keeps_the_order() {
        let arrived = run(&mut way(Conditions { delay_ms: 20.0, ..conditions() }), 100, ms(1));
        assert!(arrived.iter().all(|(_, delay)| *delay == ms(20)));

        let jitter = Conditions { delay_ms: 20.0, jitter_ms: 50.0, ..conditions() };
        let arrived = run(&mut way(jitter), 20_000, ms(3));
        assert!(numbers(&arrived).is_sorted());
        assert_eq!(arrived.len(), 20_000);
        let delays: Vec<Duration> = arrived.iter().map(|(_, delay)| *delay).collect();
        assert!(delays.iter().all(|delay| (ms(20)..=ms(70)).contains(delay)));
        assert!(delays.iter().filter(|delay| **delay < ms(30)).count() > 2000, "short ones");
        assert!(delays.iter().filter(|delay| **delay > ms(60)).count() > 2000, "long ones");
    }

    #[test]
    fn overtaken_packets_and_no_others_are_late() {
        let mut way = way(Conditions { reorder: 0.1, reorder_ms: 4.5, ..conditions() });
        let arrived = run(&mut way, 10_000, ms(1));
        let (late, timely): (Vec<_>, Vec<_>) =
            arrived.iter().copied().partition(|(_, delay)| *delay > Duration::ZERO);
        assert_eq!(late.len() as u64, way.counts().reordered);
        assert!((850..1150).contains(&late.len()), "{}", late.len());
        assert!(late.iter().all(|(_, delay)| *delay == Duration::from_micros(4500)));
        assert!(numbers(&timely).is_sorted());
        assert!(!numbers(&arrived).is_sorted());
    }

    #[test]
    fn a_narrow_place_lets_its_rate_through_and_holds_no_more_than_its_queue() {
        // 1000 bytes at 800 kbit/s: 10 ms a packet; one comes each 5 ms, and ten can wait.
        let narrow = Conditions { rate_kbit: Some(800.0), queue_bytes: 10 * PACKET, ..conditions() };
        let mut way = way(narrow);
        let arrived = run(&mut way, 2000, ms(5));
        let counts = way.counts();
        assert_eq!(counts.overflowed + counts.delivered, 2000);
        assert!((1000..=1012).contains(&arrived.len()), "half of them: {}", arrived.len());
        let longest = arrived.iter().map(|(_, delay)| *delay).max().unwrap();
        assert!((ms(95)..=ms(100)).contains(&longest), "{longest:?}");
        assert!(numbers(&arrived).is_sorted());
    }

    #[test]
    fn a_rate_above_the_load_only_delays() {
        let arrived = run(&mut way(Conditions { rate_kbit: Some(2000.0), ..conditions() }), 100, ms(5));
        assert_eq!(arrived.len(), 100);
        assert!(arrived.iter().all(|(_, delay)| *delay == ms(4)));
    }

    #[test]
    fn a_packet_larger_than_the_queue_still_passes_an_idle_line() {
        let tiny = Conditions { rate_kbit: Some(800.0), queue_bytes: 10, ..conditions() };
        assert_eq!(run(&mut way(tiny), 10, ms(20)).len(), 10);
    }

    #[test]
    fn cut_and_mended() {
        let start = Instant::now();
        let mut way = way(Conditions { delay_ms: 10.0, ..conditions() });
        way.push(start, vec![1]);
        way.set(Conditions { cut: true, ..conditions() });
        way.push(start + ms(1), vec![2]);
        way.set(conditions());
        way.push(start + ms(2), vec![3]);
        assert_eq!(way.pop(start + ms(10)), Some(vec![1]), "was under way");
        assert_eq!(way.pop(start + ms(10)), Some(vec![3]), "not before the one under way");
        assert_eq!(way.pop(start + ms(600)), None);
        assert_eq!(way.counts().cut, 1);
    }

    #[test]
    fn what_is_under_way_is_bounded() {
        let now = Instant::now();
        let mut way = way(Conditions { delay_ms: 1000.0, ..conditions() });
        for _ in 0..MOST_UNDER_WAY + 5 {
            way.push(now, Vec::new());
        }
        assert_eq!(way.counts().overflowed, 5);
    }
}
