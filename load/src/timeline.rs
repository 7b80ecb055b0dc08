//! When each frame of a track was published, and how many packets came before it: written by the publisher's thread, read
//! by all viewers' threads without a lock.
//!
//! A viewer knows a frame by its RTP timestamp only. The server moves timestamps onto a timeline of its own, by the same
//! amount for all packets of a track; probes, which see the stamp inside a packet, tell by how much.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{stamp::Stamp, sys::clock::Mono};

/// Frames remembered: nine minutes of video, five of audio.
const FRAMES: u64 = 1 << 14;
/// Set in [`Timeline::shift`] once it is known.
const KNOWN: u64 = 1 << 32;

/// One medium of one stream.
#[derive(Debug)]
pub(crate) struct Timeline {
    /// Ticks of the RTP clock from frame to frame.
    ticks: u32,
    /// RTP timestamp of frame 0, as published.
    base: u32,
    sent: Box<[AtomicU64]>,
    packets_before: Box<[AtomicU64]>,
    /// Frames begun so far.
    begun: AtomicU64,
    /// What the server adds to timestamps, and whether that is known.
    shift: AtomicU64,
    /// Times that a probe saw another shift than before.
    shifted: AtomicU64,
}

/// Counts frames of a track from 0.
pub(crate) type Frame = u64;

impl Timeline {
    pub(crate) fn new(ticks: u32, base: u32) -> Self {
        let table = || (0..FRAMES).map(|_| AtomicU64::new(0)).collect();
        Self {
            ticks,
            base,
            sent: table(),
            packets_before: table(),
            begun: AtomicU64::new(0),
            shift: AtomicU64::new(0),
            shifted: AtomicU64::new(0),
        }
    }

    /// Ticks of the RTP clock from frame to frame.
    pub(crate) const fn ticks(&self) -> u32 {
        self.ticks
    }

    /// RTP timestamp of a frame as published.
    pub(crate) fn timestamp(&self, frame: Frame) -> u32 {
        // Wraps as timestamps do.
        self.base.wrapping_add(self.ticks.wrapping_mul(frame as u32))
    }

    /// Says that a frame is about to be sent with so many packets. Frames come in order; only the publisher calls this.
    pub(crate) fn begin(&self, frame: Frame, now: Mono, packets: u64) {
        let before = self.packets_before(frame);
        self.sent[slot(frame)].store(now.0, Ordering::Relaxed);
        self.packets_before[slot(frame + 1)].store(before + packets, Ordering::Relaxed);
        self.begun.store(frame + 1, Ordering::Release);
    }

    /// Frames begun so far; the next one has this number.
    pub(crate) fn next(&self) -> Frame {
        self.begun.load(Ordering::Acquire)
    }

    /// When a frame was sent; none when that is too long ago or has not happened.
    pub(crate) fn sent(&self, frame: Frame) -> Option<Mono> {
        let next = self.next();
        (frame < next && next - frame < FRAMES).then(|| Mono(self.sent[slot(frame)].load(Ordering::Relaxed)))
    }

    /// Packets of all frames before this one, which has been begun or is the next.
    pub(crate) fn packets_before(&self, frame: Frame) -> u64 {
        self.packets_before[slot(frame)].load(Ordering::Relaxed)
    }

    /// Which frame a packet belongs to, found by its number; none when that is too long ago.
    pub(crate) fn frame_of_packet(&self, stamp: Stamp) -> Option<Frame> {
        let next = self.next();
        let oldest = next.saturating_sub(FRAMES - 1);
        // The first frame that begins behind the packet, less one.
        let (mut low, mut high) = (oldest, next);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.packets_before(middle) <= stamp.number { low = middle + 1 } else { high = middle }
        }
        low.checked_sub(1).filter(|&frame| frame >= oldest && frame < next)
    }

    /// Tells what a probe saw: `seen` is the timestamp that the packet with publisher's timestamp `published` has.
    pub(crate) fn learn(&self, seen: u32, published: u32) {
        let shift = KNOWN | u64::from(seen.wrapping_sub(published));
        let before = self.shift.swap(shift, Ordering::AcqRel);
        if before & KNOWN != 0 && before != shift {
            self.shifted.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether a probe has told.
    pub(crate) fn is_known(&self) -> bool {
        self.shift.load(Ordering::Acquire) & KNOWN != 0
    }

    /// Times that timestamps were moved anew while we watched.
    pub(crate) fn shifted(&self) -> u64 {
        self.shifted.load(Ordering::Relaxed)
    }

    /// Which frame a timestamp belongs to, as a viewer sees it; none while the shift is not known, and for timestamps
    /// that no frame has.
    pub(crate) fn frame(&self, seen: u32) -> Option<Frame> {
        let shift = self.shift.load(Ordering::Acquire);
        if shift & KNOWN == 0 {
            return None;
        }
        let newest = self.next().checked_sub(1)?;
        let published = seen.wrapping_sub(shift as u32);
        // Half of the number space around the newest frame: 6 hours of video, 12 of audio.
        let distance = published.wrapping_sub(self.timestamp(newest)) as i32;
        let ticks = i64::from(self.ticks);
        if i64::from(distance) % ticks != 0 {
            return None;
        }
        newest.checked_add_signed(i64::from(distance) / ticks).filter(|&frame| frame <= newest)
    }
}

fn slot(frame: Frame) -> usize {
    (frame % FRAMES) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_across_the_wrap_of_timestamps() {
        let timeline = Timeline::new(3000, 4_294_900_000);
        for frame in 0..100 {
            timeline.begin(frame, Mono(1000 + frame), 3);
        }
        let shift = 4_000_000_000_u32;
        let seen = |frame| timeline.timestamp(frame).wrapping_add(shift);
        assert_eq!(timeline.frame(seen(7)), None, "not before a probe has told");
        timeline.learn(seen(5), timeline.timestamp(5));
        for frame in [0, 1, 21, 22, 23, 99] {
            assert_eq!(timeline.frame(seen(frame)), Some(frame));
            assert_eq!(timeline.sent(frame), Some(Mono(1000 + frame)));
            assert_eq!(timeline.packets_before(frame), 3 * frame);
        }
        assert_eq!(timeline.packets_before(100), 300);
        assert_eq!(timeline.frame(seen(7).wrapping_add(1)), None, "no frame has this timestamp");
        assert_eq!(timeline.frame(seen(100)), None, "not sent yet");
        assert_eq!(timeline.sent(100), None);
        for (number, frame) in [(0, 0), (2, 0), (3, 1), (299, 99)] {
            assert_eq!(timeline.frame_of_packet(Stamp { sent: Mono(0), number }), Some(frame), "{number}");
        }
        assert_eq!(timeline.shifted(), 0);
        timeline.learn(1, 0);
        assert_eq!(timeline.shifted(), 1);
    }

    #[test]
    fn what_was_overwritten_is_not_told() {
        let timeline = Timeline::new(960, 0);
        for frame in 0..FRAMES + 10 {
            timeline.begin(frame, Mono(frame), 1);
        }
        assert_eq!(timeline.sent(10), None);
        assert_eq!(timeline.sent(11), Some(Mono(11)));
        assert_eq!(timeline.packets_before(FRAMES), FRAMES);
    }
}
