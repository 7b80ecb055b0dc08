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
    let secret = to.secret(&args.key);
    let mut wait = FIRST_WAIT;
    loop {
        let begun = Instant::now();
        tracing::info!("publishing to {}", to.url());
        let mut ffmpeg =
            Ffmpeg::start_muxed(&recipe.inputs, &outputs, to.format(), &secret, to.url()).await?;
        let outcome = tokio::select! {
            outcome = ffmpeg.finished() => outcome,
            () = stop.as_mut() => return Ok(()),
        };
        let Err(error) = outcome else { return Ok(()) };
        // Whatever ffmpeg repeats.
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
    /// `rtmp://host/live`, the key is what is published.
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

    /// ffmpeg's option for the key.
    fn secret(&self, key: &str) -> String {
        match self {
            Self::Rtmp(_) => format!("rtmp_playpath={key}"),
            Self::Srt(_) => format!("srt_streamid={key}"),
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
    fn sound_is_aac_and_pictures_are_without_b_frames() {
        let mut args = PublishArgs::test_picture("host".into(), 1, "7-x".into());
        args.rtmp = Some("rtmp://host/live".into());
        let outputs = outputs(&recipe::test_picture(&args)).join(" ");
        assert!(outputs.contains("-c:a aac") && outputs.contains("-bf 0"), "{outputs}");
        assert!(!outputs.contains("libopus"), "{outputs}");
    }
}
