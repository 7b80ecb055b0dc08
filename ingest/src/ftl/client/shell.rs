//! Sockets and the clock around the two machines.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket, lookup_host},
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{sleep_until, timeout},
};

use super::{
    ClientSettings,
    control::ClientControl,
    error::ClientError,
    media::{MediaSender, UplinkStats},
    speed_test::{SpeedTest, SpeedTestResult},
};

/// Longest wait for one address to take the connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for the control connection to take a command, as in the SDK.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);
/// Frames that may wait for the session's task.
const COMMANDS: usize = 64;

/// A running session. Dropping it vanishes without a word, as a killed encoder does; see
/// [`disconnect`](Self::disconnect).
#[derive(Debug)]
pub struct FtlClient {
    commands: mpsc::Sender<Command>,
    stats: watch::Receiver<UplinkStats>,
    end: watch::Receiver<Option<Arc<ClientError>>>,
    media_addr: SocketAddr,
    local_media_addr: SocketAddr,
    speed_test: Option<SpeedTestResult>,
    task: JoinHandle<()>,
}

enum Command {
    Video { decode_time: Duration, nals: Vec<Bytes> },
    Audio { time: Duration, packet: Bytes },
    Silence,
    Disconnect,
}

impl FtlClient {
    /// Connects, shakes hands and, when asked, runs the speed test; returns when media may be sent. The
    /// addresses of `host` are tried in order.
    pub async fn connect(host: &str, port: u16, settings: ClientSettings) -> Result<Self, ClientError> {
        let stream = open(host, port).await?;
        let (local, peer) = (stream.local_addr()?, stream.peer_addr()?);
        let control = ClientControl::begin(settings.key.clone(), settings.announce.clone(), Instant::now());
        let socket = UdpSocket::bind((local.ip(), 0)).await?;
        let local_media_addr = socket.local_addr()?;
        let mut session = Session { stream, socket, media_addr: peer, control };

        let port = session.shake_hands().await?;
        session.media_addr.set_port(port);
        let speed_test = match settings.speed_test {
            None => None,
            Some(plan) => {
                let form = settings.media.ping_form;
                let test = SpeedTest::begin(plan, settings.key.channel_id(), form, Instant::now(), wall());
                Some(session.test_speed(test).await?)
            }
        };
        let mut media_settings = settings.media;
        media_settings.video = settings.announce.video;
        media_settings.audio = settings.announce.audio;
        let media = MediaSender::begin(media_settings, settings.key.channel_id(), Instant::now(), wall());

        let media_addr = session.media_addr;
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let (stats_out, stats) = watch::channel(UplinkStats::default());
        let (end_out, end) = watch::channel(None);
        let task = tokio::spawn(async move {
            let error = match session.stream_media(media, inbox, &stats_out).await {
                Ok(()) => ClientError::Disconnected,
                Err(error) => error,
            };
            end_out.send_replace(Some(Arc::new(error)));
        });
        Ok(Self { commands, stats, end, media_addr, local_media_addr, speed_test, task })
    }

    /// Sends one access unit: NAL units without start codes, and the decode time on the source's clock (any
    /// zero, the same for both media). Waits when the session is behind; fails when it is over.
    pub async fn video(&self, decode_time: Duration, nals: Vec<Bytes>) -> Result<(), Arc<ClientError>> {
        self.tell(Command::Video { decode_time, nals }).await
    }

    /// Sends one Opus packet.
    pub async fn audio(&self, time: Duration, packet: Bytes) -> Result<(), Arc<ClientError>> {
        self.tell(Command::Audio { time, packet }).await
    }

    /// From now on sends nothing at all but keeps both sockets open: what a pulled cable looks like from afar.
    pub async fn go_silent(&self) -> Result<(), Arc<ClientError>> {
        self.tell(Command::Silence).await
    }

    /// Says `DISCONNECT`, closes the sockets and returns the last figures.
    pub async fn disconnect(mut self) -> UplinkStats {
        if self.tell(Command::Disconnect).await.is_ok() {
            self.end_of_session().await;
        }
        *self.stats.borrow()
    }

    /// Waits for the end of the session and says why it ended.
    pub async fn ended(&self) -> Arc<ClientError> {
        self.clone_of_end().await
    }

    /// Figures of the session so far.
    pub fn stats(&self) -> UplinkStats {
        *self.stats.borrow()
    }

    /// Where media goes to.
    pub fn media_addr(&self) -> SocketAddr {
        self.media_addr
    }

    /// Where media comes from.
    pub fn local_media_addr(&self) -> SocketAddr {
        self.local_media_addr
    }

    /// What the speed test found, when there was one.
    pub fn speed_test(&self) -> Option<SpeedTestResult> {
        self.speed_test
    }

    async fn tell(&self, command: Command) -> Result<(), Arc<ClientError>> {
        match self.commands.send(command).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.clone_of_end().await),
        }
    }

    async fn clone_of_end(&self) -> Arc<ClientError> {
        let mut end = self.end.clone();
        match end.wait_for(Option::is_some).await {
            Ok(error) => error.clone().expect("waited for"),
            Err(_) => Arc::new(ClientError::Disconnected),
        }
    }

    async fn end_of_session(&mut self) {
        // The task never panics; an abort cannot have happened, as only `drop` aborts.
        let _ = (&mut self.task).await;
    }
}

impl Drop for FtlClient {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Session {
    stream: TcpStream,
    socket: UdpSocket,
    media_addr: SocketAddr,
    control: ClientControl,
}

impl Session {
    async fn shake_hands(&mut self) -> Result<u16, ClientError> {
        let mut buffer = [0; 2048];
        loop {
            self.flush_control().await?;
            if let Some(port) = self.control.media_port() {
                return Ok(port);
            }
            let deadline = self.control.next_deadline().unwrap_or_else(Instant::now);
            tokio::select! {
                read = self.stream.read(&mut buffer) => self.on_control(read?, &buffer)?,
                () = sleep_until(deadline.into()) => self.control.on_deadline(Instant::now())?,
            }
        }
    }

    async fn test_speed(&mut self, mut test: SpeedTest) -> Result<SpeedTestResult, ClientError> {
        let (mut line, mut datagram) = ([0; 2048], [0; 2048]);
        loop {
            self.flush_control().await?;
            let next = loop {
                test.on_deadline(Instant::now());
                if let Some(result) = test.result() {
                    return Ok(result);
                }
                match test.poll_send(Instant::now()) {
                    Ok(datagram) => self.send(&datagram).await,
                    Err(later) => break later,
                }
            };
            let next = self.control.next_deadline().map_or(next, |deadline| deadline.min(next));
            tokio::select! {
                read = self.stream.read(&mut line) => self.on_control(read?, &line)?,
                received = self.socket.recv_from(&mut datagram) => {
                    if let Some(datagram) = self.only_from_server(received, &datagram) {
                        test.on_datagram(Instant::now(), datagram);
                    }
                }
                () = sleep_until(next.into()) => self.control.on_deadline(Instant::now())?,
            }
        }
    }

    async fn stream_media(
        &mut self,
        mut media: MediaSender,
        mut inbox: mpsc::Receiver<Command>,
        stats: &watch::Sender<UplinkStats>,
    ) -> Result<(), ClientError> {
        let (mut line, mut datagram) = ([0; 2048], [0; 2048]);
        let mut silent = false;
        loop {
            if !silent {
                self.flush_control().await?;
            }
            media.on_deadline(Instant::now());
            let next = loop {
                match media.poll_send(Instant::now()) {
                    Ok(_) if silent => {}
                    Ok(datagram) => self.send(&datagram).await,
                    Err(later) => break later,
                }
            };
            stats.send_replace(media.stats());
            let next = self.control.next_deadline().map_or(next, |deadline| deadline.min(next));
            tokio::select! {
                read = self.stream.read(&mut line) => {
                    let outcome = self.on_control(read?, &line);
                    if outcome.is_err() {
                        // The goodbye that answers a code; the reason matters more than whether it arrives.
                        let _ = self.flush_control().await;
                    }
                    outcome?;
                }
                received = self.socket.recv_from(&mut datagram) => {
                    if let Some(datagram) = self.only_from_server(received, &datagram) {
                        media.on_datagram(Instant::now(), datagram);
                    }
                }
                command = inbox.recv() => match command {
                    Some(Command::Video { decode_time, nals }) => media.video(Instant::now(), decode_time, &nals),
                    Some(Command::Audio { time, packet }) => media.audio(Instant::now(), time, &packet),
                    Some(Command::Silence) => silent = true,
                    Some(Command::Disconnect) | None => {
                        self.control.disconnect();
                        return self.flush_control().await;
                    }
                },
                () = sleep_until(next.into()) => self.control.on_deadline(Instant::now())?,
            }
        }
    }

    fn on_control(&mut self, read: usize, buffer: &[u8]) -> Result<(), ClientError> {
        if read == 0 {
            // The real client notices this only by its missing pings; a person should hear of it at once.
            return Err(ClientError::Closed);
        }
        self.control.on_bytes(Instant::now(), &buffer[..read])
    }

    async fn flush_control(&mut self) -> Result<(), ClientError> {
        while let Some(command) = self.control.poll_send() {
            match timeout(WRITE_TIMEOUT, self.stream.write_all(&command)).await {
                Ok(written) => written?,
                Err(_) => return Err(ClientError::Closed),
            }
        }
        Ok(())
    }

    /// Media is sent and forgotten: an error of one datagram is a lost datagram.
    async fn send(&self, datagram: &[u8]) {
        let _ = self.socket.send_to(datagram, self.media_addr).await;
    }

    /// Only the address counts, never the port, as in the SDK.
    fn only_from_server<'a>(
        &self,
        received: std::io::Result<(usize, SocketAddr)>,
        buffer: &'a [u8],
    ) -> Option<&'a [u8]> {
        let (len, from) = received.ok()?;
        (from.ip() == self.media_addr.ip()).then(|| &buffer[..len])
    }
}

async fn open(host: &str, port: u16) -> Result<TcpStream, ClientError> {
    let resolved = lookup_host((host, port)).await;
    let addresses = resolved.map_err(|source| ClientError::Resolve { host: host.into(), source })?;
    let mut last = ClientError::Resolve { host: host.into(), source: std::io::ErrorKind::NotFound.into() };
    for addr in addresses {
        match timeout(CONNECT_TIMEOUT, TcpStream::connect(addr)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(source)) => last = ClientError::Connect { addr, source },
            Err(_) => last = ClientError::Connect { addr, source: std::io::ErrorKind::TimedOut.into() },
        }
    }
    Err(last)
}

/// Time since 1970.
fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests;
