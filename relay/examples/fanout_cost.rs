//! What does a packet to a viewer cost, and how near is that to what the kernel takes anyway?
//!
//! `cargo run --release -p heliograph-relay --example fanout_cost [VIEWERS...]`
//!
//! Starts a relay with one egress worker, a publisher (30 pictures a second, about 2.6 Mbit/s, keyframe every
//! two seconds), and a second process with so many real viewers (ICE, DTLS and SRTP on str0m) that then only
//! read their sockets. Prints processor time of the egress thread per packet, the same for a bare loop of
//! `sendto` with segmentation offload to the same sockets in the same shape (no seal, no logic: the floor), and
//! the server's memory per viewer.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unsafe_code,
    reason = "a measuring tool; the thread's clock and the floor's socket option are system calls"
)]

#[allow(dead_code, unreachable_pub, reason = "shared with the tests, which use all of it")]
#[path = "../tests/support/publisher.rs"]
mod publisher;

use std::{
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    os::fd::AsRawFd,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use heliograph_relay::{
    Relay, RelaySettings, StreamId, StreamRequest, ViewerHandle, WatchRequest, WorkerSnapshot,
};
use publisher::{Publisher, Shape};
use str0m::{
    Candidate, Input, Output, Rtc, RtcConfig,
    change::SdpAnswer,
    media::{Direction, MediaKind},
    net::{Protocol, Receive},
};

const SHAPE: Shape = Shape { interval: 60, keyframe: 70, picture: 9, pictures: 0 };
const MEASURE: Duration = Duration::from_secs(10);
/// Header, extension, payload and tag of a full packet.
const SEALED: usize = 12 + 8 + 1200 + 16;
const LAST: usize = 12 + 8 + 500 + 16;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|word| word == "receive") {
        receive(arguments[1].parse().unwrap());
        return;
    }
    let mut counts: Vec<usize> = arguments.iter().map(|count| count.parse().unwrap()).collect();
    if counts.is_empty() {
        counts = vec![50, 200, 500];
    }
    println!(
        "{:>8} {:>10} {:>10} {:>7} {:>12} {:>12} {:>9} {:>9} {:>9}",
        "viewers",
        "us/packet",
        "floor",
        "ratio",
        "packets/s",
        "packets/call",
        "dropped",
        "process",
        "KiB each"
    );
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for count in counts {
        let row = runtime.block_on(measure(count));
        println!(
            "{:>8} {:>10.2} {:>10.2} {:>7.2} {:>12.0} {:>12.1} {:>9} {:>9.2} {:>5.1}/{:.1}",
            count,
            row.cost,
            row.floor,
            row.cost / row.floor,
            row.rate,
            row.per_call,
            row.dropped,
            row.process,
            row.memory,
            row.heap
        );
    }
}

struct Row {
    cost: f64,
    floor: f64,
    rate: f64,
    per_call: f64,
    dropped: u64,
    /// Processor time of the whole process per packet: inlet, publisher and all.
    process: f64,
    /// KiB per viewer: resident, and in use on the heap.
    memory: f64,
    heap: f64,
}

async fn measure(count: usize) -> Row {
    let relay = Relay::start(RelaySettings {
        rtp_ports: 25_500..=25_599,
        ports: 0..=0,
        media_addr: Some(Ipv4Addr::LOCALHOST.into()),
        workers: std::num::NonZeroUsize::new(1),
        max_pending_per_address: 10_000,
        ..RelaySettings::default()
    })
    .unwrap();
    let port = relay.allocate_now(StreamRequest::default()).unwrap().port;
    let stream = relay.stream_by_port(port).unwrap().id;
    let publisher = Publisher::start(port, SHAPE);
    std::thread::sleep(Duration::from_secs(3));
    let before = (memory(), heap());
    let (mut child, mut lines) = start_receiver(count);
    let handles = connect(&relay, stream, &mut child, &mut lines, count).await;
    let sockets = ready(&mut lines);
    std::thread::sleep(Duration::from_secs(2));
    let (first, cpu) = (relay.workers()[0].clone(), process_time());
    std::thread::sleep(MEASURE);
    let (last, cpu_after) = (relay.workers()[0].clone(), process_time());
    let each = |after: u64, before: u64| (after as f64 - before as f64) / count as f64 / 1024.0;
    let (memory, heap) = (each(memory(), before.0), each(heap(), before.1));
    drop(handles);
    drop(publisher);
    relay.shutdown(Duration::from_secs(2)).await;
    let packets = (last.packets - first.packets) as f64;
    let floor = tokio::task::spawn_blocking(move || floor(&sockets)).await.unwrap();
    drop(child.stdin.take());
    let _ = child.wait();
    let lost = |worker: &WorkerSnapshot| worker.dropped_full + worker.dropped_error;
    Row {
        cost: (last.cpu_us - first.cpu_us) as f64 / packets,
        floor,
        rate: packets / MEASURE.as_secs_f64(),
        per_call: packets / (last.calls - first.calls) as f64,
        dropped: lost(&last) - lost(&first),
        process: (cpu_after - cpu).as_secs_f64() * 1e6 / packets,
        memory,
        heap,
    }
}

/// The bare loop: the same packets in the same shape, already made.
fn floor(sockets: &[SocketAddr]) -> f64 {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let set_segment = |size: usize| {
        let size = size as libc::c_int;
        // SAFETY: the pointer and length describe a live c_int.
        let result = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_UDP,
                libc::UDP_SEGMENT,
                (&raw const size).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        };
        assert_eq!(result, 0, "no segmentation offload");
    };
    set_segment(SEALED);
    let buffer = vec![0x5a; 64 * SEALED];
    let start = Instant::now();
    let (mut packets, cpu) = (0_u64, thread_time());
    let mut sounds = 0;
    for picture in 0.. {
        let at = Duration::from_nanos(33_333_333) * picture as u32;
        if at > MEASURE {
            break;
        }
        std::thread::sleep((start + at).saturating_duration_since(Instant::now()));
        let mut left = if picture % SHAPE.interval == 0 { SHAPE.keyframe } else { SHAPE.picture } as usize;
        while left > 0 {
            let now = left.min(50);
            left -= now;
            let len = if left == 0 { (now - 1) * SEALED + LAST } else { now * SEALED };
            for &to in sockets {
                let _ = socket.send_to(&buffer[..len], to);
            }
            packets += (now * sockets.len()) as u64;
        }
        while sounds * 20 <= picture * 33 {
            for &to in sockets {
                let _ = socket.send_to(&buffer[..200], to);
            }
            packets += sockets.len() as u64;
            sounds += 1;
        }
    }
    (thread_time() - cpu).as_secs_f64() * 1e6 / packets as f64
}

fn clock(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: one writable timespec.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn thread_time() -> Duration {
    clock(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn process_time() -> Duration {
    clock(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// Bytes that were allocated and not freed.
fn heap() -> u64 {
    // SAFETY: no arguments, plain figures back.
    let info = unsafe { libc::mallinfo2() };
    (info.uordblks + info.hblkhd) as u64
}

/// Resident bytes of this process.
fn memory() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

fn start_receiver(count: usize) -> (Child, std::io::Lines<BufReader<ChildStdout>>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["receive", &count.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

/// Answers the receiver's offers, one line each.
async fn connect(
    relay: &Relay,
    stream: StreamId,
    child: &mut Child,
    lines: &mut std::io::Lines<BufReader<ChildStdout>>,
    count: usize,
) -> Vec<ViewerHandle> {
    let mut handles = Vec::with_capacity(count);
    let local = Ipv4Addr::LOCALHOST.into();
    for _ in 0..count {
        let offer = lines.next().unwrap().unwrap().replace('\u{1}', "\r\n");
        let request = WatchRequest { local_ip: Some(local), remote: local, transport: "whep" };
        let (handle, answer) = relay.watch_answer(stream, request, &offer).await.unwrap();
        handles.push(handle);
        let stdin = child.stdin.as_mut().unwrap();
        writeln!(stdin, "{}", answer.replace("\r\n", "\u{1}")).unwrap();
    }
    handles
}

/// Waits until all are connected; their addresses.
fn ready(lines: &mut std::io::Lines<BufReader<ChildStdout>>) -> Vec<SocketAddr> {
    let line = lines.next().unwrap().unwrap();
    line.split_whitespace()
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().unwrap())))
        .collect()
}

/// The other process: so many viewers that connect, report once, and then only confirm that they want more.
fn receive(count: usize) {
    let mut answers = std::io::stdin().lines();
    let mut viewers: Vec<Viewer> = Vec::new();
    for _ in 0..count {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
        socket.set_recv_buffer_size(1 << 20).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        let socket = UdpSocket::from(socket);
        socket.set_nonblocking(true).unwrap();
        let config =
            RtcConfig::new().set_rtp_mode(true).clear_codecs().enable_h264(true).enable_opus(true, false);
        let mut rtc = config.build(Instant::now());
        let local = socket.local_addr().unwrap();
        rtc.add_local_candidate(Candidate::host(local, "udp").unwrap());
        let mut api = rtc.sdp_api();
        api.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
        api.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
        let (offer, pending) = api.apply().unwrap();
        println!("{}", offer.to_sdp_string().replace("\r\n", "\u{1}"));
        let answer = answers.next().unwrap().unwrap().replace('\u{1}', "\r\n");
        rtc.sdp_api().accept_answer(pending, SdpAnswer::from_sdp_string(&answer).unwrap()).unwrap();
        viewers.push(Viewer { rtc, socket, local, timer: Instant::now(), reported: false });
        viewers.iter_mut().for_each(Viewer::poll);
    }
    while viewers.iter().any(|viewer| !viewer.reported) {
        viewers.iter_mut().for_each(Viewer::poll);
        std::thread::sleep(Duration::from_millis(1));
    }
    let ports: Vec<String> = viewers.iter().map(|viewer| viewer.local.port().to_string()).collect();
    println!("{}", ports.join(" "));
    std::thread::spawn(move || {
        loop {
            viewers.iter_mut().for_each(Viewer::poll);
            std::thread::sleep(Duration::from_millis(3));
        }
    });
    // The other side closes our input when it is done.
    while answers.next().is_some() {}
}

struct Viewer {
    rtc: Rtc,
    socket: UdpSocket,
    local: SocketAddr,
    timer: Instant,
    /// Has sent RTCP: from now on media is read and thrown away.
    reported: bool,
}

impl Viewer {
    fn poll(&mut self) {
        let mut buffer = [0; 2048];
        while let Ok((len, from)) = self.socket.recv_from(&mut buffer) {
            let datagram = &buffer[..len];
            if self.reported && datagram[0] >= 128 {
                continue;
            }
            if let Ok(receive) = Receive::new(Protocol::Udp, from, self.local, datagram) {
                self.rtc.handle_input(Input::Receive(Instant::now(), receive)).unwrap();
                self.drain();
            }
        }
        let now = Instant::now();
        if now >= self.timer {
            self.rtc.handle_input(Input::Timeout(now)).unwrap();
            self.drain();
        }
    }

    fn drain(&mut self) {
        while let Ok(output) = self.rtc.poll_output() {
            match output {
                Output::Timeout(at) => {
                    self.timer = at;
                    break;
                }
                Output::Transmit(sent) => {
                    self.reported |= sent.contents[0] >= 128;
                    let _ = self.socket.send_to(&sent.contents, sent.destination);
                }
                Output::Event(_) => {}
            }
        }
    }
}
