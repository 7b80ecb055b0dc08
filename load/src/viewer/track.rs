//! One medium of one viewer, counted packet by packet.

use std::time::Duration;

use super::sequence::Sequence;
use crate::{
    sys::clock::Mono,
    timeline::Frame,
    watched::{Medium, Phase, Tally, Watched},
};

/// From its first packet on a viewer catches up with the present; after this long it must get all that is published.
pub(super) const SETTLE: Duration = Duration::from_secs(1);

/// What came, of what should have come.
#[derive(Debug, Clone)]
pub(crate) struct Track {
    medium: Medium,
    pub(crate) sequence: Sequence,
    /// The frame that the newest packet belongs to.
    newest: Option<Newest>,
    first_at: Option<Mono>,
    /// From when on the viewer must get everything.
    from: Option<Edge>,
    /// The first frame that is not its any more.
    until: Option<Edge>,
    came: Came,
    /// Packets that came of those that should, one for each [`Phase::BOTH`].
    delivered: [u64; 2],
    newest_at: Mono,
    /// Longest time between two packets in the hold.
    pub(crate) longest_pause: Duration,
}

/// Packets that came of those that should, for a look while frames still come.
#[derive(Debug, Clone, Copy, Default)]
struct Came {
    /// The newest frame that any belongs to ...
    frame: Frame,
    /// ... and how many of it came.
    of_it: u64,
    /// Of the frames before it.
    before: u64,
}

impl Came {
    #[inline]
    const fn add(&mut self, frame: Frame) {
        if frame > self.frame {
            self.before += self.of_it;
            (self.frame, self.of_it) = (frame, 0);
        }
        if frame == self.frame {
            self.of_it += 1;
        } else {
            self.before += 1;
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Newest {
    timestamp: u32,
    /// None when the viewer need not get it, or nobody knows which it is.
    owed: Option<Frame>,
    /// None when the frame does not count: before the viewer settled, or after the hold.
    phase: Option<Phase>,
    /// When it was published, if that is known.
    sent: Option<Mono>,
}

#[derive(Debug, Clone, Copy)]
struct Edge {
    frame: Frame,
    /// Packets published before it.
    packets: u64,
}

impl Track {
    pub(crate) fn new(medium: Medium) -> Self {
        Self {
            medium,
            sequence: Sequence::default(),
            newest: None,
            first_at: None,
            from: None,
            until: None,
            came: Came::default(),
            delivered: [0; 2],
            newest_at: Mono::default(),
            longest_pause: Duration::ZERO,
        }
    }

    /// Counts a packet; its extended number when it is a new one.
    #[inline]
    pub(crate) fn add(
        &mut self,
        seq: u16,
        timestamp: u32,
        arrived: Mono,
        watched: &Watched,
        tally: &mut Tally,
    ) -> Option<u64> {
        let number = self.sequence.add(seq)?;
        let newest = match self.newest {
            Some(newest) if newest.timestamp == timestamp => newest,
            _ => self.look_up(timestamp, arrived, watched),
        };
        if let Some(frame) = newest.owed {
            self.came.add(frame);
        }
        if let Some(phase) = newest.phase {
            self.delivered[phase as usize] += 1;
            let delay_us = match newest.sent {
                Some(sent) => arrived.0.saturating_sub(sent.0) / 1000,
                None => tally.foreign_delay_us(self.medium, timestamp, arrived),
            };
            tally.latency_us[phase as usize].add(delay_us);
            if phase == Phase::Hold {
                self.longest_pause = self.longest_pause.max(arrived.since(self.newest_at));
            }
        }
        self.newest_at = arrived;
        Some(number)
    }

    /// Once per frame.
    fn look_up(&mut self, timestamp: u32, arrived: Mono, watched: &Watched) -> Newest {
        let first_at = *self.first_at.get_or_insert(arrived);
        let settled = arrived.since(first_at) >= SETTLE;
        let newest = match watched.timeline(self.medium) {
            Some(timeline) => {
                let frame = timeline.frame(timestamp);
                if self.from.is_none()
                    && settled
                    && let Some(frame) = frame
                {
                    let next = frame + 1;
                    self.from = Some(Edge { frame: next, packets: timeline.packets_before(next) });
                }
                let counts = |frame: &Frame| {
                    self.from.is_some_and(|from| *frame >= from.frame)
                        && self.until.is_none_or(|until| *frame < until.frame)
                };
                let owed = frame.filter(counts);
                let phase = owed.and_then(|frame| watched.phase(self.medium, frame));
                Newest { timestamp, owed, phase, sent: frame.and_then(|frame| timeline.sent(frame)) }
            }
            None => {
                let phase = watched.phase(self.medium, arrived.0).filter(|_| settled);
                Newest { timestamp, owed: None, phase, sent: None }
            }
        };
        self.newest = Some(newest);
        newest
    }

    /// Packets that should have come by now and did not: of the frames before the newest one that came, and of all that
    /// were published [`SETTLE`] ago, so that silence counts too. Gaps in the numbers, where nobody knows what was published.
    pub(crate) fn missing(&self, watched: &Watched) -> u64 {
        let Some(timeline) = watched.timeline(self.medium) else { return self.sequence.missing() };
        let Some(from) = self.from else { return 0 };
        let overdue = timeline.next().saturating_sub(watched.frames_in(self.medium, SETTLE));
        let end = overdue.max(self.came.frame);
        let end = match self.until {
            Some(until) if until.frame <= end => until,
            _ => Edge { frame: end, packets: timeline.packets_before(end) },
        };
        let came = self.came.before + if self.came.frame < end.frame { self.came.of_it } else { 0 };
        end.packets.saturating_sub(from.packets).saturating_sub(came)
    }

    /// What is published from now on is not this viewer's any more.
    pub(crate) fn leave(&mut self, watched: &Watched) {
        if self.until.is_none()
            && let Some(timeline) = watched.timeline(self.medium)
        {
            let next = timeline.next();
            self.until = Some(Edge { frame: next, packets: timeline.packets_before(next) });
        }
    }

    /// Packets of a phase that came, and how many should have: those of all frames from the settled start to the
    /// end. To be asked when the hold is over; nobody knows what a foreign publisher sent.
    pub(crate) fn share(&self, phase: Phase, watched: &Watched) -> Share {
        let delivered = self.delivered[phase as usize];
        let Some(from) = self.from else { return Share { delivered, owed: None } };
        let (begin, end) = watched.hold_packets(self.medium);
        let until = self.until.map_or(u64::MAX, |until| until.packets);
        let (begin, end) = match phase {
            Phase::Ramp => (from.packets, begin.min(until)),
            Phase::Hold => (begin.max(from.packets), end.min(until)),
        };
        Share { delivered, owed: Some(end.saturating_sub(begin)) }
    }
}

/// Packets that came, of those that should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) delivered: u64,
    /// None when it is not known.
    pub(crate) owed: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{publish::Published, watched::Place};

    const SHIFT: u32 = 4_000_000_000;
    const FRAME: Duration = Duration::from_micros(33_334);
    const DELAY: Duration = Duration::from_millis(2);

    struct Scene {
        watched: Watched,
        tally: Tally,
        track: Track,
        seq: u16,
        frame: Frame,
    }

    impl Scene {
        fn new() -> Self {
            let published = Published::new(100, 0);
            published
                .video
                .learn(published.video.timestamp(0).wrapping_add(SHIFT), published.video.timestamp(0));
            let watched = Watched::new(0, Place::Port(1), Some(published));
            Self { watched, tally: Tally::default(), track: Track::new(Medium::Video), seq: 65_000, frame: 0 }
        }

        /// So many frames of ten packets; `came` says which packets of a frame come.
        fn play(&mut self, frames: u64, came: impl Fn(u64) -> bool) {
            for frame in self.frame..self.frame + frames {
                let sent = Mono(1).plus(FRAME * frame as u32);
                let timeline = self.watched.timeline(Medium::Video).expect("ours");
                timeline.begin(frame, sent, 10);
                let timestamp = timeline.timestamp(frame).wrapping_add(SHIFT);
                for packet in (0..10).filter(|packet| came(*packet)) {
                    let seq = self.seq.wrapping_add(packet as u16);
                    self.track.add(seq, timestamp, sent.plus(DELAY), &self.watched, &mut self.tally);
                }
                self.seq = self.seq.wrapping_add(10);
            }
            self.frame += frames;
        }

        fn share(&self, phase: Phase) -> (u64, u64) {
            let share = self.track.share(phase, &self.watched);
            (share.delivered, share.owed.expect("our own publisher"))
        }
    }

    #[test]
    fn all_that_is_published_is_owed_and_delivered() {
        let mut scene = Scene::new();
        scene.play(60, |_| true);
        scene.watched.begin_hold(Mono(0));
        scene.play(90, |_| true);
        scene.watched.fix_begin();
        scene.watched.end_hold(Mono(0));
        scene.play(30, |_| true);
        scene.watched.fix_end();
        // Settled after 30 frames and the one that shows it; three frames of margin at each edge.
        assert_eq!(scene.share(Phase::Ramp), (10 * (63 - 31), 10 * (63 - 31)));
        assert_eq!(scene.share(Phase::Hold), (900, 900));
        let latency = scene.tally.latency_us[Phase::Hold as usize].summary(1.0).expect("values");
        assert_eq!((latency.count, latency.min, latency.max), (900, 2000.0, 2000.0));
        assert!(scene.track.longest_pause.abs_diff(FRAME) < Duration::from_micros(2));
    }

    #[test]
    fn loss_shows_against_what_was_published_even_without_a_gap_in_the_numbers() {
        let mut scene = Scene::new();
        scene.watched.begin_hold(Mono(0));
        scene.play(120, |_| true);
        scene.watched.fix_begin();
        let before = scene.share_now();
        // A server that skips whole frames numbers on without a gap.
        let seq = scene.seq;
        scene.play(30, |_| false);
        scene.seq = seq;
        scene.play(30, |packet| packet != 4);
        scene.watched.end_hold(Mono(0));
        scene.play(5, |_| true);
        scene.watched.fix_end();
        let (delivered, owed) = scene.share(Phase::Hold);
        assert_eq!(delivered - before, 30 * 9 + 3 * 10);
        assert_eq!(owed - before, 60 * 10 + 3 * 10);
        assert_eq!(scene.track.sequence.missing(), 30);
    }

    #[test]
    fn what_is_missing_by_now() {
        let mut scene = Scene::new();
        let missing = |scene: &Scene| scene.track.missing(&scene.watched);
        scene.play(20, |packet| packet != 1);
        assert_eq!(missing(&scene), 0, "nothing is owed while it settles");
        scene.play(20, |_| true);
        assert_eq!(missing(&scene), 0, "the newest frame may be on its way");
        // Skipped without a gap in the numbers, then again whole.
        let seq = scene.seq;
        scene.play(5, |_| false);
        scene.seq = seq;
        assert_eq!(missing(&scene), 0, "it may still come");
        scene.play(1, |_| true);
        assert_eq!(missing(&scene), 50);
        // One packet comes late, after a newer frame has begun.
        let frame = scene.frame;
        let late = scene.watched.timeline(Medium::Video).expect("ours").timestamp(frame).wrapping_add(SHIFT);
        let late_seq = scene.seq.wrapping_add(3);
        scene.play(2, |packet| packet != 3);
        assert_eq!(missing(&scene), 51);
        scene.track.add(late_seq, late, Mono(1).plus(FRAME * 60), &scene.watched, &mut scene.tally);
        assert_eq!(missing(&scene), 50);
        // Nothing at all any more: all that was published a second ago is missing, too.
        scene.play(35, |_| false);
        assert_eq!(missing(&scene), 50 + 1 + 10 * 5);
        scene.track.leave(&scene.watched);
        scene.play(60, |_| true);
        assert_eq!(missing(&scene), 50 + 1 + 10 * 35);
    }

    #[test]
    fn after_leaving_nothing_is_owed_nor_counted() {
        let mut scene = Scene::new();
        scene.watched.begin_hold(Mono(0));
        scene.play(60, |_| true);
        scene.watched.fix_begin();
        scene.track.leave(&scene.watched);
        scene.play(60, |_| true);
        scene.watched.end_hold(Mono(0));
        scene.play(5, |_| true);
        scene.watched.fix_end();
        assert_eq!(scene.share(Phase::Hold), (10 * (60 - 31), 10 * (60 - 31)));
    }

    impl Scene {
        fn share_now(&self) -> u64 {
            self.track.share(Phase::Hold, &self.watched).delivered
        }
    }
}
