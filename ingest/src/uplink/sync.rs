//! Sender reports: which instants of the two media belong together.
//!
//! A client's reports map timestamp 0 of both media to one instant. The relay should know that from the first packet
//! on and not a second later, so each track begins with a report of ours. Later reports of the client are passed on,
//! moved to our clock by one offset that stays the same for the session: whatever offset between sound and picture
//! and whatever drift they express is kept.

use std::time::{Duration, Instant};

use heliograph_media::{ClockRate, NtpTime, TimestampUnwrapper};

/// The clock of one publisher session.
#[derive(Debug)]
pub(crate) struct SessionClock {
    base: Instant,
    base_ntp: NtpTime,
    /// Our time of timestamp 0 of both media.
    zero: Option<NtpTime>,
    /// From the client's clock to ours, 32.32 seconds, wrapping.
    offset: Option<u64>,
}

/// The clock of one track in it.
#[derive(Debug)]
pub(crate) struct TrackClock {
    rate: ClockRate,
    timestamps: TimestampUnwrapper,
    /// It may count from about zero, and then both media do from one instant.
    shares_zero: bool,
    /// It does.
    from_zero: bool,
    begun: bool,
    /// What the newest report of the client said.
    reported: Option<(NtpTime, u32)>,
}

impl SessionClock {
    pub(crate) fn new(base: Instant, base_ntp: NtpTime) -> Self {
        Self { base, base_ntp, zero: None, offset: None }
    }

    /// The first packet of a track: the report to send before it, if its time can be known.
    pub(crate) fn on_first_packet(
        &mut self,
        now: Instant,
        track: &mut TrackClock,
        timestamp: u32,
    ) -> Option<NtpTime> {
        track.timestamps = TimestampUnwrapper::new();
        track.timestamps.extend(timestamp);
        track.begun = true;
        track.reported = None;
        track.from_zero = track.shares_zero && u64::from(timestamp) < track.rate.ticks(FROM_ZERO_WITHIN);
        if !track.from_zero {
            return None;
        }
        let since_zero = track.rate.duration(u64::from(timestamp));
        let here = self.at(now);
        let zero = *self.zero.get_or_insert(minus(here, since_zero));
        Some(plus(zero, since_zero))
    }

    /// A report of the client: the time to pass on instead of its own. `None` when it makes no sense, or is about a
    /// track that has not begun: such a one speaks of the speed test.
    pub(crate) fn translate(
        &mut self,
        now: Instant,
        track: &mut TrackClock,
        ntp: NtpTime,
        timestamp: u32,
    ) -> Option<NtpTime> {
        if !track.begun {
            return None;
        }
        let ticks = track.timestamps.extend(timestamp).saturating_sub(1 << 32);
        let expected = match self.zero {
            Some(zero) if track.from_zero => plus(zero, track.rate.duration(ticks)),
            _ => self.at(now),
        };
        let offset = *self.offset.get_or_insert(expected.0.wrapping_sub(ntp.0));
        let translated = NtpTime(ntp.0.wrapping_add(offset));
        let apart = translated.since(expected).or_else(|| expected.since(translated))?;
        (apart < MAX_APART).then_some(translated)
    }

    fn at(&self, now: Instant) -> NtpTime {
        plus(self.base_ntp, now.saturating_duration_since(self.base))
    }
}

impl TrackClock {
    pub(crate) fn new(rate: ClockRate) -> Self {
        Self { shares_zero: true, ..Self::counting_from_anywhere(rate) }
    }

    /// A track whose first timestamp is random (RFC 3550 section 5.1).
    pub(crate) fn counting_from_anywhere(rate: ClockRate) -> Self {
        let timestamps = TimestampUnwrapper::new();
        Self { rate, timestamps, shares_zero: false, from_zero: false, begun: false, reported: None }
    }

    /// A report of the client: how far its wall clock and its timestamps have moved against each other since the one
    /// before. `None` for the first.
    pub(crate) fn step(&mut self, ntp: NtpTime, timestamp: u32) -> Option<Duration> {
        let (ntp_before, before) = self.reported.replace((ntp, timestamp))?;
        let ticks = u64::from(timestamp.wrapping_sub(before));
        Some(ntp.since(ntp_before)?.abs_diff(self.rate.duration(ticks)))
    }

    /// Follows the packets, so that reports are understood across a wrap.
    pub(crate) fn on_packet(&mut self, timestamp: u32) {
        self.timestamps.extend(timestamp);
    }
}

fn plus(time: NtpTime, by: Duration) -> NtpTime {
    NtpTime(time.0.wrapping_add(fixed(by)))
}

fn minus(time: NtpTime, by: Duration) -> NtpTime {
    NtpTime(time.0.wrapping_sub(fixed(by)))
}

/// 32.32 seconds.
fn fixed(time: Duration) -> u64 {
    (time.as_secs() << 32) | ((u64::from(time.subsec_nanos()) << 32) / 1_000_000_000)
}

const FROM_ZERO_WITHIN: Duration = Duration::from_secs(1);
/// Sound and picture are never farther apart than this; a report that says so is wrong.
const MAX_APART: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn clock() -> (SessionClock, Instant, NtpTime) {
        let start = Instant::now();
        let ntp = NtpTime::from_unix(Duration::from_secs(1_700_000_000));
        (SessionClock::new(start, ntp), start, ntp)
    }

    fn near(a: NtpTime, b: NtpTime) -> bool {
        a.since(b).or_else(|| b.since(a)).unwrap() < Duration::from_micros(1)
    }

    #[test]
    fn zero_of_both_media_is_one_instant() {
        let (mut session, start, ntp) = clock();
        let (mut video, mut audio) = (TrackClock::new(ClockRate::VIDEO), TrackClock::new(ClockRate::OPUS));
        assert_eq!(session.on_first_packet(start, &mut video, 0), Some(ntp));
        // Arrives later, and is its second packet: arrival does not matter, the timestamp does.
        let later = start + Duration::from_millis(35);
        let report = session.on_first_packet(later, &mut audio, 960).unwrap();
        assert!(near(report, plus(ntp, Duration::from_millis(20))));
    }

    #[test]
    fn client_reports_are_moved_by_one_offset() {
        let (mut session, start, ntp) = clock();
        let (mut video, mut audio) = (TrackClock::new(ClockRate::VIDEO), TrackClock::new(ClockRate::OPUS));
        session.on_first_packet(start, &mut video, 0);
        session.on_first_packet(start, &mut audio, 0);
        let theirs = NtpTime(0x1234_5678_9abc_def0);
        let now = start + Duration::from_secs(1);
        let one = Duration::from_secs(1);
        assert!(near(session.translate(now, &mut video, plus(theirs, one), 90_000).unwrap(), plus(ntp, one)));
        // An offset that their audio really has is kept: 30 ms.
        let skewed = plus(theirs, one + Duration::from_millis(30));
        let translated = session.translate(now, &mut audio, skewed, 48_000).unwrap();
        assert!(near(translated, plus(ntp, one + Duration::from_millis(30))));
        // Nonsense is not passed on.
        assert_eq!(session.translate(now, &mut audio, plus(theirs, Duration::from_secs(60)), 48_000), None);
    }

    #[test]
    fn across_the_wrap() {
        let (mut session, start, ntp) = clock();
        let mut video = TrackClock::new(ClockRate::VIDEO);
        session.on_first_packet(start, &mut video, 0);
        let theirs = NtpTime(77);
        session.translate(start, &mut video, theirs, 0).unwrap();
        for timestamp in [1_000_000_000_u32, 2_000_000_000, 3_000_000_000, 4_000_000_000, 500_000_000] {
            video.on_packet(timestamp);
        }
        let elapsed = ClockRate::VIDEO.duration((1 << 32) + 500_000_000);
        let translated =
            session.translate(start + elapsed, &mut video, plus(theirs, elapsed), 500_000_000).unwrap();
        assert!(near(translated, plus(ntp, elapsed)));
    }

    #[test]
    fn reports_of_the_speed_test_are_not_ours() {
        let (mut session, start, _) = clock();
        let mut audio = TrackClock::new(ClockRate::OPUS);
        assert_eq!(session.translate(start, &mut audio, NtpTime(5), 0), None);
        assert_eq!(session.offset, None);
    }

    #[test]
    fn reports_tell_whether_two_clocks_run_together() {
        let mut video = TrackClock::counting_from_anywhere(ClockRate::VIDEO);
        let at = |ms: u64| NtpTime::from_unix(Duration::from_secs(1_700_000_000) + Duration::from_millis(ms));
        let near = |found: Option<Duration>, ms: u64| {
            found.unwrap().abs_diff(Duration::from_millis(ms)) < Duration::from_micros(100)
        };
        assert_eq!(video.step(at(0), u32::MAX - 45_000), None);
        assert!(near(video.step(at(1_000), 44_999), 0), "across a wrap");
        assert!(near(video.step(at(2_030), 134_999), 30));
        assert!(near(video.step(at(3_000), 224_999), 30), "back again");
        assert_eq!(video.step(at(2_000), 134_999), None, "an old one");
    }

    #[test]
    fn timestamps_that_begin_anywhere_wait_for_a_report() {
        let (mut session, start, ntp) = clock();
        let (mut video, mut audio) = (TrackClock::new(ClockRate::VIDEO), TrackClock::new(ClockRate::OPUS));
        assert_eq!(session.on_first_packet(start, &mut video, 3_000_000_000), None);
        assert_eq!(session.on_first_packet(start, &mut audio, 77_000_000), None);
        let theirs = NtpTime(1 << 40);
        assert_eq!(session.translate(start, &mut video, theirs, 3_000_000_000), Some(ntp));
        let later = Duration::from_millis(250);
        let translated = session.translate(start, &mut audio, plus(theirs, later), 77_000_000).unwrap();
        assert!(near(translated, plus(ntp, later)));
    }
}
