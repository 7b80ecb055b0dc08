//! When each packet came, told to the publisher: its bandwidth estimate lives on it. A browser begins at 300 kbit/s and
//! stays there without.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use heliograph_media::{
    SeqNo, SeqUnwrapper, Ssrc, WireSeq,
    rtcp::{self, MAX_FEEDBACK_PACKETS},
};

/// Arrivals of all packets of a peer, under the count that its transport keeps.
#[derive(Debug)]
pub(super) struct TransportCc {
    base: Instant,
    unwrapper: SeqUnwrapper,
    /// Since `base`.
    arrivals: BTreeMap<SeqNo, Duration>,
    /// The first number that no message has covered.
    next: SeqNo,
    messages: u8,
    due: Option<Instant>,
}

impl TransportCc {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            base: now,
            unwrapper: SeqUnwrapper::new(),
            arrivals: BTreeMap::new(),
            next: SeqNo::default(),
            messages: 0,
            due: None,
        }
    }

    /// A packet came. One that was overtaken and told missing is told again, with all after it.
    pub(super) fn on_packet(&mut self, now: Instant, seq: WireSeq) {
        let first = self.unwrapper.highest().is_none();
        let number = self.unwrapper.extend(seq);
        if first || (number < self.next && !self.arrivals.contains_key(&number)) {
            self.next = number;
        }
        self.arrivals.entry(number).or_insert_with(|| now.saturating_duration_since(self.base));
        if self.arrivals.len() > MOST_REMEMBERED
            && let Some((gone, _)) = self.arrivals.pop_first()
        {
            self.next = self.next.max(gone.next());
        }
        self.due.get_or_insert(now + INTERVAL);
    }

    /// When to call [`Self::write`].
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Appends the messages that are due, each as one datagram.
    pub(super) fn write(&mut self, now: Instant, ours: Ssrc, media: Ssrc, out: &mut Vec<Vec<u8>>) {
        if self.due.is_none_or(|due| now < due) {
            return;
        }
        self.due = None;
        while let Some((&first, _)) = self.arrivals.range(self.next..).next() {
            // A gap longer than one message is no loss: the publisher counts anew.
            if first.0 - self.next.0 >= MAX_FEEDBACK_PACKETS as u64 {
                self.next = first;
            }
            let numbers = (self.next.0..).map(SeqNo).take(MAX_FEEDBACK_PACKETS);
            let arrivals: Vec<Option<Duration>> =
                numbers.map(|number| self.arrivals.get(&number).copied()).collect();
            let mut datagram = Vec::new();
            let covered = rtcp::write_transport_feedback(
                &mut datagram,
                ours,
                media,
                self.messages,
                self.next.wire(),
                &arrivals,
            );
            if covered == 0 {
                break;
            }
            self.messages = self.messages.wrapping_add(1);
            self.next = self.next + covered as u64;
            out.push(datagram);
        }
        let since = now.saturating_duration_since(self.base);
        while let Some(oldest) = self.arrivals.first_entry()
            && *oldest.key() < self.next
            && since.saturating_sub(*oldest.get()) > OVERTAKEN_WITHIN
        {
            oldest.remove();
        }
    }
}

/// Between two messages. Browsers ask for 50 to 250 ms.
const INTERVAL: Duration = Duration::from_millis(50);
/// A packet may be overtaken by so much and still be told.
const OVERTAKEN_WITHIN: Duration = Duration::from_millis(500);
/// Half a second at 40 Mbit/s.
const MOST_REMEMBERED: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    /// First number, packets covered and the message's own number, of each message.
    fn written(cc: &mut TransportCc, now: Instant) -> Vec<(u16, u16, u8)> {
        let mut out = Vec::new();
        cc.write(now, Ssrc(1), Ssrc(2), &mut out);
        let word = |bytes: &[u8], at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        out.iter().map(|bytes| (word(bytes, 12), word(bytes, 14), bytes[19])).collect()
    }

    #[test]
    fn every_fifty_milliseconds_while_packets_come() {
        let start = Instant::now();
        let mut cc = TransportCc::new(start);
        assert_eq!(cc.due(), None);
        for n in 0..10_u16 {
            cc.on_packet(
                start + Duration::from_millis(u64::from(n) * 5),
                WireSeq(65_530_u16.wrapping_add(n)),
            );
        }
        assert_eq!(cc.due(), Some(start + INTERVAL));
        assert_eq!(written(&mut cc, start + INTERVAL / 2), []);
        assert_eq!(written(&mut cc, start + INTERVAL), [(65_530, 10, 0)]);
        assert_eq!(cc.due(), None);
        cc.on_packet(start + 2 * INTERVAL, WireSeq(6));
        // 4 and 5 are missing, and told so.
        assert_eq!(written(&mut cc, start + 3 * INTERVAL), [(4, 3, 1)]);
    }

    #[test]
    fn an_overtaken_packet_is_told_after_all() {
        let start = Instant::now();
        let mut cc = TransportCc::new(start);
        for seq in [1, 2, 4, 5] {
            cc.on_packet(start, WireSeq(seq));
        }
        assert_eq!(written(&mut cc, start + INTERVAL), [(1, 5, 0)]);
        cc.on_packet(start + INTERVAL, WireSeq(3));
        cc.on_packet(start + INTERVAL, WireSeq(4)); // came before
        assert_eq!(written(&mut cc, start + 2 * INTERVAL), [(3, 3, 1)]);
        // Much later it is not told any more; nothing is kept for ever.
        cc.on_packet(start + 20 * INTERVAL, WireSeq(6));
        assert_eq!(written(&mut cc, start + 21 * INTERVAL), [(6, 1, 2)]);
        assert_eq!(cc.arrivals.len(), 1);
    }

    #[test]
    fn bursts_and_jumps_are_bounded() {
        let start = Instant::now();
        let mut cc = TransportCc::new(start);
        for seq in 0..5_000_u16 {
            cc.on_packet(start, WireSeq(seq));
        }
        assert!(cc.arrivals.len() <= MOST_REMEMBERED);
        let told: usize =
            written(&mut cc, start + INTERVAL).iter().map(|(_, count, _)| usize::from(*count)).sum();
        assert_eq!(told, MOST_REMEMBERED);
        cc.on_packet(start + INTERVAL, WireSeq(30_000));
        assert_eq!(
            written(&mut cc, start + 2 * INTERVAL).last().map(|told| (told.0, told.1)),
            Some((30_000, 1))
        );
    }
}
