//! A bad network between two network namespaces, for tests: see `heliograph_tests::link`.
//!
//! Prints one JSON object per line. First `{"event":"ready",...}` with both ends: `netns` for `nsenter --net=` and
//! `address`; or `{"event":"refused","reason":...}` and exit code 2 where namespaces are not permitted. Then takes
//! commands on standard input, one JSON object per line, and ends with its input:
//!
//! - `{"do":"set","down":{...},"up":{...}}` sets one way or both (fields of `Conditions`; what is left out is perfect);
//! - `{"do":"counts"}` answers with what became of the packets.
//!
//! With `--record`, each packet becomes a line of a file, as it comes in: microseconds since 1970, the way (`down` or `up`),
//! its fate (`passed` or `lost`), its length, and its first bytes in hex.
//!
//! *Down* is from the server to the viewer.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, BufRead, BufWriter, Read, Write},
    net::Ipv4Addr,
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use clap::Parser;
use heliograph_tests::link::{Conditions, Direction, namespaces::End};
use serde::Deserialize;
use serde_json::json;

/// Addresses exist only inside the namespaces.
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const VIEWER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

/// A bad network between two network namespaces.
#[derive(Debug, Parser)]
struct Args {
    /// The same seed gives the same fate to the same packets
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write a line for each packet to this file
    #[arg(long)]
    record: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase", deny_unknown_fields)]
enum Order {
    Set { down: Option<Box<Conditions>>, up: Option<Box<Conditions>> },
    Counts,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let ends = End::new(SERVER, VIEWER).and_then(|server| Ok((server, End::new(VIEWER, SERVER)?)));
    let (server, viewer) = match ends {
        Ok(ends) => ends,
        Err(error) => {
            say(&json!({"event": "refused", "reason": format!("{error:#}")}));
            return ExitCode::from(2);
        }
    };
    let end = |end: &End| json!({"netns": end.path(), "address": end.address});
    let ready = json!({"event": "ready", "server": end(&server), "viewer": end(&viewer)});
    let [server, viewer] = [server, viewer].map(Arc::new);
    let record = match args.record.map(File::create).transpose() {
        Ok(file) => file.map(|file| Arc::new(Mutex::new(BufWriter::new(file)))),
        Err(error) => {
            say(&json!({"event": "refused", "reason": format!("cannot write the record: {error}")}));
            return ExitCode::from(2);
        }
    };
    let recorder = |way| record.clone().map(|file| Recorder { way, file });
    let down = Way::start(args.seed, [&server, &viewer], recorder("down"));
    let up = Way::start(args.seed.wrapping_add(1), [&viewer, &server], recorder("up"));
    say(&ready);
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        say(&obey(&line, &down, &up));
        if let Some(record) = &record {
            let _ = record.lock().unwrap_or_else(PoisonError::into_inner).flush();
        }
    }
    ExitCode::SUCCESS
}

fn obey(line: &str, down: &Way, up: &Way) -> serde_json::Value {
    let refuse = |reason: String| json!({"event": "error", "reason": reason});
    match serde_json::from_str(line) {
        Err(error) => refuse(error.to_string()),
        Ok(Order::Counts) => {
            json!({"event": "counts", "down": down.direction().counts(), "up": up.direction().counts()})
        }
        Ok(Order::Set { down: for_down, up: for_up }) => {
            let wanted = [(down, for_down), (up, for_up)];
            if let Some(Err(reason)) = wanted
                .iter()
                .filter_map(|(_, conditions)| conditions.as_deref())
                .map(Conditions::check)
                .find(Result::is_err)
            {
                return refuse(reason);
            }
            for (way, conditions) in wanted {
                if let Some(conditions) = conditions {
                    way.direction().set(*conditions);
                }
            }
            json!({"event": "set"})
        }
    }
}

/// One way between the devices: a thread that reads and one that writes when the time has come.
#[derive(Clone)]
struct Way(Arc<(Mutex<Direction>, Condvar)>);

impl Way {
    fn start(seed: u64, [from, to]: [&Arc<End>; 2], recorder: Option<Recorder>) -> Self {
        let way = Self(Arc::new((Mutex::new(Direction::new(seed)), Condvar::new())));
        let (reader, source) = (way.clone(), Arc::clone(from));
        thread::spawn(move || reader.read(&source.device, recorder.as_ref()));
        let (writer, sink) = (way.clone(), Arc::clone(to));
        thread::spawn(move || writer.write(&sink.device));
        way
    }

    /// Nothing panics with the lock held.
    fn direction(&self) -> MutexGuard<'_, Direction> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, mut device: &File, recorder: Option<&Recorder>) {
        let mut buffer = vec![0; 65_536];
        while let Ok(len) = device.read(&mut buffer) {
            let passed = self.direction().push(Instant::now(), buffer[..len].to_vec());
            self.0.1.notify_one();
            if let Some(recorder) = recorder {
                recorder.note(&buffer[..len], passed);
            }
        }
    }

    fn write(&self, mut device: &File) {
        let changed = &self.0.1;
        let mut direction = self.direction();
        loop {
            let now = Instant::now();
            if let Some(packet) = direction.pop(now) {
                drop(direction);
                // A device that takes no packet loses it, as devices do.
                let _ = device.write(&packet);
                direction = self.direction();
            } else if let Some(arrival) = direction.next_arrival() {
                let wait = changed.wait_timeout(direction, arrival.saturating_duration_since(now));
                direction = wait.unwrap_or_else(PoisonError::into_inner).0;
            } else {
                direction = changed.wait(direction).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

/// Bytes of a packet that are recorded: headers up to those of a few DTLS records.
const RECORDED: usize = 160;

/// Writes down what becomes of the packets of one way.
struct Recorder {
    way: &'static str,
    file: Arc<Mutex<BufWriter<File>>>,
}

impl Recorder {
    fn note(&self, packet: &[u8], passed: bool) {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let fate = if passed { "passed" } else { "lost" };
        let mut line = format!("{at} {} {fate} {} ", self.way, packet.len());
        for byte in packet.iter().take(RECORDED) {
            let _ = write!(line, "{byte:02x}");
        }
        line.push('\n');
        // A full disk spoils the record, not the link.
        let _ = self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes());
    }
}

#[expect(clippy::print_stdout, reason = "what this program is for")]
fn say(line: &serde_json::Value) {
    println!("{line}");
}
