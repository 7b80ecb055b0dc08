//! Publishes the pattern of `heliograph_tests::pattern`, and tells on standard output what a browser test must
//! know: one JSON object per line.

use std::{
    collections::VecDeque,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use bytes::Bytes;
use clap::Parser;
use heliograph_ingest::ftl::client::{ClientSettings, FtlClient, StreamKey};
use heliograph_tests::{
    encoder::{self, AudioOutput, RawInput, VideoPlan, due},
    pattern::{self, Painter, SAMPLE_RATE, Stamp},
    through::{Program, Through},
};
use tokio::{io::AsyncWriteExt as _, time::sleep_until};

/// Samples written at once: 10 ms, as sound cards deliver them.
const RUN: u32 = SAMPLE_RATE / 100;
/// Source times begin here, so that audio before the first picture has a time, too.
const SOURCE_ZERO: Duration = Duration::from_secs(10);

/// A publisher whose pictures and sounds a program can read.
#[derive(Debug, Parser)]
struct Args {
    /// FTL server
    #[arg(long, default_value = "127.0.0.1")]
    to: String,
    /// Its control port
    #[arg(long, default_value_t = 8084)]
    port: u16,
    /// Stream key
    #[arg(long, required_unless_present = "through")]
    key: Option<String>,
    /// Publish to this RTMP, SRT or WHIP address instead, through another program
    #[arg(long)]
    through: Option<String>,
    /// Which one
    #[arg(long, value_enum, default_value = "ffmpeg", requires = "through")]
    program: Program,
    /// Pixels across
    #[arg(long, default_value_t = 1280)]
    width: u32,
    /// Pixels down
    #[arg(long, default_value_t = 720)]
    height: u32,
    /// Pictures per second
    #[arg(long, default_value_t = 30)]
    fps: u32,
    /// Pictures from one keyframe to the next
    #[arg(long, default_value_t = 60)]
    keyint: u32,
    /// Video bitrate in kbit/s
    #[arg(long, default_value_t = 2500)]
    bitrate: u32,
    /// Noise in the pictures, up to so many steps of brightness, so that the bitrate is really used
    #[arg(long, default_value_t = 0)]
    grain: u8,
    /// Send pictures no sooner than the sound that goes with them, as OBS does; otherwise as soon as they are encoded
    #[arg(long)]
    interleave: bool,
    /// x264's name of the H.264 profile
    #[arg(long, default_value = "main")]
    profile: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let plan = VideoPlan {
        width: args.width,
        height: args.height,
        fps: args.fps,
        keyint: args.keyint,
        kbit: args.bitrate,
        profile: args.profile.clone(),
    };
    if let Some(url) = &args.through {
        return publish_through(&args, &plan, url).await;
    }
    let (mut raw_video, mut video) = encoder::video(&plan)?;
    let (mut raw_audio, mut audio) = encoder::audio()?;
    let key = StreamKey::parse(args.key.as_deref().context("--key")?)?;
    let client = FtlClient::connect(&args.to, args.port, ClientSettings::new(key)).await?;
    let begun = begin(&args);
    let draw = draw(&args, begun, &mut raw_video);
    let sound = async {
        for run in 0_u64.. {
            raw_audio.write(&samples(begun, run).await).await?;
        }
        anyhow::Ok(())
    };
    let send = async {
        let (mut announced, mut heard) = (false, false);
        let mut waiting = VecDeque::new();
        loop {
            tokio::select! {
                picture = video.next() => waiting.push_back(picture?),
                packet = audio.next() => {
                    let (time, packet) = packet?;
                    let time = SOURCE_ZERO + time - AudioOutput::LOOK_AHEAD;
                    heard = true;
                    if args.interleave {
                        send_pictures(&client, &mut waiting, Some(time)).await?;
                    }
                    client.audio(time, packet).await?;
                }
            }
            // The client drops pictures from before the first sound, and would then wait for the second keyframe.
            if !args.interleave && heard {
                send_pictures(&client, &mut waiting, None).await?;
            }
            if !announced && client.stats().video_packets > 0 {
                announced = true;
                say(r#"{"event":"live"}"#);
            }
        }
        #[expect(unreachable_code, reason = "gives the block its type")]
        anyhow::Ok(())
    };
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        outcome = draw => outcome.context("drawing")?,
        outcome = sound => outcome.context("sounding")?,
        outcome = send => outcome.context("sending")?,
        _ = terminate.recv() => {}
    }
    client.disconnect().await;
    Ok(())
}

/// Through a program that sends as it sees fit.
async fn publish_through(args: &Args, plan: &VideoPlan, url: &str) -> anyhow::Result<()> {
    let key = args.key.as_deref();
    let (mut raw_video, mut raw_audio, mut program) = Through::start(args.program, plan, url, key).await?;
    let begun = begin(args);
    let sound = async {
        for run in 0_u64.. {
            // What the program does with it is out of sight; after two seconds the server has it for sure.
            if run == 2 * u64::from(SAMPLE_RATE / RUN) {
                say(r#"{"event":"live"}"#);
            }
            raw_audio.write_all(&samples(begun, run).await).await?;
        }
        anyhow::Ok(())
    };
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        outcome = draw(args, begun, &mut raw_video) => outcome.context("drawing"),
        outcome = sound => outcome.context("sounding"),
        outcome = program.ended() => outcome,
        _ = terminate.recv() => Ok(()),
    }
}

/// Both media begin at one instant: the next whole second that leaves time to start.
fn begin(args: &Args) -> Instant {
    let wall = wall();
    let start_wall = Duration::from_secs(wall.as_secs() + 2);
    say(&format!(
        r#"{{"event":"start","startMs":{},"keyframeIntervalMs":{}}}"#,
        start_wall.as_millis(),
        f64::from(args.keyint) * 1000.0 / f64::from(args.fps)
    ));
    Instant::now() + (start_wall - wall)
}

/// Draws picture after picture when its time has come.
async fn draw(args: &Args, begun: Instant, raw_video: &mut RawInput) -> anyhow::Result<()> {
    let mut painter = Painter::new(args.width, args.height, args.grain);
    for number in 0_u64.. {
        sleep_until(due(begun, number, args.fps).into()).await;
        let millis = number * 1000 / u64::from(args.fps);
        let stamp = Stamp { wall_ms: wall_ms(), number: (number & 0xff_ffff) as u32 };
        raw_video.write(painter.draw(stamp, pattern::flashes(millis))).await?;
    }
    Ok(())
}

/// The samples of one run. They exist when their time is over.
async fn samples(begun: Instant, run: u64) -> Vec<u8> {
    sleep_until(due(begun, run + 1, SAMPLE_RATE / RUN).into()).await;
    pattern::samples(run * u64::from(RUN), RUN as usize)
}

/// Sends the pictures up to a time; all of them without one.
async fn send_pictures(
    client: &FtlClient,
    waiting: &mut VecDeque<(Duration, Vec<Bytes>)>,
    until: Option<Duration>,
) -> anyhow::Result<()> {
    let due = |time: Duration| until.is_none_or(|until| SOURCE_ZERO + time <= until);
    while waiting.front().is_some_and(|(time, _)| due(*time)) {
        let Some((time, nals)) = waiting.pop_front() else { break };
        client.video(SOURCE_ZERO + time, nals).await?;
    }
    Ok(())
}

fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn wall_ms() -> u64 {
    u64::try_from(wall().as_millis()).unwrap_or(u64::MAX)
}

#[expect(clippy::print_stdout, reason = "what this program is for")]
fn say(line: &str) {
    println!("{line}");
}
