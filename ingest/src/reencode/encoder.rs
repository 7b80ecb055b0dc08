//! Which of ffmpeg's H.264 encoders works on this machine.

use std::{io, process::Stdio, time::Duration};

use tokio::time::timeout;

use super::{Failure, Reencoders};

/// One of ffmpeg's encoders, with words that make it quick: no B-frames, no look-ahead, nothing kept back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Encoder {
    /// As ffmpeg calls it.
    pub(super) name: &'static str,
    /// What stands before the inputs.
    pub(super) device: &'static str,
    pub(super) options: &'static str,
}

/// Hardware first. A constant quality where the encoder knows one, and a bound that viewers' lines bear.
const CANDIDATES: &[Encoder] = &[
    Encoder {
        name: "h264_nvenc",
        device: "",
        options: "-preset p3 -tune ull -zerolatency 1 -delay 0 -forced-idr 1 -profile:v main -bf 0 -rc vbr -cq 25 \
                  -maxrate 6000k -bufsize 1500k -pix_fmt yuv420p",
    },
    Encoder {
        name: "h264_vaapi",
        device: "-vaapi_device /dev/dri/renderD128",
        options: "-vf format=nv12,hwupload -async_depth 1 -profile:v main -bf 0 -b:v 4000k -maxrate 6000k -bufsize 1500k",
    },
    Encoder {
        name: "h264_qsv",
        device: "",
        options: "-preset veryfast -async_depth 1 -forced_idr 1 -profile:v main -bf 0 -b:v 4000k -maxrate 6000k \
                  -bufsize 1500k -pix_fmt nv12",
    },
    Encoder { name: "h264_v4l2m2m", device: "", options: "-g 60 -b:v 4000k -pix_fmt yuv420p" },
    Encoder {
        name: "libx264",
        device: "",
        options: "-preset veryfast -tune zerolatency -profile:v main -bf 0 -crf 23 -maxrate 6000k -bufsize 1500k \
                  -threads 4 -pix_fmt yuv420p",
    },
];

/// Tries them, best first.
pub(super) async fn find(reencoders: &Reencoders) -> Result<Encoder, Failure> {
    for &candidate in CANDIDATES {
        match works(reencoders, candidate).await {
            Ok(true) => {
                tracing::info!(encoder = candidate.name, "pictures with B-frames will be encoded anew");
                return Ok(candidate);
            }
            Ok(false) => tracing::debug!(encoder = candidate.name, "does not work here"),
            Err(error) => {
                let failure = match error.kind() {
                    io::ErrorKind::NotFound => Failure::NotInstalled,
                    _ => Failure::NotStarted(error.to_string()),
                };
                tracing::warn!(%failure, "B-frames cannot be taken out of pictures");
                return Err(failure);
            }
        }
    }
    tracing::warn!(failure = %Failure::NoEncoder, "B-frames cannot be taken out of pictures");
    Err(Failure::NoEncoder)
}

async fn works(reencoders: &Reencoders, encoder: Encoder) -> io::Result<bool> {
    let mut command = reencoders.command();
    command
        .args(encoder.device.split_whitespace())
        .args("-f lavfi -i color=c=black:s=640x360:r=30 -frames:v 3 -c:v".split(' '))
        .arg(encoder.name)
        .args(encoder.options.split_whitespace())
        .args(["-f", "null", "-"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn()?;
    // One whose driver hangs does not work.
    Ok(timeout(PATIENCE, child.wait()).await.is_ok_and(|ended| ended.is_ok_and(|status| status.success())))
}

const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_has_no_ffmpeg_is_told_so() {
        let missing = Reencoders::of("no-such-program", 1, |_| {});
        assert_eq!(missing.encoder().await, Err(Failure::NotInstalled));
        let useless = Reencoders::of("false", 1, |_| {});
        assert_eq!(useless.encoder().await, Err(Failure::NoEncoder));
    }
}
