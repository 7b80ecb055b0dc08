//! The built program as a child process, on ports of its own, in a folder of its own.

use std::{
    fmt::Display,
    fs::{self, File},
    io::Write,
    net::{IpAddr, Ipv4Addr},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use heliograph_ingest::ftl::client::{ClientSettings, StreamKey};
use serde_json::Value;

use crate::{ports::PortBlock, scratch::Scratch, wait::until};

/// Longest start, on a machine that is busy with other tests.
const START: Duration = Duration::from_secs(20);
/// Longest orderly end.
const STOP: Duration = Duration::from_secs(15);

/// A channel of the keys file.
#[derive(Debug, Clone)]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// What a streamer types into OBS.
    pub key: StreamKey,
    /// The same as text.
    pub key_text: String,
}

impl Channel {
    /// Settings for a publisher of this channel.
    pub fn client_settings(&self) -> ClientSettings {
        ClientSettings::new(self.key.clone())
    }
}

/// How a server is to be started.
#[derive(Debug, Clone)]
pub struct ServerPlan {
    parts: &'static str,
    channels: Vec<&'static str>,
    media_ports: u16,
    rtp_ports: u16,
    workers: u16,
    extra: Vec<String>,
}

impl Default for ServerPlan {
    fn default() -> Self {
        Self {
            parts: "serve",
            channels: vec!["one"],
            media_ports: 10,
            rtp_ports: 10,
            workers: 1,
            extra: Vec::new(),
        }
    }
}

impl ServerPlan {
    /// Everything in one process, one channel named `one`, one worker.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `heliograph <parts>` instead of `serve`.
    #[must_use]
    pub fn parts(mut self, parts: &'static str) -> Self {
        self.parts = parts;
        self
    }

    /// The channels of the keys file.
    #[must_use]
    pub fn channels(mut self, channels: &[&'static str]) -> Self {
        self.channels = channels.to_vec();
        self
    }

    /// Sizes of the two port pools.
    #[must_use]
    pub fn pools(mut self, media_ports: u16, rtp_ports: u16) -> Self {
        (self.media_ports, self.rtp_ports) = (media_ports, rtp_ports);
        self
    }

    /// Egress threads.
    #[must_use]
    pub fn workers(mut self, workers: u16) -> Self {
        self.workers = workers;
        self
    }

    /// One more flag, with its value.
    #[must_use]
    pub fn flag(mut self, flag: &str, value: impl Display) -> Self {
        self.extra.extend([flag.to_owned(), value.to_string()]);
        self
    }

    /// Starts it and waits until it answers.
    pub async fn start(self) -> anyhow::Result<Server> {
        let ports = PortBlock::find()?;
        self.start_on(ports).await
    }

    /// Starts it on ports that a scenario knows beforehand.
    pub async fn start_on(self, ports: PortBlock) -> anyhow::Result<Server> {
        let folder = Scratch::new()?;
        let channels: Vec<Channel> =
            self.channels.iter().enumerate().map(channel).collect::<Result<_, _>>()?;
        let keys = folder.path().join("keys.toml");
        write_keys(&keys, &channels)?;
        let log = folder.path().join("server.log");
        let log_file = File::create(&log)?;
        let mut command = Command::new(program()?);
        command.arg(self.parts).arg("--data").arg(folder.path().join("data")).arg("--keys").arg(&keys);
        command.args(["--addr", "127.0.0.1", "--ws-port", &ports.web().to_string()]);
        command.args(["--control", &format!("127.0.0.1:{}", ports.control())]);
        command.args(["--metrics", &format!("127.0.0.1:{}", ports.metrics())]);
        command.args([
            "--ftl-port",
            &ports.ftl().to_string(),
            "--media-ports",
            &ports.media(self.media_ports),
        ]);
        command.args(["--rtmp-port", &ports.rtmp().to_string(), "--srt-port", &ports.srt().to_string()]);
        command.args(["--whip-port", &ports.whip().to_string()]);
        command.args(["--whip-http-port", &ports.whip().to_string()]);
        command.args(["--rtp-ports", &ports.rtp(self.rtp_ports), "--ports", &ports.viewers()]);
        command.args(["--workers", &self.workers.to_string()]).args(&self.extra);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("HELIOGRAPH_") || name.starts_with("LS_") || name == "AUTH_WS_URL" {
                command.env_remove(name);
            }
        }
        command.stdin(Stdio::null()).stdout(log_file.try_clone()?).stderr(log_file);
        let child = command.spawn().context("cannot start the server")?;
        let mut server = Server { child, ports, channels, log, http: reqwest::Client::new(), folder };
        server.wait_until_up(self.parts).await?;
        Ok(server)
    }
}

/// A running server; dropping it stops it.
#[derive(Debug)]
pub struct Server {
    child: Child,
    ports: PortBlock,
    channels: Vec<Channel>,
    log: PathBuf,
    http: reqwest::Client,
    folder: Scratch,
}

impl Server {
    /// The loopback address everything listens on.
    pub const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// The n-th channel of the keys file.
    pub fn channel(&self, index: usize) -> &Channel {
        &self.channels[index]
    }

    /// Its ports.
    pub fn ports(&self) -> PortBlock {
        self.ports
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `http://…` on the public port.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}:{}{path}", Self::HOST, self.ports.web())
    }

    /// `http://…` on the control port.
    pub fn control_url(&self, path: &str) -> String {
        format!("http://{}:{}{path}", Self::HOST, self.ports.control())
    }

    /// The viewer WebSocket, with a query such as `channel=one`.
    pub fn websocket_url(&self, query: &str) -> String {
        format!("ws://{}:{}/websocket?{query}", Self::HOST, self.ports.web())
    }

    /// A client for questions to it.
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// What `GET /streams` lists.
    pub async fn streams(&self) -> anyhow::Result<Vec<Value>> {
        let document: Value =
            self.http.get(self.url("/streams")).send().await?.error_for_status()?.json().await?;
        Ok(document["streams"].as_array().cloned().unwrap_or_default())
    }

    /// Waits until a channel has the given state, and returns its entry.
    pub async fn wait_for_state(&self, channel: &str, state: &str, limit: Duration) -> anyhow::Result<Value> {
        until(&format!("channel {channel} to be {state}"), limit, async || {
            let streams = self.streams().await.ok()?;
            streams.into_iter().find(|stream| stream["channel"] == channel && stream["state"] == state)
        })
        .await
    }

    /// Waits until a channel is gone from the list.
    pub async fn wait_until_gone(&self, channel: &str, limit: Duration) -> anyhow::Result<()> {
        until(&format!("channel {channel} to be gone"), limit, async || {
            let streams = self.streams().await.ok()?;
            streams.iter().all(|stream| stream["channel"] != channel).then_some(())
        })
        .await
    }

    /// Waits until a channel has this many viewers.
    pub async fn wait_for_viewers(&self, channel: &str, viewers: u64, limit: Duration) -> anyhow::Result<()> {
        until(&format!("{viewers} viewers of {channel}"), limit, async || {
            let streams = self.streams().await.ok()?;
            let found = |stream: &Value| stream["channel"] == channel && stream["viewers"] == viewers;
            streams.iter().any(found).then_some(())
        })
        .await
    }

    /// Processor time used so far, all threads.
    pub fn processor_time(&self) -> anyhow::Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid()))?;
        let after_name = stat.rsplit_once(')').context("a process name in brackets")?.1;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
        // Linux counts in hundredths of a second, whatever the kernel's own tick is.
        Ok(Duration::from_millis(ticks * 10))
    }

    /// Resident memory in KiB.
    pub fn resident_kib(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// Everything it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Fails when it logged a panic or ended.
    pub fn check_health(&mut self) -> anyhow::Result<()> {
        ensure!(self.child.try_wait()?.is_none(), "the server ended by itself:\n{}", self.tail());
        ensure!(!self.log().contains("panicked at"), "the server panicked:\n{}", self.tail());
        Ok(())
    }

    /// Asks it to end (SIGTERM) and waits; the exit must be clean.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.signal("TERM")?;
        let mut status = None;
        until("the server to end", STOP, async || {
            status = self.child.try_wait().ok()?;
            status.map(|_| ())
        })
        .await?;
        ensure!(status.is_some_and(|status| status.success()), "ended with {status:?}:\n{}", self.tail());
        Ok(())
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Sends a signal to this process, by its id.
    pub fn signal(&self, signal: &str) -> anyhow::Result<()> {
        let sent = Command::new("kill").args([&format!("-{signal}"), &self.pid().to_string()]).status()?;
        ensure!(sent.success(), "kill -{signal} failed");
        Ok(())
    }

    async fn wait_until_up(&mut self, parts: &str) -> anyhow::Result<()> {
        let (ports, http) = (self.ports, self.http.clone());
        let up = async || {
            if parts == "ingest" {
                // It has no web port, and a bare connection to the FTL door is harmless.
                tokio::net::TcpStream::connect((Self::HOST, ports.ftl())).await.is_ok()
            } else {
                let url = format!("http://{}:{}/healthz", Self::HOST, ports.web());
                http.get(url).send().await.is_ok_and(|answer| answer.status().is_success())
            }
        };
        let mut ended = None;
        let started = until("the server to answer", START, async || {
            ended = self.child.try_wait().ok().flatten();
            (ended.is_some() || up().await).then_some(())
        })
        .await;
        if let Some(status) = ended {
            bail!("the server did not start ({status}):\n{}", self.tail());
        }
        started.with_context(|| self.tail())
    }

    fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            #[expect(clippy::print_stderr, reason = "shown when the test fails")]
            {
                eprintln!("--- end of the server's log ---\n{}\n---", self.tail());
            }
        }
        // Already gone is fine; what matters is that nothing is left running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn channel((index, name): (usize, &&'static str)) -> anyhow::Result<Channel> {
    let key_text = format!("{}-secretOf{name}", 1000 + 10 * index);
    Ok(Channel { name: (*name).to_owned(), key: StreamKey::parse(&key_text)?, key_text })
}

fn write_keys(path: &Path, channels: &[Channel]) -> anyhow::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    for Channel { name, key, key_text } in channels {
        let secret = key_text.split_once('-').context("a key with a dash")?.1;
        writeln!(file, "[[channel]]\nid = {}\nname = \"{name}\"\nsecret = \"{secret}\"\n", key.channel_id())?;
    }
    Ok(())
}

/// The program under test: `HELIOGRAPH_BIN`, or built now with the profile of this test.
pub fn program() -> anyhow::Result<&'static Path> {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| find_program().map_err(|error| format!("{error:#}")));
    program.as_deref().map_err(|error| anyhow::anyhow!("{error}"))
}

fn find_program() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("HELIOGRAPH_BIN") {
        return Ok(path.into());
    }
    // target/<profile>/deps/<test> or target/<profile>/<program>
    let this = std::env::current_exe()?;
    let mut folder = this.parent().context("a folder")?;
    if folder.ends_with("deps") {
        folder = folder.parent().context("a folder")?;
    }
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build
        .args(["build", "--quiet", "--package", "heliograph"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    if let Some(target) = folder.parent() {
        build.env("CARGO_TARGET_DIR", target);
    }
    if folder.ends_with("release") {
        build.arg("--release");
    }
    ensure!(build.status().context("cannot run cargo")?.success(), "the program does not build");
    Ok(folder.join("heliograph"))
}
