//! The thread that sends all our streams, each frame in one go at its moment.

use std::{
    io,
    net::{Ipv4Addr, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use heliograph_media::{PayloadType, Ssrc, WireSeq, rtp};

use super::{PICTURES_PER_SECOND, PPS, Published, SPS, STAMP_IN_AUDIO, STAMP_IN_VIDEO, Shape, shape::FULL};
use crate::{
    histogram::Histogram,
    stamp::Stamp,
    sys::clock::{Mono, precise_timers, sleep_until, thread_cpu},
    timeline::Frame,
};

/// Payload of a packet of sound in bytes: 128 kbit/s.
pub const SOUND: usize = 320;
/// From one picture to the next.
pub const PICTURE: Duration = Duration::from_nanos(1_000_000_000 / PICTURES_PER_SECOND as u64);
/// From one packet of sound to the next.
pub const SOUND_TIME: Duration = Duration::from_millis(20);

/// The running thread; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Publisher {
    stop: Arc<AtomicBool>,
    figures: Arc<Mutex<PublisherFigures>>,
    thread: Option<JoinHandle<()>>,
}

/// How the publisher itself fared.
#[derive(Debug, Clone, Default)]
pub(crate) struct PublisherFigures {
    /// How late frames were sent, in microseconds: what the machine, not the server, added.
    pub(crate) late_us: Histogram,
    /// Packets that the kernel did not take.
    pub(crate) failed: u64,
    /// Processor time used.
    pub(crate) cpu: Duration,
}

/// Where a stream goes, and where its frames are written down.
#[derive(Debug, Clone)]
pub(crate) struct Outlet {
    /// RTP port of the server on loopback.
    pub(crate) port: u16,
    pub(crate) published: Arc<Published>,
}

impl Publisher {
    /// Starts to send. The streams' keyframes are spread over the interval, as those of strangers are.
    ///
    /// # Errors
    /// When the system gives no sockets or no thread.
    pub(crate) fn start(outlets: &[Outlet], shape: Shape, ssrc_base: u32) -> io::Result<Self> {
        let (stop, figures) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let begin = Mono::now().plus(Duration::from_millis(20));
        let streams = outlets
            .iter()
            .enumerate()
            .map(|(index, outlet)| Stream::new(index, outlets.len(), outlet, shape, ssrc_base, begin))
            .collect::<io::Result<Vec<_>>>()?;
        let thread = std::thread::Builder::new().name("publisher".to_owned()).spawn({
            let (stop, figures) = (Arc::clone(&stop), Arc::clone(&figures));
            move || run(streams, &stop, &figures)
        })?;
        Ok(Self { stop, figures, thread: Some(thread) })
    }

    /// How it fared so far; forgets the delays, so that each call tells of the time since the last.
    pub(crate) fn take_figures(&self) -> PublisherFigures {
        let mut figures = self.figures.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let taken = figures.clone();
        figures.late_us.clear();
        taken
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported where it happened.
            let _ = thread.join();
        }
    }
}

fn run(mut streams: Vec<Stream>, stop: &AtomicBool, figures: &Mutex<PublisherFigures>) {
    precise_timers();
    while !stop.load(Ordering::Relaxed) {
        let Some(stream) = streams.iter_mut().min_by_key(|stream| stream.due()) else { return };
        let due = stream.due();
        sleep_until(due);
        let now = Mono::now();
        let failed = stream.send_next();
        let mut figures = figures.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        figures.late_us.add(now.since(due).as_micros() as u64);
        figures.failed += failed;
        figures.cpu = thread_cpu();
    }
}

/// One stream with its two tracks.
struct Stream {
    published: Arc<Published>,
    shape: Shape,
    begin: Mono,
    /// The picture that the stream begins with, so that not all streams have their keyframes at once.
    first_picture: u64,
    video: Track,
    audio: Track,
    buffer: Vec<u8>,
}

struct Track {
    socket: UdpSocket,
    payload_type: PayloadType,
    ssrc: Ssrc,
    next: Frame,
    packets: u64,
    seq_base: u16,
}

impl Stream {
    fn new(
        index: usize,
        count: usize,
        outlet: &Outlet,
        shape: Shape,
        ssrc_base: u32,
        begin: Mono,
    ) -> io::Result<Self> {
        let track = |payload_type, offset| {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.connect((Ipv4Addr::LOCALHOST, outlet.port))?;
            let ssrc = Ssrc(ssrc_base.wrapping_add(2 * index as u32 + offset));
            // The first wrap comes soon, where it can be watched.
            Ok::<_, io::Error>(Track { socket, payload_type, ssrc, next: 0, packets: 0, seq_base: 64_000 })
        };
        // Streams begin within one picture time of each other.
        let phase = PICTURE.mul_f64(index as f64 / count as f64);
        Ok(Self {
            published: Arc::clone(&outlet.published),
            shape,
            begin: begin.plus(phase),
            first_picture: shape.interval() * index as u64 / count as u64,
            video: track(PayloadType::H264, 0)?,
            audio: track(PayloadType::OPUS, 1)?,
            buffer: Vec::with_capacity(rtp::HEADER_LEN + FULL),
        })
    }

    fn video_due(&self) -> Mono {
        self.begin
            .plus(Duration::from_nanos(self.video.next * 1_000_000_000 / u64::from(PICTURES_PER_SECOND)))
    }

    fn audio_due(&self) -> Mono {
        self.begin.plus(SOUND_TIME * u32::try_from(self.audio.next).unwrap_or(u32::MAX))
    }

    fn due(&self) -> Mono {
        self.video_due().min(self.audio_due())
    }

    /// Sends what is due next, and returns how many packets the kernel did not take.
    fn send_next(&mut self) -> u64 {
        if self.video_due() <= self.audio_due() { self.send_picture() } else { self.send_sound() }
    }

    fn send_picture(&mut self) -> u64 {
        let (frame, track, timeline) = (self.video.next, &mut self.video, &self.published.video);
        let picture = self.first_picture + frame;
        // A viewer cannot begin without a keyframe: the first picture always is one.
        let keyframe = frame == 0 || self.shape.is_keyframe(picture);
        let (bytes, fragments) = (self.shape.bytes(picture), self.shape.packets(picture));
        let sets: &[&[u8]] = if keyframe { &[SPS, PPS] } else { &[] };
        let timestamp = timeline.timestamp(frame);
        timeline.begin(frame, Mono::now(), fragments + sets.len() as u64);
        let mut failed = 0;
        for set in sets {
            failed +=
                track.send(&mut self.buffer, false, timestamp, |payload| payload.extend_from_slice(set));
        }
        for index in 0..fragments {
            let last = index + 1 == fragments;
            // The last one takes the rest, but always holds a stamp.
            let len = if last { bytes - FULL * index as usize } else { FULL };
            let len = len.max(Stamp::least(STAMP_IN_VIDEO));
            let number = track.packets;
            failed += track.send(&mut self.buffer, last, timestamp, |payload| {
                let nal_type = if keyframe { 5 } else { 1 };
                let (start, end) = (u8::from(index == 0) << 7, u8::from(last) << 6);
                // FU-A (RFC 6184 section 5.8); first_mb_in_slice is 0.
                fill(payload, &[0x7c, start | end | nal_type, 0x88], len, number);
                Stamp { sent: Mono::now(), number }.write(&mut payload[rtp::HEADER_LEN..], STAMP_IN_VIDEO);
            });
        }
        track.next += 1;
        failed
    }

    fn send_sound(&mut self) -> u64 {
        let (track, timeline) = (&mut self.audio, &self.published.audio);
        let frame = track.next;
        timeline.begin(frame, Mono::now(), 1);
        let number = track.packets;
        track.next += 1;
        track.send(&mut self.buffer, false, timeline.timestamp(frame), |payload| {
            fill(payload, &[0xfc], SOUND, number);
            Stamp { sent: Mono::now(), number }.write(&mut payload[rtp::HEADER_LEN..], STAMP_IN_AUDIO);
        })
    }
}

/// Appends a payload of `len` bytes that begins with `head`; the rest differs from packet to packet, and never looks like
/// a start code.
fn fill(packet: &mut Vec<u8>, head: &[u8], len: usize, number: u64) {
    packet.extend_from_slice(head);
    packet.resize(rtp::HEADER_LEN + len, 0x80 | (number as u8));
}

impl Track {
    /// 1 when the kernel did not take it.
    fn send(
        &mut self,
        packet: &mut Vec<u8>,
        marker: bool,
        timestamp: u32,
        payload: impl FnOnce(&mut Vec<u8>),
    ) -> u64 {
        let mut header = [0; rtp::HEADER_LEN];
        let seq = WireSeq(self.seq_base.wrapping_add(self.packets as u16));
        rtp::write_rtp_header(&mut header, marker, self.payload_type, seq, timestamp, self.ssrc);
        self.packets += 1;
        packet.clear();
        packet.extend_from_slice(&header);
        payload(packet);
        u64::from(self.socket.send(packet).is_err())
    }
}
