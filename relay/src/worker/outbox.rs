//! What a worker is about to send: sealed packets of many viewers in one buffer, runs of equal size to one
//! viewer as one message that the kernel cuts up (`UDP_SEGMENT`).

use heliograph_edge::path::UdpPath;

use super::stats::Counters;
use crate::sys::{
    send::{BatchSender, Message},
    socket::MediaSocket,
};

/// Buffer size. Sealed bytes are read again by the kernel right away, so it should stay in the second-level
/// cache.
const BUFFER: usize = 320 << 10;
/// Past this the worker flushes before it turns to another viewer.
const FLUSH_AT: usize = 160 << 10;
/// The kernel cuts a message into at most 64 pieces (`UDP_MAX_SEGMENTS` of older kernels).
const RUN_PACKETS: u8 = 64;
/// A message must fit the 16-bit length of the IP packet it pretends to be.
const RUN_BYTES: u32 = 65_000;
/// How long a full socket is waited for, per flush. After that packets are dropped: a full send queue must
/// not hold up the receive side, nor the viewers behind other queues.
const FULL_WAIT_MS: i32 = 1;

/// To whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) path: UdpPath,
    pub(crate) slot: u32,
    /// Runs may be sent as one message.
    pub(crate) runs: bool,
}

/// The way of one viewer's packets out of this worker.
pub(crate) struct Lane<'a> {
    pub(crate) target: Target,
    pub(crate) outbox: &'a mut Outbox,
    pub(crate) counters: &'a mut Counters,
}

/// The buffer and the messages in it.
pub(crate) struct Outbox {
    buffer: Box<[u8]>,
    used: usize,
    messages: Vec<Message>,
    /// For each message: the viewer's slot and the number of packets.
    owners: Vec<(u32, u8)>,
    /// Size of the packets in the last message, when another may be appended.
    growing: Option<u32>,
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Self {
            buffer: vec![0; BUFFER].into_boxed_slice(),
            used: 0,
            messages: Vec::with_capacity(256),
            owners: Vec::with_capacity(256),
            growing: None,
        }
    }

    /// Whether it is time to flush.
    pub(crate) const fn is_filled(&self) -> bool {
        self.used >= FLUSH_AT
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Where the next packet is to be written. Shorter than a packet when the outbox is full.
    pub(crate) fn tail(&mut self) -> &mut [u8] {
        &mut self.buffer[self.used..]
    }

    /// The first `len` bytes of the tail are a packet for `target`.
    pub(crate) fn commit(&mut self, target: &Target, len: usize) {
        debug_assert!(self.used + len <= self.buffer.len(), "packet longer than the tail");
        let len32 = len as u32;
        let start = self.used as u32;
        self.used += len;
        if let Some(size) = self.growing
            && target.runs
            && len32 <= size
            && let (Some(message), Some(owner)) = (self.messages.last_mut(), self.owners.last_mut())
            && owner.0 == target.slot
            && owner.1 < RUN_PACKETS
            && message.len + len32 <= RUN_BYTES
        {
            message.len += len32;
            message.segment = size as u16;
            owner.1 += 1;
            if len32 < size {
                self.growing = None;
            }
            return;
        }
        self.messages.push(Message {
            start,
            len: len32,
            segment: 0,
            remote: target.path.remote,
            local: target.path.local,
        });
        self.owners.push((target.slot, 1));
        self.growing = Some(len32);
    }

    /// Copies one packet in; dropped (and counted by the caller) when the outbox is full.
    pub(crate) fn push(&mut self, target: &Target, packet: &[u8]) -> bool {
        let Some(tail) = self.tail().get_mut(..packet.len()) else { return false };
        tail.copy_from_slice(packet);
        self.commit(target, packet.len());
        true
    }

    /// Throws everything away and returns how many packets that were.
    pub(crate) fn discard(&mut self) -> u64 {
        let packets = self.owners.iter().map(|owner| u64::from(owner.1)).sum();
        self.clear();
        packets
    }

    /// Everything in it as single packets, in order; empty afterwards.
    #[cfg(test)]
    pub(crate) fn take_packets(&mut self) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        for message in &self.messages {
            let bytes = &self.buffer[message.start as usize..][..message.len as usize];
            let size = if message.segment == 0 { bytes.len() } else { usize::from(message.segment) };
            packets.extend(bytes.chunks(size).map(<[u8]>::to_vec));
        }
        self.clear();
        packets
    }

    fn clear(&mut self) {
        self.messages.clear();
        self.owners.clear();
        self.used = 0;
        self.growing = None;
    }

    /// Sends everything. Slots of viewers whose runs the kernel refused are added to `refused`: their packets
    /// were sent one by one and should be from now on.
    pub(crate) fn flush(
        &mut self,
        socket: &MediaSocket,
        sender: &mut BatchSender,
        counters: &mut Counters,
        refused: &mut Vec<u32>,
    ) {
        let mut at = 0;
        let mut waited = false;
        while at < self.messages.len() {
            let error = match sender.send(socket, &self.buffer[..self.used], &self.messages[at..]) {
                Ok(sent) => {
                    for (message, owner) in self.messages[at..at + sent].iter().zip(&self.owners[at..]) {
                        counters.packets += u64::from(owner.1);
                        counters.bytes += u64::from(message.len);
                    }
                    counters.calls += 1;
                    at += sent;
                    continue;
                }
                Err(error) => error,
            };
            let (slot, packets) = self.owners[at];
            match error.raw_os_error() {
                Some(libc::EINTR) => {}
                Some(libc::EAGAIN | libc::ENOBUFS) if !waited => {
                    waited = true;
                    counters.full_waits += 1;
                    socket.wait_writable(FULL_WAIT_MS);
                }
                Some(libc::EAGAIN | libc::ENOBUFS) => {
                    counters.dropped_full += u64::from(packets);
                    at += 1;
                }
                // No checksum offload, or a path MTU below the packets: the kernel can send these only singly.
                Some(libc::EIO | libc::EINVAL | libc::EMSGSIZE) if self.messages[at].segment != 0 => {
                    counters.gso_fallbacks += 1;
                    refused.push(slot);
                    send_singly(socket, sender, &self.buffer, &self.messages[at], counters);
                    at += 1;
                }
                _ => {
                    counters.dropped_error += u64::from(packets);
                    at += 1;
                }
            }
        }
        self.clear();
    }
}

/// Sends the packets of a run one by one.
fn send_singly(
    socket: &MediaSocket,
    sender: &mut BatchSender,
    buffer: &[u8],
    run: &Message,
    counters: &mut Counters,
) {
    let mut start = run.start;
    let end = run.start + run.len;
    while start < end {
        let len = (end - start).min(u32::from(run.segment));
        let single = Message { start, len, segment: 0, ..*run };
        match sender.send(socket, buffer, &[single]) {
            Ok(_) => {
                counters.packets += 1;
                counters.bytes += u64::from(len);
                counters.calls += 1;
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => counters.dropped_full += 1,
            Err(_) => counters.dropped_error += 1,
        }
        start += len;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn target(slot: u32, runs: bool) -> Target {
        let remote = std::net::SocketAddr::from(([127, 0, 0, 1], 5000 + slot as u16));
        Target { path: UdpPath { remote, local: None }, slot, runs }
    }

    /// `(total, segment)` of each message after packets of these sizes.
    fn messages(runs: bool, sizes: &[usize]) -> Vec<(u32, u16)> {
        let mut outbox = Outbox::new();
        for &size in sizes {
            assert!(outbox.push(&target(1, runs), &vec![0; size]));
        }
        outbox.messages.iter().map(|message| (message.len, message.segment)).collect()
    }

    /// Sizes in, messages out.
    type Case = (&'static [usize], &'static [(u32, u16)]);

    #[test]
    fn runs_are_split_where_sizes_demand() {
        let cases: &[Case] = &[
            (&[], &[]),
            (&[700], &[(700, 0)]),
            (&[1200, 1200, 1200], &[(3600, 1200)]),
            (&[1200, 1200, 300], &[(2700, 1200)]),
            (&[1200, 300], &[(1500, 1200)]),
            // After a shorter one nothing more fits into the run.
            (&[1200, 300, 300], &[(1500, 1200), (300, 0)]),
            (&[1200, 300, 1200, 1200], &[(1500, 1200), (2400, 1200)]),
            (&[300, 1200], &[(300, 0), (1200, 0)]),
            (&[100, 200, 300], &[(100, 0), (200, 0), (300, 0)]),
        ];
        for (sizes, expected) in cases {
            assert_eq!(&messages(true, sizes), expected, "{sizes:?}");
        }
        assert_eq!(messages(false, &[500, 500]), [(500, 0), (500, 0)], "plain sends");
    }

    #[test]
    fn runs_end_at_64_packets_and_at_65000_bytes() {
        assert_eq!(messages(true, &[100; 65]), [(6400, 100), (100, 0)]);
        assert_eq!(messages(true, &[1400; 50]), [(46 * 1400, 1400), (4 * 1400, 1400)]);
    }

    #[test]
    fn viewers_do_not_share_messages() {
        let mut outbox = Outbox::new();
        for slot in [1, 1, 2, 1] {
            outbox.push(&target(slot, true), &[0; 900]);
        }
        assert_eq!(outbox.owners, [(1, 2), (2, 1), (1, 1)]);
    }

    #[test]
    fn a_full_outbox_refuses() {
        let mut outbox = Outbox::new();
        let mut taken = 0;
        while outbox.push(&target(0, true), &[0; 1500]) {
            taken += 1;
        }
        assert_eq!(taken, BUFFER / 1500);
        assert!(outbox.is_filled());
    }

    #[test]
    fn runs_that_the_kernel_refuses_arrive_singly() {
        use crate::sys::socket::BufferSizes;
        let buffers = BufferSizes { receive: 1 << 16, send: 1 << 20 };
        let socket = MediaSocket::bind(Some([127, 0, 0, 1].into()), 0, buffers).unwrap();
        socket.refuse_runs();
        let receivers = [(); 2].map(|()| std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
        let mut outbox = Outbox::new();
        for (slot, receiver) in (7..).zip(&receivers) {
            receiver.set_read_timeout(Some(std::time::Duration::from_secs(2))).unwrap();
            let path = UdpPath { remote: receiver.local_addr().unwrap(), local: None };
            for size in [900, 900, 300, 500] {
                outbox.push(&Target { path, slot, runs: true }, &vec![slot as u8; size]);
            }
        }
        let (mut counters, mut refused) = (Counters::default(), Vec::new());
        outbox.flush(&socket, &mut BatchSender::new(), &mut counters, &mut refused);
        assert_eq!(refused, [7, 8], "both stay on single sends");
        assert_eq!((counters.packets, counters.gso_fallbacks), (8, 2));
        for receiver in &receivers {
            let mut buffer = [0; 2048];
            let sizes = [(); 4].map(|()| receiver.recv(&mut buffer).unwrap());
            assert_eq!(sizes, [900, 900, 300, 500]);
        }
        assert!(outbox.is_empty());
    }
}
