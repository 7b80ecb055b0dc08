//! A publisher over WHIP, made of `str0m`, that plays a clip in a loop at its pace.

use std::{
    net::SocketAddr,
    sync::{Arc, Once},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use socket2::SockRef;
use str0m::{
    Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcConfig,
    change::SdpAnswer,
    format::Codec,
    media::{Direction, MediaKind, MediaTime, Mid},
    net::{Protocol, Receive},
};
use tokio::{
    net::UdpSocket,
    sync::watch,
    task::JoinHandle,
    time::{sleep_until, timeout},
};

use crate::{clip::Clip, server::Server};

/// The payload type that `str0m` offers for Opus.
const OPUS: u8 = 111;

/// How a publisher is to behave.
#[derive(Debug, Clone, Copy, Default)]
pub struct WhipPlan {
    /// Every so manieth packet of pictures is lost on the way.
    pub lose_every: Option<u32>,
    /// Keeps to itself that it can send packets again in a stream of their own.
    pub without_rtx: bool,
}

/// What a publisher did and heard.
#[derive(Debug, Clone, Copy, Default)]
pub struct WhipProgress {
    /// Packets of pictures sent, retransmissions included.
    pub packets: u64,
    /// Of those, lost on purpose.
    pub lost: u64,
    /// Keyframes it was asked for.
    pub keyframes_asked: u64,
    /// Pictures sent.
    pub frames: u64,
}

/// A publisher on the air; dropping it vanishes without a word, like a killed encoder.
#[derive(Debug)]
pub struct WhipPublisher {
    progress: watch::Receiver<WhipProgress>,
    resource: String,
    http: reqwest::Client,
    task: JoinHandle<()>,
}

impl WhipPublisher {
    /// Publishes as the given channel of the keys file, and returns when the connection stands.
    pub async fn start(
        server: &Server,
        channel: usize,
        clip: &Arc<Clip>,
        plan: WhipPlan,
    ) -> anyhow::Result<Self> {
        let channel = server.channel(channel);
        let path = format!("/whip/{}", channel.name);
        Self::start_at(server, &path, &channel.key_text, clip, plan).await
    }

    /// The same with any path and key.
    pub async fn start_at(
        server: &Server,
        path: &str,
        key: &str,
        clip: &Arc<Clip>,
        plan: WhipPlan,
    ) -> anyhow::Result<Self> {
        static CRYPTO: Once = Once::new();
        CRYPTO.call_once(|| str0m::crypto::from_feature_flags().install_process_default());
        let udp = UdpSocket::bind((Server::HOST, 0)).await?;
        SockRef::from(&udp).set_recv_buffer_size(1 << 20)?;
        let local = udp.local_addr()?;
        let mut rtc: Rtc =
            RtcConfig::new().clear_codecs().enable_h264(true).enable_opus(true, false).build(Instant::now());
        rtc.add_local_candidate(Candidate::host(local, "udp")?);
        let mut api = rtc.sdp_api();
        let audio = api.add_media(MediaKind::Audio, Direction::SendOnly, None, None, None);
        let video = api.add_media(MediaKind::Video, Direction::SendOnly, None, None, None);
        let (offer, pending) = api.apply().context("an offer")?;
        let mut offer = offer.to_sdp_string();
        if plan.without_rtx {
            offer = without_rtx(&offer);
        }
        let http = reqwest::Client::new();
        let answer = http
            .post(server.url(path))
            .bearer_auth(key)
            .header("content-type", "application/sdp")
            .body(offer)
            .send()
            .await?;
        let status = answer.status();
        let resource = answer.headers().get("location").and_then(|value| value.to_str().ok());
        let resource = server.url(resource.unwrap_or_default());
        let text = answer.text().await?;
        ensure!(status == 201, "{status}: {text}");
        let answer = SdpAnswer::from_sdp_string(&text).context("an answer that str0m understands")?;
        rtc.sdp_api().accept_answer(pending, answer).context("an answer that str0m takes")?;
        let (out, mut progress) = watch::channel(WhipProgress::default());
        let running = Running {
            rtc,
            udp,
            local,
            video,
            audio,
            clip: Arc::clone(clip),
            plan,
            out,
            begun: None,
            frame: 0,
            packet: 0,
        };
        let task = tokio::spawn(async move {
            // The end of a session is no fault by itself; a scenario says what it expects.
            let _ended = running.run().await;
        });
        timeout(Duration::from_secs(10), progress.wait_for(|progress| progress.frames > 0))
            .await
            .context("no connection in time")?
            .context("the publisher ended")?;
        Ok(Self { progress, resource, http, task })
    }

    /// What was done so far.
    pub fn progress(&self) -> WhipProgress {
        *self.progress.borrow()
    }

    /// Ends as a streamer who presses the button; returns the HTTP status.
    pub async fn delete(&self) -> anyhow::Result<u16> {
        Ok(self.http.delete(&self.resource).send().await?.status().as_u16())
    }

    /// Vanishes: sockets closed, nothing said.
    pub async fn kill(self) {
        self.task.abort();
        while !self.task.is_finished() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Whether it has noticed that it is over.
    pub fn is_over(&self) -> bool {
        self.task.is_finished()
    }
}

impl Drop for WhipPublisher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Running {
    rtc: Rtc,
    udp: UdpSocket,
    local: SocketAddr,
    video: Mid,
    audio: Mid,
    clip: Arc<Clip>,
    plan: WhipPlan,
    out: watch::Sender<WhipProgress>,
    begun: Option<Instant>,
    frame: u64,
    packet: u64,
}

impl Running {
    async fn run(mut self) -> anyhow::Result<()> {
        let mut buffer = vec![0; 2048];
        loop {
            let next = self.drain()?;
            if !self.rtc.is_alive() {
                return Ok(());
            }
            let due = self.due();
            tokio::select! {
                received = self.udp.recv_from(&mut buffer) => {
                    let (length, source) = received?;
                    let contents = buffer[..length].try_into()?;
                    let receive = Receive { proto: Protocol::Udp, source, destination: self.local, contents };
                    self.rtc.handle_input(Input::Receive(Instant::now(), receive))?;
                }
                () = sleep_until(due.unwrap_or(next).min(next).into()) => {
                    let now = Instant::now();
                    self.rtc.handle_input(Input::Timeout(now))?;
                    if due.is_some_and(|due| due <= now) {
                        self.play(now)?;
                    }
                }
            }
        }
    }

    /// Sends what is to be sent; returns when the library wants to be called again.
    fn drain(&mut self) -> anyhow::Result<Instant> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(at) => return Ok(at),
                Output::Transmit(transmit) => {
                    let bytes: &[u8] = &transmit.contents;
                    // Pictures, and neither RTCP nor sound, which cannot be asked for again.
                    let payload_type = bytes[1] & 0x7f;
                    if bytes[0] >> 6 == 2 && !(192..=223).contains(&bytes[1]) && payload_type != OPUS {
                        let mut lost = false;
                        self.out.send_modify(|progress| {
                            progress.packets += 1;
                            let every = self.plan.lose_every.map(u64::from);
                            lost = every.is_some_and(|every| progress.packets.is_multiple_of(every));
                            progress.lost += u64::from(lost);
                        });
                        if lost {
                            continue;
                        }
                    }
                    // A full buffer is a network that loses.
                    let _ = self.udp.try_send_to(bytes, transmit.destination);
                }
                Output::Event(Event::IceConnectionStateChange(IceConnectionState::Disconnected)) => {
                    self.rtc.disconnect();
                }
                Output::Event(Event::Connected) => self.begun = Some(Instant::now()),
                Output::Event(Event::KeyframeRequest(_)) => {
                    self.out.send_modify(|progress| progress.keyframes_asked += 1);
                }
                Output::Event(_) => {}
            }
        }
    }

    /// When the next picture or sound is due.
    fn due(&self) -> Option<Instant> {
        let begun = self.begun?;
        Some(begun + self.frame_due().min(self.packet_due()))
    }

    fn frame_due(&self) -> Duration {
        Duration::from_nanos(self.frame * 1_000_000_000 / u64::from(self.clip.plan.fps))
    }

    fn packet_due(&self) -> Duration {
        Duration::from_millis(20 * self.packet)
    }

    fn play(&mut self, now: Instant) -> anyhow::Result<()> {
        if self.packet_due() <= self.frame_due() {
            let sound = self.clip.audio[(self.packet % self.clip.audio.len() as u64) as usize].to_vec();
            let time = MediaTime::from_micros(u64::try_from(self.packet_due().as_micros())?);
            self.packet += 1;
            self.write(self.audio, Codec::Opus, now, time, sound)
        } else {
            let nals = &self.clip.frames[(self.frame % self.clip.frames.len() as u64) as usize];
            let mut picture = Vec::new();
            for nal in nals {
                picture.extend([0, 0, 0, 1]);
                picture.extend_from_slice(nal);
            }
            let time = MediaTime::from_90khz(self.frame * 90_000 / u64::from(self.clip.plan.fps));
            self.frame += 1;
            self.write(self.video, Codec::H264, now, time, picture)?;
            self.out.send_modify(|progress| progress.frames += 1);
            Ok(())
        }
    }

    fn write(
        &mut self,
        mid: Mid,
        codec: Codec,
        now: Instant,
        time: MediaTime,
        data: Vec<u8>,
    ) -> anyhow::Result<()> {
        let writer = self.rtc.writer(mid).context("a medium that may be sent")?;
        let payload = writer.payload_params().find(|params| params.spec().codec == codec);
        let payload_type = payload.context("an agreed format")?.pt();
        writer.write(payload_type, now, time, data)?;
        Ok(())
    }
}

/// Takes the retransmission formats out of an offer.
fn without_rtx(offer: &str) -> String {
    let rtx: Vec<&str> =
        offer.lines().filter_map(|line| line.strip_prefix("a=rtpmap:")?.strip_suffix(" rtx/90000")).collect();
    let keep = |line: &&str| {
        let number = line.strip_prefix("a=rtpmap:").or(line.strip_prefix("a=fmtp:"));
        let number = number.and_then(|rest| rest.split(' ').next());
        number.is_none_or(|number| !rtx.contains(&number)) && !line.starts_with("a=ssrc-group:FID")
    };
    let lines = offer.lines().filter(keep).map(|line| {
        if line.starts_with("m=video") {
            let words: Vec<&str> = line.split(' ').filter(|word| !rtx.contains(word)).collect();
            words.join(" ")
        } else {
            line.to_owned()
        }
    });
    lines.map(|line| line + "\r\n").collect()
}
