//! Publishing over RTMP and SRT: ffmpeg speaks both itself.

use std::{pin::Pin, time::Instant};

use anyhow::bail;

use super::{
    FIRST_WAIT, GOOD_SESSION, LONGEST_WAIT,
    args::PublishArgs,
    ffmpeg::Ffmpeg,
    recipe::{self, Recipe},
    source::Plan,
};

/// Publishes until the source is over or `stop` is ready; with `--retry`, again and again.
pub(super) async fn publish(
    args: &PublishArgs,
    plan: &Plan,
    to: &Muxed,
    mut stop: Pin<&mut impl Future<Output = ()>>,
) -> anyhow::Result<()> {
    let recipe = match plan {
        Plan::TestPicture => recipe::test_picture(args),
        Plan::File(path, facts) => recipe::file(args, path, facts),
        Plan::Live { .. } => bail!("--rtmp and --srt: RTP is published over FTL only"),
    };
    let outputs = outputs(&recipe);
    let address = to.address(&args.key);
    let mut wait = FIRST_WAIT;
    loop {
        let begun = Instant::now();
        tracing::info!("publishing to {}", to.url());
        let mut ffmpeg = Ffmpeg::start_muxed(&recipe.inputs, &outputs, to.format(), &address)?;
        let outcome = tokio::select! {
            outcome = ffmpeg.finished() => outcome,
            () = stop.as_mut() => return Ok(()),
        };
        let Err(error) = outcome else { return Ok(()) };
        // ffmpeg repeats the address, and the key with it.
        let error = format!("{error:#}").replace(&args.key, "KEY");
        if !args.retry {
            bail!("{error}");
        }
        if begun.elapsed() > GOOD_SESSION {
            wait = FIRST_WAIT;
        }
        tracing::warn!("{error}; trying again in {wait:.0?}");
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.as_mut() => return Ok(()),
        }
        wait = wait.mul_f64(1.5).min(LONGEST_WAIT);
    }
}

/// An address that takes both media together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Muxed {
    /// `rtmp://host/live`, the key becomes part of the path.
    Rtmp(String),
    /// `srt://host:8890`, the key becomes the stream id.
    Srt(String),
}

impl Muxed {
    fn url(&self) -> &str {
        match self {
            Self::Rtmp(url) | Self::Srt(url) => url,
        }
    }

    fn format(&self) -> &'static str {
        match self {
            Self::Rtmp(_) => "flv",
            Self::Srt(_) => "mpegts",
        }
    }

    fn address(&self, key: &str) -> String {
        match self {
            Self::Rtmp(url) => format!("{}/{key}", url.trim_end_matches('/')),
            Self::Srt(url) => {
                let mark = if url.contains('?') { '&' } else { '?' };
                format!("{url}{mark}streamid={key}")
            }
        }
    }
}

/// Both media in one file, in which neither is moved to fit the other.
fn outputs(recipe: &Recipe) -> Vec<String> {
    recipe.video.iter().chain(&recipe.audio).flatten().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_key_goes() {
        for (to, address) in [
            (Muxed::Rtmp("rtmp://host/live/".into()), "rtmp://host/live/7-x"),
            (Muxed::Srt("srt://host:8890".into()), "srt://host:8890?streamid=7-x"),
            (Muxed::Srt("srt://host:8890?latency=9".into()), "srt://host:8890?latency=9&streamid=7-x"),
        ] {
            assert_eq!(to.address("7-x"), address);
        }
    }

    #[test]
    fn sound_is_aac_and_pictures_are_without_b_frames() {
        let mut args = PublishArgs::test_picture("host".into(), 1, "7-x".into());
        args.rtmp = Some("rtmp://host/live".into());
        let outputs = outputs(&recipe::test_picture(&args)).join(" ");
        assert!(outputs.contains("-c:a aac") && outputs.contains("-bf 0"), "{outputs}");
        assert!(!outputs.contains("libopus"), "{outputs}");
    }
}
