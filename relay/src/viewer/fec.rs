//! Forward error correction for one viewer: parity packets behind the pictures, from which a receiver mends what got
//! lost without asking for it (FlexFEC-03, draft-ietf-payload-flexible-fec-scheme-03, as libwebrtc takes it).
//!
//! What was sent since the last parity packets is a block. The next ones cover it and the block before it, each packet
//! in another subset of them: two losses in one picture are told apart, most of them at once and nearly all of them with
//! the parity packets of the next picture. (Over one picture alone as many parity packets would leave twenty times as many
//! pictures behind.)

use heliograph_edge::{
    sdp::{NegotiatedFec, NegotiatedTrack},
    srtp::RtpSealer,
};

use super::{
    cursor::OutSeq,
    player::StreamView,
    track::{MAX_DATAGRAM, Put, TrackSender, plain_header, seal},
};
use crate::worker::outbox::Lane;

/// What a parity packet costs, in hundredths.
const PACKET: i32 = 100;
/// Packets of a block at most; a keyframe is many blocks.
const BLOCK: u64 = 12;
/// Parity packets that go out together at most.
const MOST: usize = 4;
/// Numbers that a mask of middle length reaches over.
const REACH: u64 = 46;
/// In which parity packets the packets of the new block are, one bit each, in turn.
const FRESH: [&[u8]; MOST] =
    [&[1], &[1, 2, 3], &[1, 2, 4, 3, 5, 6, 7], &[1, 2, 4, 8, 3, 5, 6, 9, 10, 12, 7, 11, 13, 14, 15]];
/// And those of the block before it.
const KEPT: [&[u8]; MOST] = [&[1, 0], &[2, 1, 3, 0], &[4, 3, 1, 6, 2], &[8, 3, 4, 9, 2, 6, 1, 12]];

/// The XOR of some packets.
#[derive(Clone, Debug)]
struct Parity {
    /// Of the first 8 bytes of the header, with the packets' lengths in place of their numbers.
    fixed: [u8; 8],
    body: [u8; MAX_DATAGRAM],
    /// The longest packet's.
    len: usize,
    /// Which packets, counted from the beginning of the window.
    mask: u64,
}

impl Parity {
    const EMPTY: Self = Self { fixed: [0; 8], body: [0; MAX_DATAGRAM], len: 0, mask: 0 };

    fn clear(&mut self) {
        self.body[..self.len].fill(0);
        (self.fixed, self.len, self.mask) = ([0; 8], 0, 0);
    }

    fn add(&mut self, at: u64, header: &[u8], parts: [&[u8]; 2]) {
        let (fixed, extension) = header.split_at(12);
        let mut len = 0;
        for part in [extension, parts[0], parts[1]] {
            let Some(body) = self.body.get_mut(len..len + part.len()) else { return };
            for (parity, byte) in body.iter_mut().zip(part) {
                *parity ^= byte;
            }
            len += part.len();
        }
        for (parity, byte) in self.fixed.iter_mut().zip([fixed[0], fixed[1]]) {
            *parity ^= byte;
        }
        for (parity, byte) in self.fixed[2..4].iter_mut().zip((len as u16).to_be_bytes()) {
            *parity ^= byte;
        }
        for (parity, byte) in self.fixed[4..8].iter_mut().zip(&fixed[4..8]) {
            *parity ^= byte;
        }
        self.len = self.len.max(len);
        self.mask |= 1 << at;
    }

    /// The header of the format, for packets of `ssrc` from number `window` on (section 4.2 of the draft).
    fn header(&self, ssrc: u32, window: u64) -> ([u8; 24], usize) {
        let first = self.mask.trailing_zeros();
        let (base, mask) = (window + u64::from(first), self.mask >> first);
        let mut header = [0; 24];
        header[..8].copy_from_slice(&self.fixed);
        // Two bits say which form of the header this is: that with a mask.
        header[0] &= 0x3f;
        header[8] = 1;
        header[12..16].copy_from_slice(&ssrc.to_be_bytes());
        header[16..18].copy_from_slice(&(base as u16).to_be_bytes());
        // The lowest bit is the first packet; on the wire that is the highest.
        let near = (mask & 0x7fff).reverse_bits() >> 49;
        let far = (mask >> 15 & 0x7fff_ffff).reverse_bits() >> 33;
        let is_last = if far == 0 { 0x8000 } else { 0 };
        header[18..20].copy_from_slice(&(near as u16 | is_last).to_be_bytes());
        if far == 0 {
            return (header, 20);
        }
        header[20..].copy_from_slice(&(far as u32 | 0x8000_0000).to_be_bytes());
        (header, 24)
    }
}

/// Parity packets to one viewer.
#[derive(Debug)]
pub(super) struct Fec {
    agreed: NegotiatedFec,
    next: OutSeq,
    /// While it is switched on.
    running: Option<Box<Running>>,
}

#[derive(Debug)]
struct Running {
    /// Parity packets for a hundred packets.
    percent: i32,
    /// In hundredths of a parity packet.
    credit: i32,
    /// Beginnings of the block before this one, and of this one.
    kept: u64,
    block: u64,
    /// Which of the newest packets told a capture time, from the newest on, and the number behind that one. They are not
    /// covered, one or so in a second: nobody remembers what exactly they told.
    telling: u64,
    end: u64,
    parities: [Parity; MOST],
}

impl Fec {
    /// `first_seq` is random below 2^15. `None`: the viewer takes no parity packets.
    pub(super) fn new(track: &NegotiatedTrack, first_seq: u16) -> Option<Self> {
        Some(Self { agreed: track.fec?, next: OutSeq(u64::from(first_seq)), running: None })
    }

    pub(super) const fn is_on(&self) -> bool {
        self.running.is_some()
    }

    /// So many parity packets for a hundred packets from `next` on, or none.
    pub(super) fn set(&mut self, percent: Option<u8>, next: OutSeq) {
        let Some(percent) = percent.map(i32::from) else { return self.running = None };
        let begin = || {
            Box::new(Running {
                percent,
                credit: 0,
                kept: next.0,
                block: next.0,
                telling: 0,
                end: next.0,
                parities: [Parity::EMPTY; MOST],
            })
        };
        self.running.get_or_insert_with(begin).percent = percent;
    }

    /// What was sent before `next` went out with numbers for the line and is not covered.
    pub(super) fn skip(&mut self, next: OutSeq) {
        if let Some(running) = &mut self.running {
            (running.kept, running.block) = (next.0, next.0);
        }
    }

    /// A packet of `sender` went out, which `ended` a picture or not: parity packets follow when it is time for them.
    pub(super) fn on_sent(
        &mut self,
        ended: bool,
        sender: &TrackSender,
        stream: &StreamView<'_>,
        sealer: &RtpSealer,
        lane: &mut Lane<'_>,
    ) {
        let Some(running) = &mut self.running else { return };
        let end = sender.cursor().next_out().0;
        running.note(end, sender.last_has_told());
        let Some(count) = running.due(ended, end) else { return };
        for out in running.kept..end {
            let Some((seq, out)) = sender.cursor().sent(OutSeq(out).wire()) else { continue };
            let ring = stream.ring(sender.cursor().passage_of(out).track);
            let Some(packet) = ring.get(seq).filter(|_| !running.has_told(out.0)) else { continue };
            sender.plain(packet, out, |header, parts| running.add(count, out.0, header, parts));
        }
        let timestamp = sender.last_timestamp();
        for parity in &running.parities[..count] {
            if parity.mask == 0 {
                continue;
            }
            let (front, length) = parity.header(sender.ssrc().0, running.kept);
            let header = plain_header(self.agreed.payload_type, self.agreed.ssrc, self.next, timestamp);
            let parts = [&front[..length], &parity.body[..parity.len]];
            match seal(&header, self.next, parts, sealer, lane) {
                // Whoever has so much to send has no room for more.
                Put::Full => break,
                Put::Never => {}
                Put::Sent(_) => lane.counters.parity += 1,
            }
            self.next.0 += 1;
        }
        running.begin_block(end);
    }
}

impl Running {
    /// The packet before `end` went out, and `told` when it was captured.
    fn note(&mut self, end: u64, told: bool) {
        let passed = u32::try_from(end.saturating_sub(self.end)).unwrap_or(u32::MAX);
        self.telling = self.telling.checked_shl(passed).unwrap_or(0) | u64::from(told);
        self.end = end;
    }

    fn has_told(&self, out: u64) -> bool {
        // No block lies further back than what is remembered.
        self.telling >> (self.end - 1 - out).min(63) & 1 == 1
    }

    /// How many parity packets follow what was sent up to `end`, which was `ended` by a picture's end or not.
    fn due(&mut self, ended: bool, end: u64) -> Option<usize> {
        self.credit += self.percent;
        if !ended && end - self.block < BLOCK {
            return None;
        }
        // Packets that were skipped.
        if end - self.block > REACH {
            self.block = end;
        }
        if end - self.kept > REACH {
            self.kept = self.block;
        }
        // A picture's last packets are not left alone for want of half a parity packet.
        let whole = if ended { self.credit + PACKET - 1 } else { self.credit } / PACKET;
        let count = usize::try_from(whole).unwrap_or(0).min(MOST);
        if count == 0 {
            return None;
        }
        self.credit -= count as i32 * PACKET;
        self.parities[..count].iter_mut().for_each(Parity::clear);
        Some(count)
    }

    /// Adds the packet with the number `out` to its parity packets of `count`.
    fn add(&mut self, count: usize, out: u64, header: &[u8], parts: [&[u8]; 2]) {
        let (subsets, place) = match out.checked_sub(self.block) {
            Some(place) => (FRESH[count - 1], place),
            None => (KEPT[count - 1], out - self.kept),
        };
        let subset = subsets[place as usize % subsets.len()];
        for (number, parity) in self.parities[..count].iter_mut().enumerate() {
            if subset >> number & 1 == 1 {
                parity.add(out - self.kept, header, parts);
            }
        }
    }

    const fn begin_block(&mut self, end: u64) {
        (self.kept, self.block) = (self.block, end);
    }
}
