//! MPEG transport streams (ISO/IEC 13818-1), as far as one live programme needs: H.264, H.265, AAC in ADTS, Opus.
//!
//! [`Demuxer`] takes the bytes of a stream however they are cut and gives pictures and sound. Everything that a sender can
//! make grow has a bound; what is broken is dropped and counted.

mod adts;
mod clock;
mod opus;
mod packet;
mod pes;
mod programme;
mod section;
#[cfg(test)]
mod tests;

use packet::{PACKET, Packet, SYNC};
use pes::Pes;
use programme::{Association, Map, MapError};
use section::Sections;

use crate::Codec;

pub use clock::Ticks;
pub use programme::{Coding, Unsupported};

/// Pictures or sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

/// Something in the stream. Times are of the programme's clock, which both tracks share; it never wraps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// One coded picture, NAL units between start codes.
    Picture {
        /// H.264 or H.265.
        codec: Codec,
        /// When it is to be shown.
        show: Ticks,
        /// The container says that a decoder can start here.
        key: bool,
        /// The byte stream.
        data: Vec<u8>,
    },
    /// AudioSpecificConfig of the AAC that follows, when it is another than before.
    AacConfiguration([u8; 2]),
    /// One AAC frame without its header, and when it is to be heard.
    Aac(Ticks, Vec<u8>),
    /// One Opus packet, and when it is to be heard.
    Opus(Ticks, Vec<u8>),
    /// The clock of this track jumped: what follows has nothing to do with what came before.
    Jump(Kind),
    /// A track in a coding that cannot be taken, and there is none of its kind that can.
    Unsupported(Unsupported),
}

/// Follows one transport stream: the first programme, its first track of pictures and its first of sound.
#[derive(Debug, Default)]
pub struct Demuxer {
    /// What has not come to a whole packet yet.
    rest: Vec<u8>,
    in_step: bool,
    association: Sections,
    map: Sections,
    programme: Option<Association>,
    current: Option<Map>,
    clock: clock::Clock,
    video: Option<Pes>,
    audio: Option<Pes>,
    aac: adts::Reader,
    broken: u64,
}

impl Demuxer {
    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        let mut rest = std::mem::take(&mut self.rest);
        rest.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(skip) = self.step(&rest[at..], &mut events) {
            at += skip;
        }
        rest.drain(..at);
        self.rest = rest;
        events
    }

    /// What was lost or could not be read: packets, pictures, frames.
    #[must_use]
    pub fn broken(&self) -> u64 {
        self.broken
    }

    /// Reads one packet or looks for where one begins; says how far it came, or `None` when it needs more.
    fn step(&mut self, rest: &[u8], events: &mut Vec<Event>) -> Option<usize> {
        if self.in_step {
            if *rest.first()? != SYNC {
                self.in_step = false;
                self.broken += 1;
                return Some(0);
            }
            let packet = rest.first_chunk::<PACKET>()?;
            match Packet::parse(packet) {
                Some(packet) => self.packet(&packet, events),
                None => self.broken += 1,
            }
            return Some(PACKET);
        }
        // One byte says little: another packet has to begin behind.
        let candidate = rest.iter().position(|&byte| byte == SYNC).unwrap_or(rest.len());
        match rest.get(candidate + PACKET) {
            Some(&SYNC) => {
                self.in_step = true;
                Some(candidate)
            }
            Some(_) => Some(candidate + 1),
            None if candidate > 0 => Some(candidate),
            None => None,
        }
    }

    fn packet(&mut self, packet: &Packet<'_>, events: &mut Vec<Event>) {
        if packet.pid == programme::ASSOCIATION_PID {
            if let Some(section) = self.association.push(packet) {
                self.on_association(&section);
            }
            return;
        }
        if self.programme.is_some_and(|programme| programme.map_pid == packet.pid) {
            if let Some(section) = self.map.push(packet) {
                self.on_map(&section, events);
            }
            return;
        }
        let Some(map) = &self.current else { return };
        if map.clock_pid == packet.pid && self.clock.reference(packet) {
            // Whatever begins from here on is of the new clock.
            for track in [&mut self.video, &mut self.audio].into_iter().flatten() {
                track.new_clock();
            }
        }
        for kind in [Kind::Video, Kind::Audio] {
            let track = match kind {
                Kind::Video => &mut self.video,
                Kind::Audio => &mut self.audio,
            };
            let Some(track) = track.as_mut().filter(|track| track.pid() == packet.pid) else { continue };
            let mut units = Vec::new();
            self.broken += track.push(packet, &mut units);
            let coding = track.coding();
            for unit in units {
                self.on_unit(kind, coding, unit, events);
            }
            return;
        }
    }

    fn on_association(&mut self, section: &[u8]) {
        match Association::parse(section) {
            Ok(Some(programme)) if self.programme != Some(programme) => {
                self.programme = Some(programme);
                self.current = None;
                self.map = Sections::default();
                (self.video, self.audio) = (None, None);
            }
            Ok(_) => {}
            Err(MapError) => self.broken += 1,
        }
    }

    fn on_map(&mut self, section: &[u8], events: &mut Vec<Event>) {
        let Some(programme) = self.programme else { return };
        let map = match Map::parse(section, programme.number) {
            Ok(Some(map)) => map,
            Ok(None) => return,
            Err(MapError) => {
                self.broken += 1;
                return;
            }
        };
        if self.current.as_ref() == Some(&map) {
            return;
        }
        // A new version of the map may say the same of a track, which then goes on.
        for (track, wanted) in [(&mut self.video, map.video), (&mut self.audio, map.audio)] {
            let present = track.as_ref().map(|track| (track.pid(), track.coding()));
            if present != wanted {
                *track = wanted.map(|(pid, coding)| Pes::new(pid, coding));
            }
        }
        events.extend(map.unsupported().map(Event::Unsupported));
        self.current = Some(map);
    }

    fn on_unit(&mut self, kind: Kind, coding: Coding, unit: pes::Unit, events: &mut Vec<Event>) {
        let time = unit.show.map(|show| self.clock.unwrap(show));
        if let Some(time) = time {
            // Pictures come in the order they are decoded in.
            let due = unit.decode.map_or(time, |decode| self.clock.unwrap(decode));
            if self.clock.jumped(kind, due, unit.new_clock) {
                events.push(Event::Jump(kind));
                if kind == Kind::Audio {
                    self.aac.forget();
                }
            }
        }
        match (coding, time) {
            (Coding::H264 | Coding::H265, Some(show)) => {
                let codec = if coding == Coding::H265 { Codec::H265 } else { Codec::H264 };
                events.push(Event::Picture { codec, show, key: unit.random_access, data: unit.data });
            }
            (Coding::Aac, time) => self.broken += self.aac.read(time, unit.data, events),
            (Coding::Opus, Some(time)) => self.broken += opus::read(time, &unit.data, events),
            _ => self.broken += 1,
        }
    }
}
