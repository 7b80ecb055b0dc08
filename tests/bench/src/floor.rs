//! What the kernel takes anyway: the bare loop of `sendto` with segmentation offload, to as many sockets as a case
//! has viewers, picture by picture in the sizes of the generator's stream, to sockets like those of its viewers.
//! Packets are already made: no sealing, no logic. What a server costs above this is its own.
//!
//! Sender and readers are processes of their own, so that each can be kept on the processors that the server and
//! the generator have in the same run.

use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    os::fd::AsRawFd,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use heliograph_load::stream::{FULL, PICTURE, SOUND, SOUND_TIME, Shape};

use crate::cpus::Placement;

/// What a sealed packet is longer than its payload: header, extension block and tag.
const AROUND: usize = 12 + 8 + 16;
/// A sealed packet of full size.
const PACKET: usize = FULL + AROUND;
/// Of the generator's stream, too.
pub(crate) const KBIT: u32 = 2_500;
pub(crate) const KEYFRAME_EVERY: Duration = Duration::from_secs(2);
/// Packets of one message, as the server sends them.
const RUN: usize = 50;

/// The words behind which this program is its own sender and reader.
pub(crate) const SENDER: &str = "floor-sender";
pub(crate) const READERS: &str = "floor-readers";

/// Processor time, in microseconds, that one packet to one of `sockets` sockets costs the kernel and nobody else.
///
/// # Errors
/// When the processes cannot be started or the kernel has no segmentation offload.
pub(crate) fn measure(
    sockets: usize,
    seconds: u64,
    server: &Placement,
    readers: &Placement,
) -> anyhow::Result<f64> {
    let mut reading = start(readers, &[READERS.to_owned(), sockets.to_string()])?;
    let mut lines = BufReader::new(reading.stdout.take().context("the readers' output")?).lines();
    let ports = lines.next().context("the readers' ports")??;
    let mut sending = start(server, &[SENDER.to_owned(), seconds.to_string()])?;
    writeln!(sending.stdin.take().context("the sender's input")?, "{ports}")?;
    let output = sending.wait_with_output()?;
    // Its end of input tells the readers that all is over.
    drop(reading.stdin.take());
    reading.wait()?;
    ensure!(output.status.success(), "the floor's sender failed");
    String::from_utf8(output.stdout)?.trim().parse().context("the sender's figure")
}

fn start(placement: &Placement, arguments: &[String]) -> anyhow::Result<Child> {
    let program = std::env::current_exe()?;
    let mut command: Command = placement.command(&program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().context("cannot start a part of the floor measurement")
}

/// Sends for `seconds` to the ports on standard input and prints microseconds per packet.
pub(crate) fn send(seconds: u64) -> anyhow::Result<()> {
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    let targets: Vec<SocketAddr> = line
        .split_whitespace()
        .map(|port| Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse()?))))
        .collect::<anyhow::Result<_>>()?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket2::SockRef::from(&socket).set_send_buffer_size(8 << 20)?;
    let buffer = vec![0x5a; RUN * PACKET];
    let shape = Shape::new(KBIT, KEYFRAME_EVERY);
    let (mut packets, start, before) = (0_u64, Instant::now(), processor_time()?);
    let (mut pictures, mut sounds) = (0_u32, 0_u32);
    let end = Duration::from_secs(seconds);
    loop {
        let (next_picture, next_sound) = (PICTURE * pictures, SOUND_TIME * sounds);
        let due = next_picture.min(next_sound);
        if due > end {
            break;
        }
        std::thread::sleep((start + due).saturating_duration_since(Instant::now()));
        if due == next_sound {
            sounds += 1;
            segment(&socket, 0)?;
            for &target in &targets {
                packets += u64::from(socket.send_to(&buffer[..SOUND + AROUND], target).is_ok());
            }
            continue;
        }
        segment(&socket, PACKET)?;
        let picture = u64::from(pictures);
        let mut left = shape.bytes(picture) + shape.packets(picture) as usize * AROUND;
        pictures += 1;
        while left > 0 {
            let bytes = left.min(RUN * PACKET);
            left -= bytes;
            for &target in &targets {
                let sent = socket.send_to(&buffer[..bytes], target).is_ok();
                packets += if sent { bytes.div_ceil(PACKET) as u64 } else { 0 };
            }
        }
    }
    let used = processor_time()? - before;
    ensure!(packets > 0, "nothing could be sent");
    writeln!(io::stdout(), "{}", used.as_secs_f64() * 1e6 / packets as f64)?;
    Ok(())
}

/// Binds `count` sockets, prints their ports and reads from all of them until standard input ends.
pub(crate) fn read(count: usize) -> anyhow::Result<()> {
    let mut sockets = Vec::with_capacity(count);
    for _ in 0..count {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket2::SockRef::from(&socket).set_recv_buffer_size(1 << 20)?;
        socket.set_nonblocking(true)?;
        // So do the generator's; the sender's processor reads the clock for it.
        set(&socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
        sockets.push(socket);
    }
    let ports: Vec<String> = sockets
        .iter()
        .map(|socket| Ok(socket.local_addr()?.port().to_string()))
        .collect::<io::Result<_>>()?;
    writeln!(io::stdout(), "{}", ports.join(" "))?;
    io::stdout().flush()?;
    std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        loop {
            for socket in &sockets {
                while socket.recv(&mut buffer).is_ok() {}
            }
            std::thread::sleep(Duration::from_millis(3));
        }
    });
    for line in io::stdin().lines() {
        line?;
    }
    Ok(())
}

/// Sets the size into which the kernel cuts what this socket sends; 0 = not at all.
fn segment(socket: &UdpSocket, bytes: usize) -> anyhow::Result<()> {
    set(socket, libc::SOL_UDP, libc::UDP_SEGMENT, libc::c_int::try_from(bytes)?)
        .context("this kernel has no UDP segmentation offload")
}

#[allow(unsafe_code, reason = "the options have no safe wrapper in the standard library")]
fn set(socket: &UdpSocket, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: pointer and length describe a live integer, which the kernel only reads.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// User and system time of this process so far, in the nanoseconds of the scheduler.
fn processor_time() -> anyhow::Result<Duration> {
    // One thread: what the scheduler says of it is the process.
    let text = fs::read_to_string("/proc/self/schedstat")?;
    let nanoseconds = text.split_whitespace().next().context("schedstat")?.parse()?;
    Ok(Duration::from_nanos(nanoseconds))
}
