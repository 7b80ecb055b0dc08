//! The flags of `heliograph publish`.

use std::{num::NonZeroU16, path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, ValueEnum};

use super::muxed::Muxed;

/// Publish a test picture, a file or live RTP over FTL or WHIP, or the first two over RTMP or SRT.
#[derive(Debug, Clone, Args)]
#[command(group(clap::ArgGroup::new("source").required(true).multiple(true).args(["test_picture", "file", "rtp_video", "rtp_audio"])))]
pub(crate) struct PublishArgs {
    /// Host name or address of the FTL server
    #[arg(long, value_name = "HOST", required_unless_present_any = ["rtmp", "srt", "whip"], conflicts_with_all = ["rtmp", "srt", "whip"])]
    pub(crate) to: Option<String>,
    /// Publish over RTMP instead, to an address such as rtmp://host/live (or rtmps://); the key is appended
    #[arg(long, value_name = "URL", conflicts_with_all = ["rtp_video", "rtp_audio", "peak", "speed_test", "lose_every"])]
    pub(crate) rtmp: Option<String>,
    /// Publish over SRT instead, to an address such as srt://host:8890; the key becomes the stream id
    #[arg(long, value_name = "URL", conflicts_with_all = ["rtmp", "rtp_video", "rtp_audio", "peak", "speed_test", "lose_every"])]
    pub(crate) srt: Option<String>,
    /// Publish over WHIP instead, to an address such as http://host:8080/whip/CHANNEL (or https://)
    #[arg(long, value_name = "URL", conflicts_with_all = ["rtmp", "srt", "peak", "speed_test", "lose_every"])]
    pub(crate) whip: Option<String>,
    /// Its control port
    #[arg(long, default_value_t = 8084, value_name = "PORT")]
    pub(crate) port: u16,
    /// Stream key, as printed by `heliograph key new`; better given in the environment, where `ps` does not show it
    #[arg(long, env = "HELIOGRAPH_STREAM_KEY", hide_env_values = true, value_name = "ID-SECRET")]
    pub(crate) key: String,

    /// Colour bars with a running clock, and a tone
    #[arg(long, conflicts_with_all = ["file", "rtp_video", "rtp_audio"])]
    pub(crate) test_picture: bool,
    /// A media file; H.264 without B-frames and Opus are sent as they are, anything else is encoded anew
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rtp_video", "rtp_audio"])]
    pub(crate) file: Option<PathBuf>,
    /// Begin the file again when it is over
    #[arg(long = "loop", requires = "file", conflicts_with_all = ["test_picture", "rtp_video", "rtp_audio"])]
    pub(crate) repeat: bool,
    /// Take H.264 as RTP on this loopback UDP port, for example from `ffmpeg -f rtp rtp://127.0.0.1:PORT`
    #[arg(long, value_name = "PORT")]
    pub(crate) rtp_video: Option<NonZeroU16>,
    /// Take Opus as RTP on this loopback UDP port
    #[arg(long, value_name = "PORT")]
    pub(crate) rtp_audio: Option<NonZeroU16>,

    /// Picture size; files keep theirs unless this is given
    #[arg(long, value_name = "WIDTHxHEIGHT")]
    pub(crate) size: Option<PictureSize>,
    /// Pictures per second; files keep theirs unless this is given
    #[arg(long, value_name = "FPS")]
    pub(crate) fps: Option<u32>,
    /// Seconds from one keyframe to the next
    #[arg(long, default_value_t = 2.0, value_name = "SECONDS")]
    pub(crate) keyint: f64,
    /// Video bitrate in kbit/s
    #[arg(long, default_value_t = 2500, value_name = "KBIT")]
    pub(crate) bitrate: u32,
    /// Audio bitrate in kbit/s
    #[arg(long, default_value_t = 128, value_name = "KBIT")]
    pub(crate) audio_bitrate: u32,
    /// H.264 profile
    #[arg(long, value_enum, default_value_t = H264Profile::Main)]
    pub(crate) profile: H264Profile,
    /// Peak rate in kbit/s at which a keyframe is sent, 0 for all at once [default: 3 times the bitrate]
    #[arg(long, value_name = "KBIT")]
    pub(crate) peak: Option<u32>,
    /// Measure the uplink first, as OBS does on every connect
    #[arg(long)]
    pub(crate) speed_test: bool,
    /// Connect again when the session fails or ends, waiting 2 s at first and 15 s at most
    #[arg(long)]
    pub(crate) retry: bool,
    /// Leave out every n-th packet's first transmission, to rehearse a lossy uplink
    #[arg(long, hide = true, value_name = "N")]
    pub(crate) lose_every: Option<u32>,
}

impl PublishArgs {
    /// The test picture with everything at its default, reconnecting for ever.
    pub(crate) fn test_picture(to: String, port: u16, key: String) -> Self {
        Self {
            to: Some(to),
            rtmp: None,
            srt: None,
            whip: None,
            port,
            key,
            test_picture: true,
            file: None,
            repeat: false,
            rtp_video: None,
            rtp_audio: None,
            size: None,
            fps: None,
            keyint: 2.0,
            bitrate: 2500,
            audio_bitrate: 128,
            profile: H264Profile::Main,
            peak: None,
            speed_test: false,
            retry: true,
            lose_every: None,
        }
    }

    /// Where both media go together, unless it is FTL.
    pub(crate) fn muxed(&self) -> Option<Muxed> {
        let rtmp = self.rtmp.clone().map(Muxed::Rtmp);
        rtmp.or_else(|| self.srt.clone().map(Muxed::Srt))
    }

    /// The FTL server.
    pub(crate) fn host(&self) -> &str {
        self.to.as_deref().unwrap_or_default()
    }

    /// Whether the numbers make sense, with the flag's name when they do not.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.keyint.is_finite() && (0.1..=60.0).contains(&self.keyint),
            "--keyint: 0.1 to 60 seconds"
        );
        anyhow::ensure!((50..=100_000).contains(&self.bitrate), "--bitrate: 50 to 100000 kbit/s");
        anyhow::ensure!((6..=510).contains(&self.audio_bitrate), "--audio-bitrate: 6 to 510 kbit/s");
        anyhow::ensure!(self.fps.is_none_or(|fps| (1..=240).contains(&fps)), "--fps: 1 to 240");
        Ok(())
    }

    /// Time from one keyframe to the next.
    pub(crate) fn keyframe_interval(&self) -> Duration {
        Duration::from_secs_f64(self.keyint)
    }
}

/// Constrained baseline plays everywhere; main is what OBS is usually set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum H264Profile {
    /// Constrained baseline
    Baseline,
    /// Main, without B-frames
    Main,
}

impl H264Profile {
    /// As x264 names it.
    pub(crate) fn x264_name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Main => "main",
        }
    }
}

/// Width and height in pixels, both even.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PictureSize {
    /// Pixels across.
    pub(crate) width: u32,
    /// Pixels down.
    pub(crate) height: u32,
}

impl FromStr for PictureSize {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (width, height) = text.split_once('x').ok_or("expected WIDTHxHEIGHT, for example 1280x720")?;
        let side = |digits: &str| {
            digits.parse::<u32>().ok().filter(|side| (16..=8192).contains(side) && side % 2 == 0)
        };
        match (side(width), side(height)) {
            (Some(width), Some(height)) => Ok(Self { width, height }),
            _ => Err("width and height must be even numbers from 16 to 8192"),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        publish: PublishArgs,
    }

    fn parse(line: &str) -> Result<PublishArgs, String> {
        let words = ["publish", "--to", "::1", "--key", "7-x"].into_iter().chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.publish).map_err(|error| error.to_string())
    }

    #[test]
    fn one_way_to_one_server() {
        let parse = |line: &str| {
            Line::try_parse_from(
                ["publish", "--key", "7-x", "--test-picture"].into_iter().chain(line.split(' ')),
            )
        };
        assert!(parse("--to host").is_ok() && parse("--rtmp rtmp://host/live").is_ok());
        assert!(parse("--to host --rtmp rtmp://host/live").is_err() && parse("--loop").is_err());
        assert!(parse("--rtmp rtmp://host/live --speed-test").is_err());
        assert!(parse("--whip http://host/whip").is_ok() && parse("--whip http://host --to host").is_err());
        assert!(parse("--srt srt://host:8890").is_ok() && parse("--srt srt://host --to host").is_err());
    }

    #[test]
    fn exactly_one_kind_of_source() {
        for line in
            ["--test-picture", "--file a.mkv --loop", "--rtp-video 5004", "--rtp-video 5004 --rtp-audio 5006"]
        {
            parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
        for line in [
            "",
            "--loop",
            "--test-picture --file a.mkv",
            "--file a --rtp-audio 5006",
            "--test-picture --loop",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn numbers_out_of_range_name_their_flag() {
        for (line, flag) in [("--keyint 0", "--keyint"), ("--bitrate 1", "--bitrate"), ("--fps 0", "--fps")] {
            let args = parse(&format!("--test-picture {line}")).expect("parses");
            let error = args.check().expect_err(line).to_string();
            assert!(error.starts_with(flag), "{error}");
        }
        assert!(parse("--test-picture --size 1281x720").is_err());
        assert!(parse("--test-picture --size 1920x1080").is_ok());
    }
}
