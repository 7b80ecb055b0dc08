//! A viewer on the WebSocket, made of `str0m`: another ICE, DTLS and SRTP than the server's.

use std::{
    net::SocketAddr,
    sync::{Arc, Once},
    time::{Duration, Instant},
};

use anyhow::Context;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use socket2::SockRef;
use str0m::{
    Candidate, Event, Input, Output, Rtc, RtcConfig,
    change::SdpOffer,
    media::KeyframeRequestKind,
    net::{Protocol, Receive},
    rtp::Extension,
};
use tokio::{
    net::{TcpStream, UdpSocket},
    sync::{mpsc, watch},
    task::JoinHandle,
    time::sleep_until,
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use super::{ViewerReport, Watch, report::Received};
use crate::server::Server;

/// Datagrams handled before the other things get their turn.
const BATCH: usize = 64;

/// Number of the capture-time extension: one that `str0m` leaves free. What the server offers counts.
const CAPTURE_TIME: u8 = 9;

/// A running viewer; dropping it closes its sockets without a word.
#[derive(Debug)]
pub struct WsViewer {
    watch: Watch,
    commands: mpsc::UnboundedSender<Command>,
    task: JoinHandle<()>,
}

enum Command {
    Leave,
    Freeze,
    Roam,
    AskKeyframe,
    Inject(Vec<u8>),
    Say(String),
}

impl WsViewer {
    /// Joins with a query such as `channel=one` or `port=24000`.
    pub async fn join(server: &Server, query: &str) -> anyhow::Result<Self> {
        Self::join_url(&server.websocket_url(query)).await
    }

    /// Joins at any address.
    pub async fn join_url(url: &str) -> anyhow::Result<Self> {
        static CRYPTO: Once = Once::new();
        CRYPTO.call_once(|| str0m::crypto::from_feature_flags().install_process_default());
        let (report, watch) = Watch::new(Instant::now());
        let (socket, _) = connect_async(url).await.with_context(|| format!("cannot join {url}"))?;
        let (commands, inbox) = mpsc::unbounded_channel();
        let mut viewer = Running { socket, media: None, report: report.clone(), frozen: false };
        let out = report.clone();
        let task = tokio::spawn(async move {
            let why = match viewer.run(inbox).await {
                Ok(()) => "left".to_owned(),
                Err(error) => format!("{error:#}"),
            };
            out.send_modify(|report| {
                report.closed.get_or_insert(why);
            });
        });
        Ok(Self { watch, commands, task })
    }

    /// What it sees.
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Closes the WebSocket as a page does.
    pub fn leave(&self) {
        self.tell(Command::Leave);
    }

    /// From now on neither reads nor sends, with every socket open: a machine that lost its power.
    pub fn freeze(&self) {
        self.tell(Command::Freeze);
    }

    /// Goes on from another UDP port, as behind a NAT that forgot its mapping.
    pub fn roam(&self) {
        self.tell(Command::Roam);
    }

    /// Asks for a keyframe (PLI).
    pub fn ask_keyframe(&self) {
        self.tell(Command::AskKeyframe);
    }

    /// Sends a datagram of the caller's own from the viewer's address, once there is one.
    pub fn inject(&self, datagram: Vec<u8>) {
        self.tell(Command::Inject(datagram));
    }

    /// Sends a text frame of the caller's own.
    pub fn say(&self, text: &str) {
        self.tell(Command::Say(text.to_owned()));
    }

    fn tell(&self, command: Command) {
        // A viewer that is over already needs no command.
        let _ = self.commands.send(command);
    }
}

impl Drop for WsViewer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The peer connection with its socket.
struct Media {
    rtc: Rtc,
    udp: UdpSocket,
    /// The address `rtc` believes it has; it outlives a change of the real one.
    local: SocketAddr,
    video_ssrc: Option<u32>,
    /// Where its datagrams went last.
    server: Option<SocketAddr>,
    reported_at: Option<std::time::SystemTime>,
}

struct Running {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    media: Option<Media>,
    report: Arc<watch::Sender<ViewerReport>>,
    frozen: bool,
}

impl Running {
    async fn run(&mut self, mut inbox: mpsc::UnboundedReceiver<Command>) -> anyhow::Result<()> {
        let mut buffer = vec![0; 2048];
        loop {
            if self.frozen {
                std::future::pending::<()>().await;
            }
            let next = match &mut self.media {
                Some(media) => media.drain(&self.report)?,
                None => Instant::now() + Duration::from_secs(60),
            };
            tokio::select! {
                received = receive(self.media.as_ref(), &mut buffer) => {
                    let media = self.media.as_mut().context("a datagram without a socket")?;
                    media.take(received?, &buffer, &self.report)?;
                    for _ in 1..BATCH {
                        let Ok(received) = media.udp.try_recv_from(&mut buffer) else { break };
                        media.take(received, &buffer, &self.report)?;
                    }
                }
                message = self.socket.next() => match message {
                    Some(Ok(Message::Text(text))) => self.on_text(&text).await?,
                    Some(Ok(Message::Close(_))) | None => anyhow::bail!("the server closed the socket"),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(error).context("the WebSocket"),
                },
                command = inbox.recv() => match command {
                    Some(Command::Leave) | None => {
                        self.socket.close(None).await?;
                        return Ok(());
                    }
                    Some(Command::Freeze) => self.frozen = true,
                    Some(Command::Say(text)) => self.socket.send(Message::text(text)).await?,
                    Some(Command::Roam) => {
                        if let Some(media) = &mut self.media {
                            media.udp = bind().await?;
                        }
                    }
                    Some(Command::Inject(datagram)) => {
                        if let Some(media) = &self.media && let Some(server) = media.server {
                            media.udp.send_to(&datagram, server).await?;
                        }
                    }
                    Some(Command::AskKeyframe) => {
                        if let Some(media) = &mut self.media {
                            media.ask_keyframe();
                        }
                    }
                },
                () = sleep_until(next.into()) => {
                    if let Some(media) = &mut self.media {
                        media.rtc.handle_input(Input::Timeout(Instant::now()))?;
                    }
                }
            }
        }
    }

    async fn on_text(&mut self, text: &str) -> anyhow::Result<()> {
        let message: Value = serde_json::from_str(text).context("a message in JSON")?;
        let event = message["event"].as_str().context("a message with an event")?.to_owned();
        if event == "offer" {
            let sdp = message["data"]["sdp"].as_str().context("an offer with an SDP")?;
            let (media, answer) = Media::answer(sdp).await?;
            self.media = Some(media);
            let answer = json!({ "event": "answer", "data": { "type": "answer", "sdp": answer } });
            self.socket.send(Message::text(answer.to_string())).await?;
            self.report.send_modify(ViewerReport::begin_connection);
        }
        self.report.send_modify(|report| {
            if event == "close" {
                report.closed = Some(message["data"]["code"].as_str().unwrap_or_default().to_owned());
            }
            report.events.push((event, message["data"].clone()));
        });
        Ok(())
    }
}

impl Media {
    async fn answer(offer: &str) -> anyhow::Result<(Self, String)> {
        let udp = bind().await?;
        let local = udp.local_addr()?;
        let mut rtc: Rtc = RtcConfig::new()
            .clear_codecs()
            .enable_h264(true)
            .enable_h265(true)
            .enable_opus(true, false)
            .set_extension(CAPTURE_TIME, Extension::AbsoluteCaptureTime)
            .set_rtp_mode(true)
            .set_reordering_size_video(200)
            .build(Instant::now());
        rtc.add_local_candidate(Candidate::host(local, "udp")?);
        let video_ssrc = video_ssrc(offer);
        // str0m answers actpass with passive, always, where browsers answer active: it must be told.
        let offer = offer.replace("a=setup:actpass", "a=setup:passive");
        let answer = rtc.sdp_api().accept_offer(SdpOffer::from_sdp_string(&offer)?)?;
        Ok((Self { rtc, udp, local, video_ssrc, server: None, reported_at: None }, answer.to_sdp_string()))
    }

    fn take(
        &mut self,
        (len, source): (usize, SocketAddr),
        buffer: &[u8],
        report: &watch::Sender<ViewerReport>,
    ) -> anyhow::Result<()> {
        // What is none of STUN, DTLS, SRTP is not for this viewer.
        let Ok(contents) = buffer[..len].try_into() else { return Ok(()) };
        let receive = Receive { proto: Protocol::Udp, source, destination: self.local, contents };
        self.rtc.handle_input(Input::Receive(Instant::now(), receive))?;
        self.drain(report)?;
        Ok(())
    }

    /// Takes everything the peer connection has to say, and returns when it wants to be asked again.
    fn drain(&mut self, report: &watch::Sender<ViewerReport>) -> anyhow::Result<Instant> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(at) => return Ok(at),
                Output::Transmit(transmit) => {
                    self.server = Some(transmit.destination);
                    // Lost like any datagram when the socket is full.
                    let _ = self.udp.try_send_to(&transmit.contents, transmit.destination);
                }
                Output::Event(Event::Connected) => {
                    report.send_modify(|report| report.connected = Some(Instant::now()));
                }
                Output::Event(Event::RtpPacket(packet)) => {
                    let sender_report = packet.last_sender_info.map(|sender| sender.ntp_time);
                    let is_new_report = sender_report.is_some() && sender_report != self.reported_at;
                    self.reported_at = sender_report.or(self.reported_at);
                    let due = packet.last_sender_info.map(|sender| {
                        let ticks = packet.time.numer() as i64 - sender.rtp_time.numer() as i64;
                        // The report may be of a later packet, and its time of any turn of 32 bits.
                        let ticks = f64::from(ticks as i32) / f64::from(packet.time.denom());
                        match Duration::try_from_secs_f64(ticks) {
                            Ok(later) => sender.ntp_time + later,
                            Err(_) => sender.ntp_time - Duration::from_secs_f64(-ticks),
                        }
                    });
                    report.send_modify(|report| {
                        report.sender_reports += u64::from(is_new_report);
                        let header = &packet.header;
                        report.add(
                            packet.time.denom() == 90_000,
                            &Received {
                                at: packet.timestamp,
                                ssrc: *header.ssrc,
                                seq: header.sequence_number,
                                timestamp: header.timestamp,
                                marker: header.marker,
                                payload: &packet.payload,
                                due,
                                captured: header.ext_vals.abs_capture_time.map(|told| told.capture_time),
                            },
                        );
                    });
                }
                Output::Event(_) => {}
            }
        }
    }

    fn ask_keyframe(&mut self) {
        if let Some(ssrc) = self.video_ssrc
            && let Some(stream) = self.rtc.direct_api().stream_rx(&ssrc.into())
        {
            stream.request_keyframe(KeyframeRequestKind::Pli);
        }
    }
}

/// A socket with room for a burst: a busy test machine must not look like a lossy network.
async fn bind() -> anyhow::Result<UdpSocket> {
    let udp = UdpSocket::bind((Server::HOST, 0)).await?;
    SockRef::from(&udp).set_recv_buffer_size(4 << 20)?;
    Ok(udp)
}

async fn receive(media: Option<&Media>, buffer: &mut [u8]) -> std::io::Result<(usize, SocketAddr)> {
    match media {
        Some(media) => media.udp.recv_from(buffer).await,
        None => std::future::pending().await,
    }
}

/// The first SSRC below the video line.
fn video_ssrc(offer: &str) -> Option<u32> {
    let video = offer.split("m=").find(|section| section.starts_with("video"))?;
    let line = video.lines().find_map(|line| line.strip_prefix("a=ssrc:"))?;
    line.split_whitespace().next()?.parse().ok()
}
