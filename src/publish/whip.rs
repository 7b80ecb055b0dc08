//! Publishing over WHIP (RFC 9725) with `str0m`, a WebRTC stack that is not the server's own.

use std::{
    net::{IpAddr, SocketAddr},
    pin::Pin,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, bail};
use reqwest::{StatusCode, Url, header};
use str0m::{
    Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcConfig,
    change::SdpAnswer,
    format::Codec,
    media::{Direction, Frequency, MediaKind, MediaTime, Mid},
    net::{Protocol, Receive},
};
use tokio::net::UdpSocket;

use super::{
    FIRST_WAIT, GOOD_SESSION, LONGEST_WAIT,
    args::PublishArgs,
    frames::Frame,
    idle,
    source::{Plan, Source},
};

/// Longest time for each answer to a request, and for the connection to stand.
const PATIENCE: Duration = Duration::from_secs(10);
/// Largest datagram that is looked at.
const MAX_DATAGRAM: usize = 2048;

/// Publishes until the source is over or `stop` is ready; with `--retry`, again and again.
pub(super) async fn publish(
    args: &PublishArgs,
    plan: &Plan,
    to: &str,
    mut stop: Pin<&mut impl Future<Output = ()>>,
) -> anyhow::Result<()> {
    let to = Url::parse(to).context("--whip: an address such as http://host:8080/whip/CHANNEL")?;
    let http = reqwest::Client::builder()
        .user_agent(concat!("heliograph/", env!("CARGO_PKG_VERSION")))
        .timeout(PATIENCE)
        .build()?;
    let mut source = None;
    let mut wait = FIRST_WAIT;
    loop {
        let begun = Instant::now();
        let outcome = tokio::select! {
            connected = Session::negotiate(&http, &to, args, plan) => match connected {
                Ok(mut session) => {
                    tracing::info!("publishing to {to}");
                    let outcome = tokio::select! {
                        outcome = session.run(args, plan, &mut source) => outcome,
                        () = stop.as_mut() => Ok(End::Stopped),
                    };
                    session.leave(&http, &args.key).await;
                    outcome
                }
                Err(error) => Err(error),
            },
            () = stop.as_mut() => return Ok(()),
        };
        let error = match outcome {
            Ok(End::Stopped) => return Ok(()),
            Ok(End::SourceOver) => match source {
                Some(source) => return source.outcome().await,
                None => return Ok(()),
            },
            Err(error) => error,
        };
        if !args.retry || error.is::<Hopeless>() {
            return Err(error);
        }
        if begun.elapsed() > GOOD_SESSION {
            wait = FIRST_WAIT;
        }
        tracing::warn!("{error:#}; trying again in {wait:.0?}");
        if idle(wait, source.as_mut(), stop.as_mut()).await {
            return Ok(());
        }
        wait = wait.mul_f64(1.5).min(LONGEST_WAIT);
    }
}

/// How a session ended that did not fail.
enum End {
    Stopped,
    SourceOver,
}

/// The server said no, and will say it again.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Hopeless(String);

/// One peer connection.
struct Session {
    rtc: Rtc,
    udp: UdpSocket,
    local: SocketAddr,
    video: Option<Mid>,
    audio: Option<Mid>,
    /// What `DELETE` ends.
    resource: Option<Url>,
    connected: bool,
}

impl Session {
    /// Offers, and takes the answer.
    async fn negotiate(
        http: &reqwest::Client,
        to: &Url,
        args: &PublishArgs,
        plan: &Plan,
    ) -> anyhow::Result<Self> {
        // Another one of this process may have set it already.
        str0m::crypto::from_feature_flags().install_process_default();
        let udp = UdpSocket::bind((local_address(to).await?, 0)).await?;
        let local = udp.local_addr()?;
        let mut rtc =
            RtcConfig::new().clear_codecs().enable_h264(true).enable_opus(true, false).build(Instant::now());
        rtc.add_local_candidate(Candidate::host(local, "udp")?);
        let mut api = rtc.sdp_api();
        let mut add =
            |has: bool, kind| has.then(|| api.add_media(kind, Direction::SendOnly, None, None, None));
        let audio = add(plan.has_audio(), MediaKind::Audio);
        let video = add(plan.has_video(), MediaKind::Video);
        let (offer, pending) = api.apply().context("nothing to publish")?;
        let request =
            http.post(to.clone()).bearer_auth(&args.key).header(header::CONTENT_TYPE, "application/sdp");
        let answer = request.body(offer.to_sdp_string()).send().await;
        let answer =
            answer.map_err(|error| anyhow!(error.without_url())).context("the server does not answer")?;
        if answer.status() != StatusCode::CREATED {
            return Err(refusal(answer).await);
        }
        let location = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        let resource = location.and_then(|location| answer.url().join(location).ok());
        let text = answer.text().await.context("the server's answer broke off")?;
        let answer = SdpAnswer::from_sdp_string(&text).context("the server's answer cannot be read")?;
        rtc.sdp_api().accept_answer(pending, answer).context("the server's answer does not fit")?;
        Ok(Self { rtc, udp, local, video, audio, resource, connected: false })
    }

    /// Sends what the source gives. The source begins with the first connection and goes on through later ones.
    async fn run(
        &mut self,
        args: &PublishArgs,
        plan: &Plan,
        source: &mut Option<Source>,
    ) -> anyhow::Result<End> {
        let mut buffer = vec![0; MAX_DATAGRAM];
        let patience = Instant::now() + PATIENCE;
        loop {
            let wake = self.drain()?;
            if !self.rtc.is_alive() {
                bail!("the connection to the server was lost");
            }
            if !self.connected && Instant::now() > patience {
                bail!("no connection to the server's UDP port: is a firewall in between?");
            }
            if self.connected && source.is_none() {
                *source = Some(Source::start(plan, args).await?);
            }
            let frame = async {
                match source.as_mut() {
                    Some(source) => source.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                received = self.udp.recv_from(&mut buffer) => {
                    let (length, from) = received?;
                    // What is no packet of ours to read is dropped.
                    if let Ok(contents) = buffer[..length].try_into() {
                        let receive =
                            Receive { proto: Protocol::Udp, source: from, destination: self.local, contents };
                        self.rtc.handle_input(Input::Receive(Instant::now(), receive))?;
                    }
                }
                () = tokio::time::sleep_until(wake.into()) => self.rtc.handle_input(Input::Timeout(Instant::now()))?,
                frame = frame => match frame {
                    // What comes before the connection stands is not kept.
                    Some(frame) if self.connected => self.send(frame)?,
                    Some(_) => {}
                    None => return Ok(End::SourceOver),
                },
            }
        }
    }

    /// Sends what is to be sent; returns when the library wants to be called again.
    fn drain(&mut self) -> anyhow::Result<Instant> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(at) => return Ok(at),
                // A full buffer is a network that loses: it is asked for again.
                Output::Transmit(transmit) => {
                    drop(self.udp.try_send_to(&transmit.contents, transmit.destination));
                }
                Output::Event(Event::Connected) => {
                    self.connected = true;
                    tracing::info!("connected");
                }
                Output::Event(Event::IceConnectionStateChange(IceConnectionState::Disconnected)) => {
                    self.rtc.disconnect();
                }
                Output::Event(_) => {}
            }
        }
    }

    fn send(&mut self, frame: Frame) -> anyhow::Result<()> {
        let now = Instant::now();
        let (mid, codec, time, data) = match frame {
            Frame::Video(at, nals) => {
                let picture: Vec<u8> =
                    nals.iter().flat_map(|nal| [&[0, 0, 0, 1], &nal[..]].concat()).collect();
                (self.video, Codec::H264, ticks(at, Frequency::NINETY_KHZ), picture)
            }
            Frame::Audio(at, packet) => {
                (self.audio, Codec::Opus, ticks(at, Frequency::FORTY_EIGHT_KHZ), packet.to_vec())
            }
        };
        let Some(writer) = mid.and_then(|mid| self.rtc.writer(mid)) else { return Ok(()) };
        let format = writer.payload_params().find(|params| params.spec().codec == codec);
        let Some(format) = format.map(str0m::format::PayloadParams::pt) else {
            bail!("the server does not take {codec:?}");
        };
        writer.write(format, now, time, data)?;
        Ok(())
    }

    /// Tells the server that it is over, as far as it listens.
    async fn leave(self, http: &reqwest::Client, key: &str) {
        if let Some(resource) = self.resource {
            drop(http.delete(resource).bearer_auth(key).send().await);
        }
    }
}

fn ticks(at: Duration, rate: Frequency) -> MediaTime {
    let ticks = at.as_nanos() * u128::from(rate.get()) / 1_000_000_000;
    MediaTime::new(u64::try_from(ticks).unwrap_or(u64::MAX), rate)
}

/// The address of this machine that leads to the server.
async fn local_address(to: &Url) -> anyhow::Result<IpAddr> {
    let host = to.host_str().context("--whip: no host in this address")?.trim_matches(['[', ']']);
    let port = to.port_or_known_default().unwrap_or(80);
    let mut found =
        tokio::net::lookup_host((host, port)).await.with_context(|| format!("{host} is not known"))?;
    let there = found.next().with_context(|| format!("{host} has no address"))?;
    let any: IpAddr = if there.is_ipv4() { [0, 0, 0, 0].into() } else { [0_u16; 8].into() };
    // Nothing is sent by this.
    let probe = UdpSocket::bind((any, 0)).await?;
    probe.connect(there).await.with_context(|| format!("no way to {there}"))?;
    Ok(probe.local_addr()?.ip())
}

/// What the server said no with.
async fn refusal(answer: reqwest::Response) -> anyhow::Error {
    let status = answer.status();
    let problem: Option<serde_json::Value> = answer.json().await.ok();
    let detail = problem.as_ref().and_then(|problem| problem["detail"].as_str());
    let words = detail.map_or_else(|| status.to_string(), |detail| format!("{detail} ({status})"));
    let words = format!("the server refuses: {words}");
    // 409 and 429 pass, as what is the server's own fault does.
    let passes =
        status.is_server_error() || matches!(status, StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS);
    if passes { anyhow!(words) } else { Hopeless(words).into() }
}
