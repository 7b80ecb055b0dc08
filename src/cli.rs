//! The command line.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::settings::{Options, Parts, Settings};
use crate::{key, load, logging, publish, serve};

#[derive(Debug, Parser)]
#[command(
    name = "heliograph",
    version,
    about = "Self-hosted, low-latency broadcast server",
    propagate_version = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything: FTL ingest, relay, signaling, web page
    Serve(ServeArgs),
    /// Run the publishers' side alone; it asks the relay for ports (--relay-url)
    Ingest(CommonArgs),
    /// Run relay, signaling and web page alone
    Relay(CommonArgs),
    /// Publish a test picture, a file or live RTP to an FTL server
    Publish(publish::PublishArgs),
    /// Load a server with thousands of viewers and measure what they get
    Load(load::LoadArgs),
    /// Manage channels and their keys
    #[command(subcommand)]
    Key(KeyCommand),
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Add a channel and print the stream key that OBS wants
    New {
        /// Name of the channel: letters, digits, `-` and `_`
        channel: String,
        #[command(flatten)]
        common: CommonArgs,
    },
}

#[derive(Debug, Args)]
struct CommonArgs {
    /// Settings file (TOML); heliograph.example.toml shows every setting
    #[arg(long, env = "HELIOGRAPH_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    options: Options,
    /// Ignored: start scripts of itg-webrtc end in the word `run`
    #[arg(hide = true)]
    compatibility: Vec<String>,
}

#[derive(Debug, Args)]
struct ServeArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// Publish a test picture to the channel `demo`, through the FTL door (needs ffmpeg)
    #[arg(long)]
    demo: bool,
}

impl CommonArgs {
    fn settings(self, parts: Parts) -> Result<Settings> {
        if let Some(word) = self.compatibility.iter().find(|word| *word != "run") {
            anyhow::bail!("unexpected argument '{word}'; `--help` lists the flags");
        }
        let mut options = self.options;
        options.fill_from_compatible(|name| std::env::var(name).ok()).map_err(anyhow::Error::msg)?;
        Settings::load(self.config.as_deref(), options, parts)
    }
}

/// Reads the command line and does what it says.
///
/// # Errors
/// Whatever keeps the command from doing its work, in words for the person who typed it.
pub(crate) fn run() -> Result<()> {
    match Cli::parse().command {
        Command::Serve(args) => serve::run(&args.common.settings(Parts::Serve)?, Parts::Serve, args.demo),
        Command::Ingest(common) => serve::run(&common.settings(Parts::Ingest)?, Parts::Ingest, false),
        Command::Relay(common) => serve::run(&common.settings(Parts::Relay)?, Parts::Relay, false),
        Command::Publish(args) => {
            logging::start("warn,heliograph=info", None)?;
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()?
                .block_on(publish::run(args))
        }
        Command::Load(args) => load::run(&args),
        Command::Key(KeyCommand::New { channel, common }) => {
            key::new(&common.settings(Parts::Serve)?, &channel)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// The flags that start scripts rely on, ours and those of itg-webrtc and itg-ingest.
    #[test]
    fn flags_that_scripts_rely_on_are_understood() {
        for line in [
            "serve --data D --addr ::1 --ws-port 1 --ftl-port 2 --control 127.0.0.1:3 --media-ports 4-5 --rtp-ports 6-7 \
             --ports 8-9 --ip 192.0.2.1 --ip example.org --workers 1 --keys K",
            "relay --addr localhost --ip none --ports 20000-20500 --ws-port 8080 --rtp-port 65535 --ice-servers none run",
            "relay --ssl-cert c --ssl-key k --rtp-addr 0.0.0.0",
            "ingest -a 0.0.0.0 -l ingest.log",
            "ingest --address 0.0.0.0 --log-file ingest.log",
            "serve --take-over --stream-api-open=false --demo",
        ] {
            Cli::try_parse_from(std::iter::once("heliograph").chain(line.split_whitespace()))
                .unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }
}
