//! Packetised elementary streams (ISO/IEC 13818-1 section 2.4.3.6): packets become pictures and pieces of sound.

use super::{packet::Packet, programme::Coding};

/// One track.
#[derive(Debug)]
pub(super) struct Pes {
    pid: u16,
    coding: Coding,
    counter: Option<u8>,
    /// What is being put together.
    open: Option<Open>,
    /// The packet before ended a unit early, see [`Self::push`].
    ended_early: bool,
    /// The multiplexer fills up packets in the middle, too.
    stuffs_anywhere: bool,
    new_clock: bool,
}

#[derive(Debug)]
struct Open {
    random_access: bool,
    new_clock: bool,
    bytes: Vec<u8>,
}

/// What one PES packet holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unit {
    /// 33 bits, 90 kHz.
    pub(super) show: Option<u64>,
    pub(super) decode: Option<u64>,
    pub(super) random_access: bool,
    /// It is the first one of a new clock.
    pub(super) new_clock: bool,
    pub(super) data: Vec<u8>,
}

impl Pes {
    pub(super) fn new(pid: u16, coding: Coding) -> Self {
        Self {
            pid,
            coding,
            counter: None,
            open: None,
            ended_early: false,
            stuffs_anywhere: false,
            new_clock: false,
        }
    }

    pub(super) fn pid(&self) -> u16 {
        self.pid
    }

    pub(super) fn coding(&self) -> Coding {
        self.coding
    }

    /// What begins from here on has another clock.
    pub(super) fn new_clock(&mut self) {
        self.new_clock = true;
    }

    /// Takes a packet; returns how much was lost or broken.
    ///
    /// Pictures seldom say how long they are, and waiting for the next one would cost a picture's time. Their last packet
    /// is filled up, though, so a filled packet ends the picture. When that was wrong, the filling is not trusted again.
    pub(super) fn push(&mut self, packet: &Packet<'_>, units: &mut Vec<Unit>) -> u64 {
        if !packet.has_payload {
            return 0;
        }
        let mut broken = 0;
        let last = self.counter.replace(packet.counter);
        if last == Some(packet.counter) && !packet.discontinuity {
            return 0; // sent twice
        }
        let gap = last.is_some_and(|last| (last + 1) & 0x0f != packet.counter) || packet.discontinuity;
        if gap && self.open.take().is_some() {
            broken += 1;
        }
        if packet.starts {
            broken += self.close(units);
            self.ended_early = false;
            let new_clock = std::mem::take(&mut self.new_clock);
            self.open = Some(Open {
                random_access: packet.random_access,
                new_clock,
                bytes: Vec::with_capacity(packet.payload.len()),
            });
        } else if std::mem::take(&mut self.ended_early) && !gap {
            self.stuffs_anywhere = true;
            return broken + 1;
        }
        let Some(open) = &mut self.open else { return broken };
        if open.bytes.len() + packet.payload.len() > LARGEST {
            self.open = None;
            return broken + 1;
        }
        open.bytes.extend_from_slice(packet.payload);
        match said_length(&open.bytes) {
            Some(length) if open.bytes.len() >= length => broken += self.close(units),
            None if packet.stuffed && !self.stuffs_anywhere && open.bytes.len() >= START => {
                broken += self.close(units);
                self.ended_early = true;
            }
            _ => {}
        }
        broken
    }

    fn close(&mut self, units: &mut Vec<Unit>) -> u64 {
        let Some(open) = self.open.take() else { return 0 };
        match parse(open) {
            Some(unit) => {
                units.push(unit);
                0
            }
            None => 1,
        }
    }
}

/// The whole length, if it is said. The header must be there.
fn said_length(bytes: &[u8]) -> Option<usize> {
    let &[_, _, _, _, high, low] = bytes.first_chunk()?;
    match u16::from_be_bytes([high, low]) {
        0 => None,
        length => Some(START + usize::from(length)),
    }
}

fn parse(open: Open) -> Option<Unit> {
    let mut data = open.bytes;
    if let Some(length) = said_length(&data) {
        if data.len() < length {
            return None;
        }
        data.truncate(length);
    }
    let &[0, 0, 1, _, _, _, marks, flags, header] = data.first_chunk()? else { return None };
    // Only packets with this header carry pictures and sound; scrambled ones cannot be read.
    if marks & 0xf0 != 0x80 {
        return None;
    }
    let begin = START + 3 + usize::from(header);
    let fields = data.get(START + 3..begin)?;
    let show = if flags & 0x80 != 0 { time(fields) } else { None };
    let decode = if flags & 0xc0 == 0xc0 { time(fields.get(5..)?) } else { None };
    data.drain(..begin);
    Some(Unit { show, decode, random_access: open.random_access, new_clock: open.new_clock, data })
}

fn time(field: &[u8]) -> Option<u64> {
    let &[a, b, c, d, e] = field.first_chunk()?;
    let (a, b, c, d, e) = (u64::from(a), u64::from(b), u64::from(c), u64::from(d), u64::from(e));
    Some((a & 0x0e) << 29 | b << 22 | (c & 0xfe) << 14 | d << 7 | e >> 1)
}

/// Start code, stream id, length.
const START: usize = 6;
/// A keyframe of 8 Mbit/s has a tenth of this.
const LARGEST: usize = 4 << 20;
