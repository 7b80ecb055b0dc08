//! The burst OBS sends on every connect to measure the uplink. No sockets, no clock.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::Bytes;
use heliograph_media::{Bitrate, PayloadType, Ssrc, WireSeq, rtp::write_rtp_header};

use super::{
    nack,
    ping::{self, PingForm},
};

/// A header and 1392 meaningless bytes, under the audio's payload type.
const PACKET: usize = 1404;
/// Longest wait for an echo before the burst.
const FIRST_ECHO: Duration = Duration::from_millis(125);
/// Pings are this far apart after the burst.
const PING_EVERY: Duration = Duration::from_millis(25);
/// Longest wait for an echo after the burst.
const LAST_ECHO: Duration = Duration::from_secs(2);

/// What to send: OBS uses 15 000 kbit/s for one second.
#[derive(Debug, Clone, Copy)]
pub struct SpeedTestPlan {
    /// Rate of the burst.
    pub rate: Bitrate,
    /// Length of the burst.
    pub duration: Duration,
}

impl Default for SpeedTestPlan {
    fn default() -> Self {
        Self { rate: Bitrate::kbps(15_000), duration: Duration::from_secs(1) }
    }
}

/// What the burst showed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpeedTestResult {
    /// Packets sent.
    pub sent: u32,
    /// Of those, asked for again: the only way to learn of loss.
    pub nacked: u32,
    /// Round trip before the burst.
    pub round_trip_before: Option<Duration>,
    /// Round trip after it; `None` when nothing was echoed within two seconds.
    pub round_trip_after: Option<Duration>,
    /// The estimate: what arrived, over the burst and the growth of the round trip.
    pub estimate: Bitrate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Before { until: Instant },
    Burst { since: Instant },
    After { since: Instant, next_ping: Instant },
    Done,
}

/// One run of the test.
#[derive(Debug)]
pub struct SpeedTest {
    plan: SpeedTestPlan,
    ssrc: Ssrc,
    form: PingForm,
    phase: Phase,
    outbox: VecDeque<Bytes>,
    planned: u32,
    sent: u32,
    nacked: u32,
    before: Option<Duration>,
    after: Option<Duration>,
    wall_at_epoch: Duration,
    epoch: Instant,
}

impl SpeedTest {
    /// Begins with three pings.
    pub fn begin(plan: SpeedTestPlan, channel_id: u32, form: PingForm, now: Instant, wall: Duration) -> Self {
        let bytes = plan.rate.bytes_in(plan.duration);
        let mut test = Self {
            plan,
            ssrc: Ssrc(channel_id),
            form,
            phase: Phase::Before { until: now + FIRST_ECHO },
            outbox: VecDeque::new(),
            planned: u32::try_from(bytes / PACKET as u64).unwrap_or(u32::MAX),
            sent: 0,
            nacked: 0,
            before: None,
            after: None,
            wall_at_epoch: wall,
            epoch: now,
        };
        for _ in 0..3 {
            test.ping(now);
        }
        test
    }

    /// A datagram from the server's address.
    pub fn on_datagram(&mut self, now: Instant, datagram: &[u8]) {
        if let Some(nack) = nack::parse(datagram) {
            if nack.media == self.ssrc {
                self.nacked += u32::try_from(nack.lost.len()).unwrap_or(u32::MAX);
            }
            return;
        }
        let Some(sent_at) = ping::echoed_time(datagram) else { return };
        let round_trip = self.wall(now).saturating_sub(sent_at);
        match self.phase {
            Phase::Before { .. } => {
                self.before = Some(round_trip);
                self.phase = Phase::Burst { since: now };
            }
            // Echoes of the first pings may still come in; only newer ones tell of the burst.
            Phase::After { since, .. } if sent_at >= self.wall(since) => {
                self.after = Some(round_trip);
                self.phase = Phase::Done;
            }
            _ => {}
        }
    }

    /// Tells the test that time has passed.
    pub fn on_deadline(&mut self, now: Instant) {
        match self.phase {
            Phase::Before { until } if now >= until => self.phase = Phase::Burst { since: now },
            Phase::Burst { since } if now >= since + self.plan.duration && self.sent >= self.planned => {
                self.phase = Phase::After { since: now, next_ping: now };
            }
            Phase::After { since, .. } if now >= since + LAST_ECHO => self.phase = Phase::Done,
            Phase::After { since, next_ping } if now >= next_ping => {
                self.phase = Phase::After { since, next_ping: now + PING_EVERY };
                self.ping(now);
            }
            _ => {}
        }
    }

    /// The next datagram; `Err` says when there may be one.
    pub fn poll_send(&mut self, now: Instant) -> Result<Bytes, Instant> {
        if let Some(ping) = self.outbox.pop_front() {
            return Ok(ping);
        }
        match self.phase {
            Phase::Before { until } => Err(until),
            Phase::Burst { since } => {
                let due =
                    since + self.plan.duration.mul_f64(f64::from(self.sent) / f64::from(self.planned.max(1)));
                if self.sent >= self.planned || now < due {
                    return Err(due);
                }
                Ok(self.junk())
            }
            Phase::After { since, next_ping } => Err(next_ping.min(since + LAST_ECHO)),
            Phase::Done => Err(now),
        }
    }

    /// The figures, once the test is over.
    pub fn result(&self) -> Option<SpeedTestResult> {
        if self.phase != Phase::Done {
            return None;
        }
        let arrived = u64::from(self.sent.saturating_sub(self.nacked)) * PACKET as u64;
        let growth = match (self.before, self.after) {
            (_, None) => LAST_ECHO,
            (before, Some(after)) => after.saturating_sub(before.unwrap_or_default()),
        };
        Some(SpeedTestResult {
            sent: self.sent,
            nacked: self.nacked,
            round_trip_before: self.before,
            round_trip_after: self.after,
            estimate: Bitrate::measured(arrived, self.plan.duration + growth),
        })
    }

    fn junk(&mut self) -> Bytes {
        let mut header = [0; 12];
        let payload_type = PayloadType::new(97).expect("below 128");
        // The wire carries the low 16 bits.
        write_rtp_header(&mut header, false, payload_type, WireSeq(self.sent as u16), 0, self.ssrc);
        let mut packet = vec![0xa5; PACKET];
        packet[..12].copy_from_slice(&header);
        self.sent += 1;
        Bytes::from(packet)
    }

    fn ping(&mut self, now: Instant) {
        let wall = self.wall(now);
        self.outbox.push_back(ping::ping(self.form, wall));
    }

    fn wall(&self, now: Instant) -> Duration {
        self.wall_at_epoch + now.saturating_duration_since(self.epoch)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// Runs against a server that echoes or stays silent, in virtual time.
    fn run(echoes: bool, losses: u16) -> (SpeedTestResult, Duration) {
        let start = Instant::now();
        let mut now = start;
        let wall = Duration::from_secs(1_700_000_000);
        let mut test = SpeedTest::begin(SpeedTestPlan::default(), 1234, PingForm::Unix, now, wall);
        loop {
            test.on_deadline(now);
            if let Some(result) = test.result() {
                return (result, now - start);
            }
            match test.poll_send(now) {
                Ok(datagram) if ping::is_ping(&datagram) => {
                    if echoes {
                        test.on_datagram(now, &datagram);
                    }
                }
                Ok(datagram) => {
                    assert_eq!((datagram.len(), datagram[1]), (PACKET, 97));
                    let seq = u16::from_be_bytes([datagram[2], datagram[3]]);
                    if seq < losses {
                        let mut nack = Vec::new();
                        heliograph_media::rtcp::write_nack(&mut nack, Ssrc(1), Ssrc(1234), &[WireSeq(seq)]);
                        test.on_datagram(now, &nack);
                    }
                }
                Err(later) => now = later.max(now + Duration::from_micros(10)),
            }
        }
    }

    #[test]
    fn the_figures_are_those_seen_with_the_real_client() {
        let (result, took) = run(true, 0);
        assert!((1330..1340).contains(&result.sent), "{result:?}");
        assert!((14_900..15_100).contains(&result.estimate.as_kbps()), "{result:?}");
        assert!(took < Duration::from_millis(1100));

        let (result, took) = run(false, 0);
        assert!((4_900..5_100).contains(&result.estimate.as_kbps()), "a third without echoes: {result:?}");
        assert!(took > Duration::from_secs(3));

        let (result, _) = run(true, 66);
        assert_eq!(result.nacked, 66);
        assert!((14_200..14_300).contains(&result.estimate.as_kbps()), "{result:?}");
    }
}
