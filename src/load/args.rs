//! The flags of `heliograph load`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use heliograph_load::{LoadSettings, MeterSettings, PublishSettings, Targets, TransportMix};

/// Load a server with thousands of viewers and measure what they get.
#[derive(Debug, Clone, Args)]
pub(crate) struct LoadArgs {
    /// The server's address
    #[arg(default_value = "http://127.0.0.1:8080", value_name = "URL")]
    url: String,

    /// Watch this channel; give several, or a list with commas, to spread viewers evenly [default: all that is live]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    channel: Vec<String>,
    /// Watch the stream of this RTP port
    #[arg(long, value_name = "PORT", conflicts_with = "channel")]
    port: Option<u16>,

    /// Viewers in all
    #[arg(long, default_value_t = 100, value_name = "N")]
    viewers: usize,
    /// Joins per second
    #[arg(long, default_value_t = 100.0, value_name = "PER-SECOND")]
    ramp: f64,
    /// How long it is measured after all have joined
    #[arg(long, default_value_t = 20.0, value_name = "SECONDS")]
    hold: f64,
    /// How viewers signal; `both` by turns
    #[arg(long, value_enum, default_value_t = Transport::Whep)]
    transport: Transport,
    /// Every viewer is a complete receiver: decrypts, reports reception, asks for what is missing
    #[arg(long)]
    feedback: bool,
    /// Viewers that decrypt and check everything, at least one for each of the first 64 streams
    #[arg(long, default_value_t = 4, value_name = "N")]
    probes: usize,
    /// Percent of received media packets that each viewer drops
    #[arg(long, default_value_t = 0.0, value_name = "PERCENT")]
    loss: f64,
    /// Of the viewers, how many stop reading for stretches of 2 s
    #[arg(long, default_value_t = 0, value_name = "N")]
    slow: usize,
    /// Viewers per second that leave and are replaced while it is measured
    #[arg(long, default_value_t = 0.0, value_name = "PER-SECOND")]
    churn: f64,

    /// Publish streams of our own, and watch those (the server must run on this machine)
    #[arg(long, conflicts_with_all = ["channel", "port"])]
    publish: bool,
    /// The server's allocation API, for --publish
    #[arg(long, default_value = "http://127.0.0.1:8081", value_name = "URL")]
    control: String,
    /// How many streams, for --publish
    #[arg(long, default_value_t = 1, value_name = "N")]
    streams: usize,
    /// Video bitrate of each in kbit/s, for --publish
    #[arg(long, default_value_t = 2500, value_name = "KBIT")]
    bitrate: u32,
    /// Seconds from one keyframe to the next, for --publish
    #[arg(long, default_value_t = 2.0, value_name = "SECONDS")]
    keyframe_interval: f64,
    /// Seconds from the begin of publishing to the first viewer
    #[arg(long, default_value_t = 3.0, value_name = "SECONDS")]
    warm_up: f64,

    /// Read the server's processor time and memory from the kernel
    #[arg(long, value_name = "PID", conflicts_with = "metrics")]
    server_pid: Option<u32>,
    /// Read the server's processor time and memory from its metrics, such as http://127.0.0.1:9090/metrics
    #[arg(long, value_name = "URL")]
    metrics: Option<String>,

    /// Threads that read viewers' sockets
    #[arg(long, default_value_t = 1, value_name = "N")]
    threads: usize,
    /// Joins under way at once; a server refuses more than 50 from one address by default
    #[arg(long, default_value_t = 40, value_name = "N")]
    concurrency: usize,
    /// Take datagrams one by one from the kernel, as on a network card without offload
    #[arg(long)]
    no_gro: bool,
    /// Seed of all chance
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Aim at another machine than this one; only at servers that you run
    #[arg(long)]
    allow_remote: bool,

    /// Write a page with plots
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// See [`TransportMix`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Transport {
    /// WHEP alone
    Whep,
    /// The server's WebSocket alone
    Websocket,
    /// By turns
    Both,
}

impl LoadArgs {
    /// The settings that were meant.
    ///
    /// # Errors
    /// When a number of seconds is none; everything else is checked by the run itself.
    pub(crate) fn settings(&self) -> anyhow::Result<LoadSettings> {
        let seconds = |flag: &str, value: f64| {
            Duration::try_from_secs_f64(value).map_err(|_| anyhow::anyhow!("{flag}: a number of seconds"))
        };
        let keyframe_interval = seconds("--keyframe-interval", self.keyframe_interval)?;
        Ok(LoadSettings {
            url: self.url.clone(),
            targets: match self.port {
                Some(port) => Targets::Port(port),
                None if self.channel.is_empty() => Targets::All,
                None => Targets::Channels(self.channel.clone()),
            },
            publish: self.publish.then(|| PublishSettings {
                control: self.control.clone(),
                streams: self.streams,
                bitrate_kbit: self.bitrate,
                keyframe_interval,
            }),
            transport: match self.transport {
                Transport::Whep => TransportMix::Whep,
                Transport::Websocket => TransportMix::WebSocket,
                Transport::Both => TransportMix::Both,
            },
            viewers: self.viewers,
            ramp: self.ramp,
            hold: seconds("--hold", self.hold)?,
            loss: self.loss,
            slow: self.slow,
            churn: self.churn,
            probes: self.probes,
            feedback: self.feedback,
            threads: self.threads,
            concurrency: self.concurrency,
            receive_offload: !self.no_gro,
            meter: match (&self.metrics, self.server_pid) {
                (Some(url), _) => MeterSettings::Metrics(url.clone()),
                (None, Some(pid)) => MeterSettings::Pid(pid),
                (None, None) => MeterSettings::None,
            },
            warm_up: seconds("--warm-up", self.warm_up)?,
            allow_remote: self.allow_remote,
            seed: self.seed,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        load: LoadArgs,
    }

    fn parse(line: &str) -> anyhow::Result<LoadSettings> {
        let words = std::iter::once("load").chain(line.split_whitespace());
        Line::try_parse_from(words)?.load.settings()
    }

    #[test]
    fn a_bare_command_is_a_small_run() {
        let settings = parse("").expect("parses");
        settings.check().expect("makes sense");
        assert_eq!((settings.viewers, settings.targets), (100, Targets::All));
        assert!(settings.publish.is_none() && !settings.allow_remote && settings.receive_offload);
    }

    #[test]
    fn channels_come_one_by_one_or_as_a_list() {
        for line in ["--channel a --channel b,c", "--channel a,b,c"] {
            let names = ["a", "b", "c"].map(str::to_owned).to_vec();
            assert_eq!(parse(line).expect(line).targets, Targets::Channels(names));
        }
        assert_eq!(parse("--port 24000").expect("parses").targets, Targets::Port(24_000));
    }

    #[test]
    fn a_benchmark_line() {
        let line = "http://127.0.0.1:9000 --publish --control http://127.0.0.1:9001 --streams 50 --viewers 500 --ramp 300 \
            --hold 10 --transport both --server-pid 77 --bitrate 2600 --keyframe-interval 1.5 --loss 2 --feedback";
        let settings = parse(line).expect("parses");
        settings.check().expect("makes sense");
        let publish = settings.publish.expect("publishes");
        assert_eq!((publish.streams, publish.bitrate_kbit), (50, 2600));
        assert_eq!(publish.keyframe_interval, Duration::from_millis(1500));
        assert_eq!(settings.transport, TransportMix::Both);
        assert_eq!(settings.meter, MeterSettings::Pid(77));
        assert!(settings.feedback);
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for line in [
            "--publish --channel a",
            "--publish --port 1",
            "--port 1 --channel a",
            "--server-pid 1 --metrics http://x",
            "--hold=-1",
            "--keyframe-interval nan",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
