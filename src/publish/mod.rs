//! `heliograph publish`: a publisher for the demo, for tests, and for people without OBS. Over FTL with the program's own
//! client, over RTMP and SRT with ffmpeg's, over WHIP with `str0m`.

mod args;
mod ffmpeg;
mod frames;
mod muxed;
mod recipe;
mod source;
mod whip;

use std::time::{Duration, Instant};

use heliograph_ingest::ftl::client::{
    Announce, ClientError, ClientSettings, FtlClient, MediaSettings, SpeedTestPlan, StreamKey,
};
use heliograph_media::Bitrate;

pub(crate) use self::args::PublishArgs;
use self::{
    frames::Frame,
    source::{Plan, Source},
};

/// First wait before another attempt, with `--retry`.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// Longest wait between attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(15);
/// A session this long makes the next wait short again.
const GOOD_SESSION: Duration = Duration::from_secs(30);

/// Publishes until the source is over, the server ends it, or a signal (SIGINT, SIGTERM) arrives.
///
/// # Errors
/// In words for the person who typed the command: flags, ffmpeg, and what the server's code means.
pub(crate) async fn run(args: PublishArgs) -> anyhow::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let stop = async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    };
    publish(args, stop).await
}

/// Publishes until `stop` is ready; says DISCONNECT then.
///
/// # Errors
/// See [`run`].
pub(crate) async fn publish(args: PublishArgs, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    args.check()?;
    let mut stop = std::pin::pin!(stop);
    let plan = tokio::select! {
        plan = Plan::make(&args) => plan?,
        () = &mut stop => return Ok(()),
    };
    if let Some(to) = args.muxed() {
        return muxed::publish(&args, &plan, &to, stop).await;
    }
    if let Some(to) = &args.whip {
        return whip::publish(&args, &plan, to, stop).await;
    }
    let settings = client_settings(&args, &plan)?;
    let mut source = None;
    let mut wait = FIRST_WAIT;
    loop {
        let begun = Instant::now();
        let error = match session(&args, &plan, settings.clone(), &mut source, stop.as_mut()).await? {
            End::Stopped => return Ok(()),
            End::SourceOver(source) => return source.outcome().await,
            End::Failed(error) => error,
        };
        if !args.retry || !error.is_worth_retrying() {
            return Err(anyhow::Error::msg(error.to_string()));
        }
        if begun.elapsed() > GOOD_SESSION {
            wait = FIRST_WAIT;
        }
        tracing::warn!("{error}; trying again in {:.0?}", wait);
        if idle(wait, source.as_mut(), stop.as_mut()).await {
            return Ok(());
        }
        wait = wait.mul_f64(1.5).min(LONGEST_WAIT);
    }
}

/// How one session ended.
enum End {
    Stopped,
    SourceOver(Source),
    Failed(std::sync::Arc<ClientError>),
}

/// One session from handshake to end. The source begins with the first session and goes on through the later
/// ones.
async fn session(
    args: &PublishArgs,
    plan: &Plan,
    settings: ClientSettings,
    source: &mut Option<Source>,
    mut stop: std::pin::Pin<&mut impl Future<Output = ()>>,
) -> anyhow::Result<End> {
    let connecting = FtlClient::connect(args.host(), args.port, settings);
    let connected = tokio::select! {
        connected = connecting => connected,
        () = swallow(source.as_mut()) => unreachable!("swallows for ever"),
        () = stop.as_mut() => return Ok(End::Stopped),
    };
    let client = match connected {
        Ok(client) => client,
        Err(error) => return Ok(End::Failed(error.into())),
    };
    tracing::info!("live on {}:{}; media goes to {}", args.host(), args.port, client.media_addr());
    if let Some(result) = client.speed_test() {
        tracing::info!("speed test: {} ({} of {} packets lost)", result.estimate, result.nacked, result.sent);
    }
    let mut running = match source.take() {
        Some(running) => running,
        None => Source::start(plan, args).await?,
    };
    loop {
        let frame = tokio::select! {
            frame = running.next() => frame,
            error = client.ended() => {
                *source = Some(running);
                return Ok(End::Failed(error));
            }
            () = stop.as_mut() => {
                summarise(client).await;
                return Ok(End::Stopped);
            }
        };
        let sent = match frame {
            Some(Frame::Video(time, nals)) => client.video(time, nals).await,
            Some(Frame::Audio(time, packet)) => client.audio(time, packet).await,
            None => {
                summarise(client).await;
                return Ok(End::SourceOver(running));
            }
        };
        if let Err(error) = sent {
            *source = Some(running);
            return Ok(End::Failed(error));
        }
    }
}

/// Waits while a running source goes on unheard; `true` when asked to stop.
async fn idle(
    wait: Duration,
    source: Option<&mut Source>,
    stop: std::pin::Pin<&mut impl Future<Output = ()>>,
) -> bool {
    tokio::select! {
        () = tokio::time::sleep(wait) => false,
        () = swallow(source) => false,
        () = stop => true,
    }
}

/// Takes a source's frames and drops them, for ever: it must not stand still while nobody is connected.
async fn swallow(source: Option<&mut Source>) {
    if let Some(source) = source {
        while source.next().await.is_some() {}
    }
    std::future::pending::<()>().await;
}

async fn summarise(client: FtlClient) {
    let stats = client.disconnect().await;
    tracing::info!(
        "sent {} video and {} audio packets; {} asked for again, {} sent again",
        stats.video_packets,
        stats.audio_packets,
        stats.nacked,
        stats.resent
    );
}

fn client_settings(args: &PublishArgs, plan: &Plan) -> anyhow::Result<ClientSettings> {
    let peak = args.peak.unwrap_or(args.bitrate.saturating_mul(3));
    Ok(ClientSettings {
        announce: Announce { video: plan.has_video(), audio: plan.has_audio(), ..Announce::default() },
        media: MediaSettings {
            peak: (peak > 0).then(|| Bitrate::kbps(peak.into())),
            lose_every: args.lose_every,
            ..MediaSettings::default()
        },
        speed_test: args.speed_test.then(SpeedTestPlan::default),
        ..ClientSettings::new(StreamKey::parse(&args.key)?)
    })
}
