//! Sends RTP as an ingest does, thirty pictures a second, from a thread of its own.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use heliograph_media::{PayloadType, Ssrc, WireSeq, rtp};

pub const SPS: &[u8] = &[
    0x67, 0x42, 0xc0, 0x1f, 0xd9, 0x00, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00,
    0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x24, 0x80,
];
const PPS: &[u8] = &[0x68, 0xef, 0xbc, 0x80];
const FRAME: Duration = Duration::from_nanos(33_333_333);

#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Pictures from one keyframe to the next.
    pub interval: u64,
    /// Packets of a keyframe's slices.
    pub keyframe: u64,
    /// Packets of another picture.
    pub picture: u64,
    /// Pictures in all; 0 = until dropped.
    pub pictures: u64,
}

/// Runs until dropped.
pub struct Publisher {
    stop: Arc<AtomicBool>,
    /// Pictures sent so far.
    pub sent: Arc<AtomicU64>,
    shape: Shape,
    thread: Option<JoinHandle<()>>,
}

impl Publisher {
    pub fn start(port: u16, shape: Shape) -> Self {
        Self::start_as(port, shape, [0xaaaa, 0xbbbb])
    }

    /// With SSRCs of its own, for video and audio.
    pub fn start_as(port: u16, shape: Shape, ssrcs: [u32; 2]) -> Self {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let thread = std::thread::spawn({
            let (stop, sent) = (Arc::clone(&stop), Arc::clone(&sent));
            move || run(port, shape, ssrcs, &stop, &sent)
        });
        Self { stop, sent, shape, thread: Some(thread) }
    }

    /// Waits for the picture that is so far into a key interval, not the first one.
    pub async fn wait_for(&self, percent: u64) {
        let wanted = self.shape.interval * percent / 100;
        let next = self.sent.load(Ordering::Acquire) + 1;
        loop {
            let sent = self.sent.load(Ordering::Acquire);
            if sent > next && sent > self.shape.interval && sent % self.shape.interval == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().unwrap().join();
    }
}

struct Track {
    socket: UdpSocket,
    to: SocketAddr,
    payload_type: PayloadType,
    ssrc: Ssrc,
    seq: u16,
}

impl Track {
    fn send(&mut self, marker: bool, timestamp: u32, payload: &[u8]) {
        let mut header = [0; rtp::HEADER_LEN];
        rtp::write_rtp_header(
            &mut header,
            marker,
            self.payload_type,
            WireSeq(self.seq),
            timestamp,
            self.ssrc,
        );
        self.seq = self.seq.wrapping_add(1);
        let _ = self.socket.send_to(&[&header, payload].concat(), self.to);
    }
}

/// Payload of slice packet `index` of `count` in picture `number`: a fragment that says who it is.
fn fragment(number: u64, index: u64, count: u64, keyframe: bool) -> Vec<u8> {
    let nal_type = if keyframe { 5 } else { 1 };
    let start = u8::from(index == 0) << 7;
    let end = u8::from(index + 1 == count) << 6;
    // first_mb_in_slice = 0 in the first fragment.
    let mut payload = vec![0x7c, start | end | nal_type, 0x88];
    payload.extend(number.to_be_bytes());
    payload.extend(index.to_be_bytes());
    payload.extend(count.to_be_bytes());
    payload.resize(if index + 1 == count { 500 } else { 1200 }, 0xa5);
    payload
}

/// Picture, packet in it, packets in it; `None` for parameter sets.
pub fn which(payload: &[u8]) -> Option<(u64, u64, u64)> {
    if payload[0] & 0x1f != 28 {
        return None;
    }
    let number = |at: usize| u64::from_be_bytes(payload[at..at + 8].try_into().unwrap());
    Some((number(3), number(11), number(19)))
}

fn run(port: u16, shape: Shape, ssrcs: [u32; 2], stop: &AtomicBool, sent: &AtomicU64) {
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let track = |payload_type, ssrc| Track {
        socket: UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(),
        to,
        payload_type,
        ssrc: Ssrc(ssrc),
        seq: 65_000,
    };
    let (mut video, mut audio) = (track(PayloadType::H264, ssrcs[0]), track(PayloadType::OPUS, ssrcs[1]));
    let start = Instant::now();
    let mut sounds = 0;
    for number in 0.. {
        if stop.load(Ordering::Relaxed) || (shape.pictures != 0 && number == shape.pictures) {
            return;
        }
        let due = start + FRAME * number as u32;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let timestamp = 4_294_900_000_u32.wrapping_add(3_000 * number as u32);
        let keyframe = number % shape.interval == 0;
        let count = if keyframe { shape.keyframe } else { shape.picture };
        if keyframe {
            video.send(false, timestamp, SPS);
            video.send(false, timestamp, PPS);
        }
        for index in 0..count {
            video.send(index + 1 == count, timestamp, &fragment(number, index, count, keyframe));
        }
        while sounds * 20 <= number * 33 {
            audio.send(false, 960 * sounds as u32, &[&[0xfc][..], &sounds.to_be_bytes(), &[7; 150]].concat());
            sounds += 1;
        }
        sent.store(number + 1, Ordering::Release);
    }
}
