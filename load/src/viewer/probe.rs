//! What only a viewer that decrypts can tell: whether payloads are whole, how long each packet took, and by how much the
//! server moved the timestamps.

use super::track::SETTLE;
use crate::{
    histogram::Histogram,
    publish::{PPS, SPS, STAMP_IN_AUDIO, STAMP_IN_VIDEO},
    stamp::{Reading, Stamp},
    sys::clock::Mono,
    timeline::Timeline,
    watched::{Medium, Phase, Watched},
};

const NAL_TYPE: u8 = 0x1f;
const FU_A: u8 = 28;
const IDR: u8 = 5;
const SPS_TYPE: u8 = 7;

/// The figures of one probe.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProbeFigures {
    /// From the publisher's send call to arrival, packet by packet, in the hold, in microseconds.
    pub(crate) latency_us: Histogram,
    /// Payloads of our publisher that came as they were sent.
    pub(crate) whole: u64,
    /// Payloads that did not.
    pub(crate) damaged: u64,
    /// Payloads without a stamp that are no parameter sets of ours: somebody else's media.
    pub(crate) foreign: u64,
}

/// See [`ProbeFigures`].
#[derive(Debug, Default)]
pub(crate) struct Probe {
    figures: ProbeFigures,
    seen: u64,
    first_at: Option<Mono>,
}

impl Probe {
    pub(crate) fn figures(&self) -> &ProbeFigures {
        &self.figures
    }

    /// Takes a payload, and returns whether a picture may begin with it.
    pub(crate) fn add(
        &mut self,
        medium: Medium,
        timestamp: u32,
        payload: &[u8],
        arrived: Mono,
        watched: &Watched,
    ) -> bool {
        let before = match medium {
            Medium::Video => STAMP_IN_VIDEO,
            Medium::Audio => STAMP_IN_AUDIO,
        };
        match Stamp::read(payload, before) {
            Reading::Whole(stamp) => {
                self.figures.whole += 1;
                if let Some(timeline) = watched.timeline(medium) {
                    self.on_stamp(medium, timestamp, stamp, arrived, timeline, watched);
                }
            }
            Reading::Damaged => self.figures.damaged += 1,
            Reading::None if watched.published.is_some() => {
                // Only parameter sets have none.
                let known = medium == Medium::Video && (payload == SPS || payload == PPS);
                if known { self.figures.whole += 1 } else { self.figures.damaged += 1 }
            }
            Reading::None => self.figures.foreign += 1,
        }
        medium == Medium::Video && begins_keyframe(payload)
    }

    fn on_stamp(
        &mut self,
        medium: Medium,
        timestamp: u32,
        stamp: Stamp,
        arrived: Mono,
        timeline: &Timeline,
        watched: &Watched,
    ) {
        // A server may squeeze the timestamps of the past that a joiner is sent; live ones tell the shift.
        let live = arrived.since(*self.first_at.get_or_insert(arrived)) >= SETTLE;
        // Finding the frame of a stamp is a search; now and then is enough.
        if live && (self.seen.is_multiple_of(LEARN_EVERY) || !timeline.is_known()) {
            learn(timeline, timestamp, stamp);
        }
        self.seen += 1;
        let phase = timeline.frame(timestamp).and_then(|frame| watched.phase(medium, frame));
        if phase == Some(Phase::Hold) {
            self.figures.latency_us.add(arrived.since(stamp.sent).as_micros() as u64);
        }
    }
}

/// A probe looks for a moved timeline each so many packets.
const LEARN_EVERY: u64 = 16;

/// Finds the frame that a packet belongs to by its number, and so by how much its timestamp was moved.
fn learn(timeline: &Timeline, timestamp: u32, stamp: Stamp) {
    if let Some(frame) = timeline.frame_of_packet(stamp) {
        timeline.learn(timestamp, timeline.timestamp(frame));
    }
}

fn begins_keyframe(payload: &[u8]) -> bool {
    match payload {
        [first, header, ..] if first & NAL_TYPE == FU_A => header & 0x80 != 0 && header & NAL_TYPE == IDR,
        // A parameter set, alone or first in an aggregate (RFC 6184 section 5.7.1).
        [24, _, _, first, ..] => matches!(first & NAL_TYPE, SPS_TYPE | IDR),
        [first, ..] => matches!(first & NAL_TYPE, SPS_TYPE | IDR),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{publish::Published, watched::Place};

    #[test]
    fn pictures_begin_with_parameter_sets_or_the_first_slice_of_a_keyframe() {
        for (payload, begins) in [
            (SPS, true),
            (PPS, false),
            (&[0x7c, 0x85, 0x88], true),
            (&[0x7c, 0x05, 0x88], false),
            (&[0x7c, 0x81, 0x88], false),
            (&[0x65, 0x88], true),
            (&[0x41, 0x88], false),
            (&[24, 0, 25, 0x67, 0x42], true),
            (&[], false),
        ] {
            assert_eq!(begins_keyframe(payload), begins, "{payload:?}");
        }
    }

    #[test]
    fn payloads_are_checked_and_tell_the_shift() {
        let published = Published::new(1000, 0);
        for frame in 0..5 {
            published.video.begin(frame, Mono(100 * frame), 3);
        }
        let watched = Watched::new(0, Place::Port(1), Some(published));
        let timeline = watched.timeline(Medium::Video).expect("ours");
        let mut payload = vec![0x7c; 100];
        // Packet 7 is the second one of frame 2.
        Stamp { sent: Mono(201), number: 7 }.write(&mut payload, STAMP_IN_VIDEO);
        let mut probe = Probe::default();
        let seen = timeline.timestamp(2).wrapping_add(77);
        probe.add(Medium::Video, seen.wrapping_add(5), &payload, Mono(9_000_201), &watched);
        assert!(!timeline.is_known(), "that may have been a replay");
        probe.add(Medium::Video, seen, &payload, Mono(9_000_201 + SETTLE.as_nanos() as u64), &watched);
        assert_eq!((timeline.frame(seen), timeline.shifted()), (Some(2), 0));
        watched.begin_hold(Mono(0));
        payload[50] ^= 1;
        probe.add(Medium::Video, seen, &payload, Mono(9_000_201), &watched);
        probe.add(Medium::Video, seen, SPS, Mono(9_000_201), &watched);
        probe.add(Medium::Video, seen, &[0x41, 1, 2], Mono(9_000_201), &watched);
        let figures = probe.figures();
        assert_eq!((figures.whole, figures.damaged, figures.foreign), (3, 2, 0));
    }
}
