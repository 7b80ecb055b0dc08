//! The program under test as a child process, on ports and in a folder of its own.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};

use crate::cpus::Placement;

/// Ports below the ephemeral range that nothing else of ours uses.
const WEB: u16 = 19_901;
const CONTROL: u16 = 19_902;
const FTL: u16 = 19_903;
const METRICS: u16 = 19_904;
const VIEWERS: &str = "19910-19930";
const FTL_MEDIA: &str = "19940-19949";
const RTP: &str = "23800-23899";
const START: Duration = Duration::from_secs(20);
const STOP: Duration = Duration::from_secs(15);

/// A running server; dropping it ends it.
pub(crate) struct Server {
    child: Child,
    folder: PathBuf,
}

impl Server {
    /// Starts `program` with so many egress workers.
    ///
    /// # Errors
    /// When it does not answer in time.
    pub(crate) fn start(program: &Path, workers: usize, place: &Placement) -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("heliograph-bench-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let log = fs::File::create(folder.join("server.log"))?;
        let mut command = place.command(program);
        command.arg("serve").arg("--data").arg(folder.join("data"));
        command.args([
            "--addr",
            "127.0.0.1",
            "--ports",
            VIEWERS,
            "--media-ports",
            FTL_MEDIA,
            "--rtp-ports",
            RTP,
        ]);
        command.args(["--ws-port", &WEB.to_string(), "--ftl-port", &FTL.to_string()]);
        command.args(["--control", &format!("127.0.0.1:{CONTROL}")]);
        command.args(["--metrics", &format!("127.0.0.1:{METRICS}")]);
        command.args(["--workers", &workers.to_string(), "--max-pending-per-address", "10000"]);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().context("cannot start the server")?;
        let mut server = Self { child, folder };
        let begin = Instant::now();
        while get(WEB, "/healthz").is_err() {
            ensure!(server.child.try_wait()?.is_none(), "the server did not start:\n{}", server.log());
            ensure!(begin.elapsed() < START, "the server does not answer:\n{}", server.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Base of the pages and of WHEP.
    pub(crate) fn url() -> String {
        format!("http://127.0.0.1:{WEB}")
    }

    /// Base of the allocation API.
    pub(crate) fn control_url() -> String {
        format!("http://127.0.0.1:{CONTROL}")
    }

    /// What it says of itself.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) fn metrics() -> anyhow::Result<String> {
        get(METRICS, "/metrics")
    }

    /// Ends it in good order.
    ///
    /// # Errors
    /// When it had ended by itself, or does not end in time.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        ensure!(self.child.try_wait()?.is_none(), "the server ended by itself:\n{}", self.log());
        let signal = std::process::Command::new("kill").args(["-TERM", &self.pid().to_string()]).status()?;
        ensure!(signal.success(), "the server cannot be told to end");
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "the server ended with {status}:\n{}", self.log());
                return Ok(());
            }
            ensure!(begin.elapsed() < STOP, "the server does not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn log(&self) -> String {
        let text = fs::read_to_string(self.folder.join("server.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone is fine; what matters is that nothing is left behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The body of a plain request to a port of the server.
fn get(port: u16, path: &str) -> anyhow::Result<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    // Version 1.0: no chunks, and the server closes at the end.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an HTTP answer")?;
    let status = head.split_whitespace().nth(1);
    if status != Some("200") {
        bail!("GET {path}: {}", head.lines().next().unwrap_or_default());
    }
    Ok(body.to_owned())
}
