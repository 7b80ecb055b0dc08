//! When what a viewer gets was captured, told in the header extension abs-capture-time
//! (<http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time>).
//!
//! A receiver works out by itself what follows a packet that tells: its timestamps go on at the track's clock rate. So
//! few packets tell: the first one, one a second, and where that calculation goes wrong: while timestamps are
//! squeezed, and when more is known of the way to the server. It is the last packet of a picture, which is rarely a
//! full one: the first would be longer than all others, and would not go to the kernel in one run with them.
//!
//! The clock is this server's, the one that sender reports go by, whatever clock the publisher has.

use std::time::Duration;

use heliograph_media::{ClockRate, NtpTime};

use crate::{TrackClock, worker::WallClock};

/// Told again after so much of the track's time at the latest: what told before may have been lost.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// A receiver may be wrong by so much, in 2^-32 seconds: 2 ms.
const NEAR: u64 = (2 << 32) / 1_000;

/// An element with capture time and clock offset (16 bytes of data), filled up to whole words.
pub(crate) type CaptureElement = [u8; 20];

/// When the timestamps of a track were captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CaptureLine {
    /// On this server's clock ...
    captured: NtpTime,
    /// ... what has this timestamp.
    timestamp: u64,
    rate: ClockRate,
}

impl CaptureLine {
    /// What is due on `clock` was captured `uplink` before that.
    pub(crate) fn new(clock: &TrackClock, uplink: Duration, wall: &WallClock) -> Self {
        let captured = NtpTime::from_unix(wall.unix(clock.at).saturating_sub(uplink));
        Self { captured, timestamp: clock.timestamp, rate: clock.rate }
    }

    /// When what has this timestamp of the ring was captured.
    fn at(&self, timestamp: u64) -> NtpTime {
        let ticks = timestamp.wrapping_sub(self.timestamp).cast_signed();
        self.captured.plus(ticks, self.rate)
    }
}

/// What one viewer was told of one track.
#[derive(Debug)]
pub(crate) struct CaptureTimes {
    /// Of the extension.
    id: u8,
    /// Timestamp of the packet, as the viewer got it, and the capture time in it.
    told: Option<(u64, NtpTime)>,
}

impl CaptureTimes {
    /// `id`: what was negotiated, if it was.
    pub(crate) fn new(id: Option<u8>) -> Option<Self> {
        id.filter(|id| (1..15).contains(id)).map(|id| Self { id, told: None })
    }

    /// What a packet has to tell that has the timestamp `ring` there and goes out with `out`; nothing where the viewer
    /// comes near enough by itself.
    pub(crate) fn due(&self, ring: u64, out: u64, line: &CaptureLine) -> Option<NtpTime> {
        let captured = line.at(ring);
        let Some((before, told)) = self.told else { return Some(captured) };
        let ticks = out.wrapping_sub(before).cast_signed();
        let worked_out = told.plus(ticks, line.rate);
        let wrong = captured.0.wrapping_sub(worked_out.0).cast_signed().unsigned_abs();
        (wrong > NEAR || ticks.unsigned_abs() >= line.rate.ticks(AGAIN_AFTER)).then_some(captured)
    }

    /// A packet that goes out with the timestamp `out` tells it.
    pub(crate) const fn told(&mut self, out: u64, captured: NtpTime) {
        self.told = Some((out, captured));
    }

    /// The packet that told last has this timestamp.
    pub(crate) fn has_told_at(&self, out: u64) -> bool {
        self.told.is_some_and(|(before, _)| before == out)
    }

    /// The element: when it was captured, and that this is by the clock of the sender reports.
    pub(crate) fn element(&self, captured: NtpTime) -> CaptureElement {
        let mut element = [0; 20];
        element[0] = self.id << 4 | 15;
        element[1..9].copy_from_slice(&captured.0.to_be_bytes());
        element
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::time::Instant;

    use super::*;

    const SECOND: u64 = 90_000;
    const PICTURE: u64 = SECOND / 25;

    fn line(uplink: u64) -> CaptureLine {
        let wall = WallClock::start();
        let clock = TrackClock { at: Instant::now(), timestamp: 1 << 33, rate: ClockRate::VIDEO };
        CaptureLine::new(&clock, Duration::from_millis(uplink), &wall)
    }

    /// Gives a viewer the picture with this timestamp, moved by `squeezed`; whether it tells.
    fn show(times: &mut CaptureTimes, ring: u64, squeezed: u64, line: &CaptureLine) -> bool {
        let due = times.due(ring, ring + squeezed, line);
        if let Some(captured) = due {
            times.told(ring + squeezed, captured);
        }
        due.is_some()
    }

    #[test]
    fn the_time_on_the_wire() {
        let times = CaptureTimes::new(Some(4)).unwrap();
        let captured = NtpTime::from_unix(Duration::from_micros(1_700_000_000_123_456));
        let expected =
            [0x4f, 0xe8, 0xfe, 0x6f, 0x80, 0x1f, 0x9a, 0xcf, 0xfa, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(times.element(captured), expected);
        for id in [None, Some(0), Some(15)] {
            assert!(CaptureTimes::new(id).is_none(), "{id:?}");
        }
    }

    #[test]
    fn a_timestamp_was_captured_before_it_came() {
        let wall = WallClock::start();
        let at = Instant::now() + Duration::from_secs(5);
        let clock = TrackClock { at, timestamp: 1 << 33, rate: ClockRate::VIDEO };
        let line = CaptureLine::new(&clock, Duration::from_millis(70), &wall);
        for (ticks, moved) in [(0, 0), (SECOND, 1_000), (9 * 3_600 * SECOND, 9 * 3_600_000)] {
            let captured = line.at((1 << 33) + ticks);
            let expected = wall.ntp(at + Duration::from_millis(moved));
            let before = expected.since(captured).unwrap();
            assert!(before.abs_diff(Duration::from_millis(70)) < Duration::from_micros(1), "{before:?}");
        }
        let earlier = line.at((1 << 33) - SECOND / 2);
        let before = wall.ntp(at).since(earlier).unwrap();
        assert!(before.abs_diff(Duration::from_millis(570)) < Duration::from_micros(1), "{before:?}");
    }

    #[test]
    fn one_picture_a_second_tells() {
        let (mut times, line) = (CaptureTimes::new(Some(4)).unwrap(), line(70));
        let telling: Vec<u64> =
            (0..100).filter(|n| show(&mut times, (1 << 33) + n * PICTURE, 0, &line)).collect();
        assert_eq!(telling, [0, 25, 50, 75]);
    }

    #[test]
    fn squeezed_timestamps_tell_until_they_are_their_own() {
        let (mut times, line) = (CaptureTimes::new(Some(4)).unwrap(), line(70));
        // Ten pictures in the time of one.
        let squeezed = |n: u64| 9 * PICTURE * (10 - n) / 10;
        let told = |times: &mut CaptureTimes, n: u64| {
            show(times, (1 << 33) + n * PICTURE, squeezed(n.min(10)), &line)
        };
        assert!((0..=10).all(|n| told(&mut times, n)));
        assert!((11..35).all(|n| !told(&mut times, n)));
        assert!(told(&mut times, 35));
    }

    #[test]
    fn what_is_learned_of_the_way_is_told_at_once() {
        let mut times = CaptureTimes::new(Some(4)).unwrap();
        let before = line(70);
        assert!(show(&mut times, 1 << 33, 0, &before));
        let later =
            |ms: u64| CaptureLine { captured: NtpTime(before.captured.0 - (ms << 32) / 1_000), ..before };
        assert!(!show(&mut times, (1 << 33) + PICTURE, 0, &later(1)));
        assert!(show(&mut times, (1 << 33) + 2 * PICTURE, 0, &later(3)));
        assert!(!show(&mut times, (1 << 33) + 3 * PICTURE, 0, &later(3)));
        // A picture that is shown earlier than the one before it (B-frames) says nothing new.
        assert!(!show(&mut times, (1 << 33) + PICTURE, 0, &later(3)));
    }
}
