//! What comes in on a worker's socket: checks, handshakes, feedback (RFC 7983 tells them apart by the first
//! byte), and answers of a STUN server.

use std::{
    net::{IpAddr, SocketAddr},
    time::Instant,
};

use heliograph_edge::{
    dtls,
    ice::{self, CheckOutcome},
    path::{Path, UdpPath},
};
use heliograph_media::rtcp;

use super::{HANDSHAKE_COPIES, Worker, arm_fast, outbox::Target, playing, queue::Commands};
use crate::{sys::recv, viewer::Stage};

/// Receive calls in one go: bounded, so that a flood cannot keep media from going out.
const CALLS: usize = 8;

impl Worker {
    /// Empties the socket. Commands go before what came with them: a viewer checks its path as soon as it has our
    /// answer, and what it sends must not be seen before the session that was told of it. A check that nobody
    /// answers comes again after a quarter of a second.
    pub(super) fn receive(&mut self, now: Instant, commands: &Commands) {
        // Out of its place so that handlers may have the rest of `self`.
        let Some(mut receiver) = self.receiver.take() else { return };
        for _ in 0..CALLS {
            let count = match receiver.receive(&self.wire.socket) {
                Ok(count) => count,
                // The error of an earlier send to somebody; it is theirs, and now it is taken.
                Err(_) => continue,
            };
            self.wire.counters.received += count as u64;
            if count > 0 {
                self.take_commands(now, commands);
            }
            for i in 0..count {
                if self.wire.outbox.is_filled() {
                    self.flush();
                }
                if let Some(datagram) = receiver.datagram(i) {
                    let accepted = self.on_datagram(now, datagram.remote, datagram.local, datagram.bytes);
                    self.wire.counters.received_rejected += u64::from(!accepted);
                }
            }
            if count < recv::BATCH {
                break;
            }
        }
        self.receiver = Some(receiver);
    }

    /// False: nobody's, malformed, or not authentic.
    fn on_datagram(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        local: Option<IpAddr>,
        bytes: &mut [u8],
    ) -> bool {
        let path = UdpPath { remote, local };
        match bytes.first() {
            Some(0..=3) => self.on_stun(now, path, bytes),
            Some(20..=63) => self.on_dtls(now, path, bytes),
            Some(128..=191) if rtcp::is_rtcp(bytes) => self.on_rtcp(now, path, bytes),
            _ => false,
        }
    }

    fn on_stun(&mut self, now: Instant, path: UdpPath, bytes: &[u8]) -> bool {
        if let Some((server, transaction)) = self.discovery
            && server == path.remote
            && let Some(address) = ice::parse_discovery_answer(bytes, transaction)
        {
            self.port.set_discovered(address);
            return true;
        }
        let Some(route) = ice::route_of(bytes).filter(|route| route.worker == self.port.index) else {
            return false;
        };
        let Some(Some(viewer)) = self.viewers.get_mut(route.slot as usize) else { return false };
        let answer = &mut self.scratch.sealed;
        let CheckOutcome::Answered { fresh, selected_changed } =
            viewer.ice.on_datagram(now, Path::Udp(path), bytes, answer)
        else {
            return false;
        };
        if !answer.is_empty() {
            let copies = if matches!(viewer.stage, Stage::Playing(_)) { 1 } else { HANDSHAKE_COPIES };
            for _ in 0..copies {
                self.wire.outbox.push(&Target { path, slot: route.slot, runs: false }, answer);
            }
        }
        if fresh {
            viewer.answered.get_or_insert(now);
            let given_up = viewer.own(path.remote);
            self.addresses.insert(path.remote, route.slot);
            if let Some(address) = given_up
                && self.addresses.get(&address) == Some(&route.slot)
            {
                self.addresses.remove(&address);
            }
        }
        if selected_changed || viewer.path.is_none() {
            viewer.follow_path();
        }
        true
    }

    fn on_dtls(&mut self, now: Instant, path: UdpPath, bytes: &[u8]) -> bool {
        let Some(&slot) = self.addresses.get(&path.remote) else { return false };
        let Some(Some(viewer)) = self.viewers.get_mut(slot as usize) else { return false };
        if !viewer.ice.validated(Path::Udp(path)) {
            return false;
        }
        if let Some(answered) = viewer.answered {
            viewer.trip.get_or_insert(now.saturating_duration_since(answered));
        }
        match &viewer.stage {
            Stage::Signaling { .. } => viewer.keep_early(bytes),
            Stage::Handshaking { .. } => {
                viewer.handshake.as_ref().is_some_and(|handshake| handshake.datagram(bytes))
            }
            // The keys to read it are gone; anybody may have written it.
            Stage::Playing(_) if dtls::is_alert(bytes) => {
                viewer.alerted = true;
                true
            }
            Stage::Playing(_) => {
                let flight = viewer.last_flight.as_mut();
                let Some(repeated) = flight.and_then(|flight| flight.answer(now, bytes)) else {
                    return false;
                };
                self.wire.outbox.push(&Target { path, slot, runs: false }, repeated.datagram);
                if repeated.unheard {
                    self.on_unheard(now, slot);
                }
                true
            }
        }
    }

    fn on_rtcp(&mut self, now: Instant, path: UdpPath, bytes: &mut [u8]) -> bool {
        let Some(&slot) = self.addresses.get(&path.remote) else { return false };
        let Some(Some(viewer)) = self.viewers.get_mut(slot as usize) else { return false };
        let Some(stream) = self.streams.get(&viewer.stream) else { return false };
        let ntp = self.wall.ntp(now);
        let Some((player, target)) = playing(viewer, slot, &self.port) else { return false };
        let ask = |layer| stream.live.as_ref().is_some_and(|live| live.request_keyframe(layer));
        if player.on_rtcp(now, ntp, bytes, &stream.view(), ask, &mut self.wire.lane(target)).is_err() {
            return false;
        }
        let next = player.next_fast(now);
        if let Some(at) = next {
            arm_fast(&mut self.wheel, viewer, slot, at);
        }
        // Authentic SRTCP: the viewer has our last flight.
        viewer.last_flight = None;
        true
    }

    /// Asks a STUN server for this socket's address.
    pub(super) fn discover(&mut self, server: SocketAddr, transaction: [u8; 12]) {
        if server.is_ipv6() && !self.port.ipv6 {
            return;
        }
        self.discovery = Some((server, transaction));
        let request = ice::discovery_request(transaction);
        let target = Target { path: UdpPath { remote: server, local: None }, slot: u32::MAX, runs: false };
        self.wire.outbox.push(&target, &request);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::{
        net::{Ipv4Addr, UdpSocket},
        sync::{Arc, mpsc},
        time::Duration,
    };

    use super::*;
    use crate::{
        RingLimits,
        sys::{
            poll::Waker,
            socket::{BufferSizes, MediaSocket},
        },
        viewer::Patience,
        worker::{
            WallClock, WorkerSettings,
            queue::{Command, SocketFacts, WorkerPort},
        },
    };

    /// A success answer to a binding request that saw us at 192.0.2.7:4660 (RFC 8489 section 14.2).
    fn answer(transaction: [u8; 12]) -> Vec<u8> {
        let mut bytes = vec![0x01, 0x01, 0, 12, 0x21, 0x12, 0xa4, 0x42];
        bytes.extend(transaction);
        bytes.extend([0x00, 0x20, 0, 8, 0, 1, 0x12 ^ 0x21, 0x34 ^ 0x12]);
        bytes.extend([192 ^ 0x21, 0x12, 2 ^ 0xa4, 7 ^ 0x42]);
        bytes
    }

    #[test]
    fn what_a_command_prepares_for_is_not_seen_before_it() {
        let buffers = BufferSizes { receive: 1 << 16, send: 1 << 16 };
        let socket = MediaSocket::bind(Some(Ipv4Addr::LOCALHOST.into()), 0, buffers).unwrap();
        let facts = SocketFacts { local: socket.local(), ipv6: false, wildcard: false, gso: true };
        let (queue, commands) = mpsc::channel();
        let port = Arc::new(WorkerPort::new(0, &facts, queue, Waker::new().unwrap()));
        let second = Duration::from_secs(1);
        let patience =
            Patience { answer: second, connect: second, silence: second, silence_after_alert: second };
        let settings = WorkerSettings { ring: RingLimits::default(), patience, pin: None };
        let mut worker = Worker::new(Arc::clone(&port), socket, settings, WallClock::start());

        // Both are there when the worker has time: the command, and the datagram that it explains.
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let transaction = [7; 12];
        port.send(Command::Discover { server: server.local_addr().unwrap(), transaction });
        server.send_to(&answer(transaction), port.local).unwrap();
        worker.serve(&commands, true);
        assert_eq!(port.discovered(), Some("192.0.2.7:4660".parse().unwrap()));
    }
}
