//! What the arrival times of packets tell of the line to one viewer: how much it carries, and how much waits in it.
//!
//! Packets get a number of their own (draft-holmer-rmcat-transport-wide-cc-extensions-01), and the viewer tells every 50 to
//! 250 ms when each of them came. Clocks differ, so a packet's way counts against the quickest one's: what is more is a
//! queue. While packets queue, the line is never idle, and what arrives then is what it carries.
//!
//! Before the first word goes what most queues take, and as long as nothing queues, nobody is held back: a window that
//! grows as TCP's does in slow start loses nothing on narrow lines, but makes everybody else's first pictures come
//! unevenly, for which receivers hold back up to half a second. Once something waits, the window is what the line carries in a round trip and a short queue. (libwebrtc's form of the
//! extension with feedback on request would tell sooner; Chromium 156 does not take it.)

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use heliograph_media::{Bitrate, rtcp::TransportFeedback};

/// Packets remembered: what goes out at once, and what a fast replay sends until feedback about it is back.
const REMEMBERED: usize = 512;
/// A packet that took longer than the quickest one by this has waited for the one before it.
const WAITED: Duration = Duration::from_millis(3);
/// What a line carries is counted over so much time in which it was busy, and half of what is older.
const WINDOW_MICROS: u64 = 150_000;
/// The quickest packet is one of this time and as much before: clocks drift, and routes change.
const QUICKEST_OF: Duration = Duration::from_secs(30);
/// What was counted longer ago than this is not true any more: the line may have become wider.
const STALE: Duration = Duration::from_secs(2);
/// In live, words come at most so often: each of them is a datagram to open.
const HEAR_EVERY: Duration = Duration::from_millis(100);
/// Less says nothing.
const LEAST_MICROS: u64 = 8_000;
/// What each packet is longer by on the line: headers of IPv4, UDP and SRTP's tag are not ours to count exactly.
const HEADERS: u64 = 28;
/// For so long a word is waited for; after that the viewer tells nothing (more), and its picture must not stand still for it.
const UNHEARD: Duration = Duration::from_millis(400);
/// Bytes that go out before the first word, and as many as the stream has meanwhile: narrow lines lose few of them, and wide
/// ones are hardly held up. Of a long past it is a third: in there a pause is a gap.
const LEAST_UNHEARD: u64 = 192 << 10;
/// A queue that is none.
pub(crate) const EMPTY: Duration = Duration::from_millis(15);
/// A queue that may be there, so that the line is never idle.
const QUEUE: Duration = Duration::from_millis(60);
/// A queue that browsers short of processor time do not make by themselves.
const NARROW: Duration = Duration::from_millis(40);
/// Bytes that may be on their way at least.
const LEAST_WINDOW: u64 = 12_000;
/// Quarter milliseconds.
const TICK_MICROS: i64 = 250;
/// Of the reference time.
const REFERENCE_MICROS: i64 = 64_000;

/// The element of a packet's header extension that numbers it, one word.
pub(crate) type Number = [u8; 4];

#[derive(Clone, Copy, Debug)]
struct Sent {
    /// Microseconds after the beginning.
    at: u64,
    bytes: u16,
    told: bool,
    /// The packet before it had a number, too.
    follows: bool,
}

/// What feedback says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    /// How long the newest packet waited in the line.
    pub(crate) queue: Duration,
    /// What the line carries, as far as it was busy.
    pub(crate) carries: Option<Bitrate>,
    /// Packets that are said to be missing, and were not before.
    pub(crate) lost: u32,
}

/// One viewer's line.
#[derive(Debug)]
pub(crate) struct Line {
    /// Of the header extension.
    id: u8,
    begun: Instant,
    next: u16,
    sent: VecDeque<Sent>,
    /// Of the quickest packet, from our clock to the viewer's, microseconds: lately, and in the period before.
    quickest: [Option<i64>; 2],
    /// When the period began.
    quickest_since: Instant,
    /// The viewer's clock began with this, and with how much of it passed since: the wire has 24 bits.
    reference: Option<(u32, i64)>,
    /// When the newest packet came, on the viewer's clock.
    newest: Option<(u16, i64)>,
    /// While the line was busy.
    busy_bytes: u64,
    busy_micros: u64,
    /// When that was.
    busy: Instant,
    /// A packet went out without a number after the last one with.
    skipped: bool,
    /// Bytes after the newest packet that was told of.
    in_flight: u64,
    /// As many of them as there may be.
    window: u64,
    /// Something waited lately.
    narrow: bool,
    /// The stream's rate.
    stream: Bitrate,
    /// Bytes that go out before the first word.
    unheard: u64,
    /// When the viewer last told of anything, or a replay began.
    heard: Instant,
    /// The shortest time until a packet was told of.
    told_after: Option<Duration>,
    last: Option<Heard>,
}

impl Line {
    /// `next`: the first number. Each is given once, also by lines that follow another one: viewers tell of a number that
    /// they have seen when it came first.
    pub(crate) fn new(now: Instant, id: u8, next: u16) -> Self {
        Self {
            id,
            begun: now,
            next,
            sent: VecDeque::new(),
            quickest: [None; 2],
            quickest_since: now,
            reference: None,
            newest: None,
            busy_bytes: 0,
            busy_micros: 0,
            busy: now,
            skipped: false,
            in_flight: 0,
            window: 0,
            stream: Bitrate::bps(0),
            unheard: LEAST_UNHEARD,
            narrow: false,
            heard: now,
            told_after: None,
            last: None,
        }
    }

    /// A replay of so many bytes of a stream of this rate begins.
    pub(crate) fn open(&mut self, now: Instant, stream: Bitrate, past: u64) {
        if self.newest.is_none() {
            // What went out before has not been heard of: the viewer may not have been able to open it.
            self.in_flight = 0;
        }
        (self.stream, self.unheard) = (stream, LEAST_UNHEARD.max(past / 3));
        if !self.narrow {
            self.heard = now;
        }
    }

    /// Whether something waited lately, so that the window is what the line carries.
    pub(crate) const fn is_narrow(&self) -> bool {
        self.narrow
    }

    /// The viewer's last word.
    pub(crate) const fn last(&self) -> Option<Heard> {
        self.last
    }

    /// Whether another packet may go out, as far as the line is concerned.
    pub(crate) fn has_room(&self, now: Instant) -> bool {
        if self.newest.is_none() {
            let passed = now.saturating_duration_since(self.begun);
            return self.in_flight < self.unheard + self.stream.bytes_in(passed) || passed >= UNHEARD;
        }
        !self.narrow || self.in_flight < self.window || now.saturating_duration_since(self.heard) >= UNHEARD
    }

    /// Whether the viewer's last word is so old that it says nothing of the line as it is.
    pub(crate) fn is_silent(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.heard) >= STALE
    }

    /// Whether something is to be heard of the line again: then packets get numbers until it is.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.heard) >= HEAR_EVERY
    }

    /// A packet goes out without a number.
    pub(crate) const fn skip(&mut self) {
        self.skipped = true;
    }

    /// Where the next line's numbers begin.
    pub(crate) const fn next_number(&self) -> u16 {
        self.next
    }

    /// The number of the next packet, which [`Line::sent`] tells of when it is out.
    pub(crate) const fn number(&self) -> Number {
        let [high, low] = self.next.to_be_bytes();
        [self.id << 4 | 1, high, low, 0]
    }

    /// The packet with the next number went out, with so many bytes.
    pub(crate) fn sent(&mut self, now: Instant, bytes: usize) {
        if self.sent.len() == REMEMBERED {
            self.sent.pop_front();
        }
        self.in_flight += bytes as u64;
        let at = u64::try_from(now.saturating_duration_since(self.begun).as_micros()).unwrap_or(u64::MAX);
        self.sent.push_back(Sent {
            at,
            bytes: bytes.min(usize::from(u16::MAX)) as u16,
            told: false,
            follows: !self.skipped,
        });
        self.skipped = false;
        self.next = self.next.wrapping_add(1);
    }

    /// The viewer tells of some packets. `None`: of none that is new.
    pub(crate) fn on_feedback(&mut self, now: Instant, feedback: &TransportFeedback) -> Option<Heard> {
        let reference = self.unwrap_reference(feedback.reference);
        if now.saturating_duration_since(self.quickest_since) >= QUICKEST_OF {
            self.quickest = [None, self.quickest[0]];
            self.quickest_since = now;
        }
        let mut lost = 0;
        let (mut queue, mut sent_at) = (None, 0);
        let mut micros_before = self.newest.map(|(_, at)| at);
        for (place, arrival) in (0_u16..).zip(&feedback.arrivals) {
            let number = feedback.first.0.wrapping_add(place);
            let Some(sent) = self.entry(number).filter(|sent| !sent.told) else { continue };
            sent.told = true;
            let (at, bytes, follows) = (sent.at.cast_signed(), u64::from(sent.bytes), sent.follows);
            let Some(arrival) = arrival else {
                lost += 1;
                continue;
            };
            let arrival = reference + i64::from(*arrival) * TICK_MICROS;
            let way = arrival - at;
            let quickest = self.quickest.into_iter().flatten().fold(way, i64::min);
            self.quickest[0] = Some(self.quickest[0].map_or(way, |lately| lately.min(way)));
            let waited = Duration::from_micros((way - quickest).unsigned_abs());
            queue = Some(waited);
            if let Some(before) = micros_before.filter(|_| follows && waited >= WAITED) {
                self.busy = now;
                self.busy_micros += u64::try_from(arrival - before).unwrap_or(0);
                self.busy_bytes += bytes + HEADERS;
            }
            micros_before = Some(micros_before.map_or(arrival, |before| before.max(arrival)));
            sent_at = at;
            if self.newest.is_none_or(|(newest, _)| number.wrapping_sub(newest) < 1 << 15) {
                self.newest = Some((number, arrival));
            }
        }
        let queue = queue?;
        if now.saturating_duration_since(self.busy) >= STALE {
            (self.busy_bytes, self.busy_micros) = (0, 0);
        }
        let after = now.saturating_duration_since(self.begun + Duration::from_micros(sent_at.unsigned_abs()));
        let told_after = self.told_after.map_or(after, |shortest| shortest.min(after));
        self.told_after = Some(told_after);
        self.in_flight = self.after_newest();
        let carries = self.carries();
        let narrow = carries.filter(|_| queue >= NARROW);
        self.narrow = narrow.is_some();
        if let Some(carries) = narrow {
            self.window = carries.bytes_in(told_after + QUEUE).max(LEAST_WINDOW);
        }
        self.heard = now;
        let heard = Heard { queue, carries, lost };
        self.last = Some(heard);
        while self.busy_micros > WINDOW_MICROS {
            self.busy_micros /= 2;
            self.busy_bytes /= 2;
        }
        Some(heard)
    }

    fn carries(&self) -> Option<Bitrate> {
        (self.busy_micros >= LEAST_MICROS)
            .then(|| Bitrate::measured(self.busy_bytes, Duration::from_micros(self.busy_micros)))
    }

    fn after_newest(&self) -> u64 {
        let behind = self.newest.map_or(0, |(number, _)| usize::from(self.next.wrapping_sub(number)));
        let unheard = behind.saturating_sub(1).min(self.sent.len());
        self.sent.range(self.sent.len() - unheard..).map(|sent| u64::from(sent.bytes)).sum()
    }

    fn entry(&mut self, number: u16) -> Option<&mut Sent> {
        let behind = usize::from(self.next.wrapping_sub(number));
        let place = self.sent.len().checked_sub(behind).filter(|_| behind > 0)?;
        self.sent.get_mut(place)
    }

    /// Microseconds on the viewer's clock.
    fn unwrap_reference(&mut self, wire: u32) -> i64 {
        let (last, passed) = self.reference.unwrap_or((wire, 0));
        // 24 bits with a sign.
        let step = i64::from((wire.wrapping_sub(last) << 8).cast_signed() >> 8);
        let passed = passed + step;
        self.reference = Some((wire, passed));
        passed * REFERENCE_MICROS
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use heliograph_media::WireSeq;

    use super::*;

    const PACKET: usize = 1_200;
    const STREAM: Bitrate = Bitrate::kbps(3_000);
    const WAY: Duration = Duration::from_millis(20);

    /// A line of some rate with a bounded queue, and a viewer that tells every 50 ms what came.
    struct Sim {
        line: Line,
        start: Instant,
        now: Instant,
        rate: Bitrate,
        /// When the queue is empty again.
        free: Instant,
        /// Numbers and arrivals not told yet.
        came: Vec<(u16, Instant)>,
        next: u16,
        /// On their way back.
        words: VecDeque<(Instant, TransportFeedback)>,
        told: Instant,
        longest_queue: Duration,
        heard: Option<Heard>,
        /// Of the viewer's clock.
        reference: u32,
    }

    impl Sim {
        fn new(rate: u64) -> Self {
            let now = Instant::now();
            let mut line = Line::new(now, 3, 0);
            line.open(now, STREAM, 0);
            Self {
                line,
                start: now,
                now,
                rate: Bitrate::kbps(rate),
                free: now,
                came: Vec::new(),
                next: 0,
                words: VecDeque::new(),
                told: now,
                longest_queue: Duration::ZERO,
                heard: None,
                reference: 0x00ff_fff0,
            }
        }

        fn send(&mut self) {
            assert_eq!(self.line.number(), [0x31, self.next.to_be_bytes()[0], self.next.to_be_bytes()[1], 0]);
            self.line.sent(self.now, PACKET);
            self.free = self.free.max(self.now) + self.rate.time_for(PACKET as u64);
            self.longest_queue = self.longest_queue.max(self.free - self.now);
            self.came.push((self.next, self.free + WAY));
            self.next = self.next.wrapping_add(1);
        }

        /// Two milliseconds.
        fn step(&mut self) {
            self.now += Duration::from_millis(2);
            if self.now - self.told >= Duration::from_millis(50) {
                self.told = self.now;
                let here = self.came.iter().take_while(|(_, at)| *at <= self.now).count();
                let came: Vec<_> = self.came.drain(..here).collect();
                if let Some(&(first, at)) = came.first() {
                    let words = ((at - self.start).as_micros() / 64_000) as u32;
                    let begin = self.start + Duration::from_millis(64) * words;
                    let arrivals =
                        came.iter().map(|(_, at)| Some((*at - begin).as_micros() as i32 / 250)).collect();
                    let reference = self.reference.wrapping_add(words) & 0x00ff_ffff;
                    let feedback = TransportFeedback { first: WireSeq(first), reference, arrivals };
                    self.words.push_back((self.now + WAY, feedback));
                }
            }
            while self.words.front().is_some_and(|(at, _)| *at <= self.now) {
                let (_, feedback) = self.words.pop_front().unwrap();
                self.heard = self.line.on_feedback(self.now, &feedback).or(self.heard);
            }
        }

        /// Sends so many packets as fast as the window permits, at most 25 Mbit/s; milliseconds.
        fn replay(&mut self, packets: usize) -> u128 {
            let begun = self.now;
            let mut left = packets;
            while left > 0 {
                for _ in 0..5 {
                    if left > 0 && self.line.has_room(self.now) {
                        self.send();
                        left -= 1;
                    }
                }
                self.step();
                assert!(self.now - begun < Duration::from_secs(60), "stands still");
            }
            (self.now - begun).as_millis()
        }
    }

    #[test]
    fn a_wide_line_is_not_waited_for() {
        // A megabyte takes 320 ms at 25 Mbit/s, and the words of the viewer come in rounds of 90 ms.
        let took = Sim::new(100_000).replay(833);
        assert!((320..480).contains(&took), "{took} ms");
    }

    #[test]
    fn a_narrow_line_is_known_soon_and_its_queue_grows_no_longer() {
        for rate in [3_500, 6_000, 12_000] {
            let mut sim = Sim::new(rate);
            let took = sim.replay(900);
            let carries = sim.heard.unwrap().carries.unwrap();
            // It counts the headers below ours, which this line has not got.
            let expected = Bitrate::kbps(rate * (PACKET as u64 + HEADERS) / PACKET as u64);
            let percent = carries.as_bps() * 100 / expected.as_bps();
            assert!((98..=102).contains(&percent), "{carries:?} of {rate}");
            // What went out until the first words were back: 150 ms at 25 Mbit/s.
            let unheard = Bitrate::kbps(rate).time_for(470_000);
            assert!(sim.longest_queue < unheard, "{rate}: {:?}", sim.longest_queue);
            let whole = Bitrate::kbps(rate).time_for(900 * PACKET as u64).as_millis();
            assert!(
                (whole - unheard.as_millis()..whole + 200).contains(&took),
                "{rate}: {took} of {whole} ms"
            );
        }
    }

    #[test]
    fn a_viewer_that_never_tells_gets_everything_after_a_while() {
        let mut sim = Sim::new(100_000);
        sim.told += Duration::from_secs(3_600);
        let took = sim.replay(600);
        assert!((400..700).contains(&took), "{took} ms");
        assert!(sim.heard.is_none());
    }

    #[test]
    fn a_viewer_that_tells_no_more_does_not_stand_still() {
        let mut sim = Sim::new(3_000);
        sim.replay(600);
        assert!(sim.line.is_narrow());
        sim.told += Duration::from_secs(3_600);
        sim.replay(300);
    }

    #[test]
    fn clocks_that_drift_for_hours_make_no_queue() {
        let start = Instant::now();
        let mut line = Line::new(start, 3, 0);
        let mut longest = Duration::ZERO;
        // Three hours, a packet each second, on a viewer's clock that is slow by 100 ppm.
        for second in 0_u32..10_800 {
            let now = start + Duration::from_secs(second.into());
            line.sent(now, PACKET);
            let micros = u64::from(second) * 1_000_100;
            let feedback = TransportFeedback {
                first: WireSeq(second as u16),
                reference: (micros / 64_000) as u32,
                arrivals: vec![Some((micros % 64_000 / 250) as i32)],
            };
            let heard = line.on_feedback(now + WAY, &feedback).unwrap();
            longest = longest.max(heard.queue);
        }
        assert!(longest < Duration::from_millis(10), "{longest:?}");
    }

    #[test]
    fn losses_are_counted_once_and_nonsense_not_at_all() {
        let mut sim = Sim::new(10_000);
        for _ in 0..10 {
            sim.send();
        }
        let tell = |first, arrivals: &[Option<i32>]| TransportFeedback {
            first: WireSeq(first),
            reference: 7,
            arrivals: arrivals.to_vec(),
        };
        let now = sim.now + Duration::from_millis(70);
        let some = tell(0, &[Some(0), None, Some(8), None, Some(16)]);
        assert_eq!(sim.line.on_feedback(now, &some).unwrap().lost, 2);
        assert_eq!(sim.line.in_flight, 5 * PACKET as u64);
        assert_eq!(sim.line.on_feedback(now, &some), None, "again");
        for first in [10, 11, 500, 40_000] {
            assert_eq!(sim.line.on_feedback(now, &tell(first, &[Some(1); 9])), None, "never sent: {first}");
        }
        // Into the past, and all at once.
        let back = sim.line.on_feedback(now, &tell(5, &[Some(-30_000), Some(i32::MAX), Some(i32::MIN)]));
        assert!(back.is_some());
    }

    #[test]
    fn another_replay_goes_on_with_what_is_known() {
        let mut sim = Sim::new(3_500);
        sim.replay(600);
        let window = sim.line.window;
        assert!(sim.line.is_narrow());
        sim.line.open(sim.now, STREAM, 0);
        assert_eq!(sim.line.window, window);
        // One of which nothing was ever heard begins anew.
        let mut unheard = Sim::new(3_500);
        for _ in 0..60 {
            unheard.send();
        }
        assert_eq!(unheard.line.in_flight, 60 * PACKET as u64);
        unheard.line.open(unheard.now, STREAM, 0);
        assert_eq!(unheard.line.in_flight, 0);
    }
}
