//! GStreamer as a foreign publisher.

use crate::foreign::Foreign;

/// x264 as it stands in the documents.
pub const X264: &str = "x264enc tune=zerolatency speed-preset=ultrafast bframes=0 key-int-max=50 bitrate=1500 ! h264parse config-interval=-1";
/// Cisco's encoder: constrained baseline, several slices, a delimiter before each picture.
pub const OPENH264: &str =
    "openh264enc gop-size=50 bitrate=1500000 num-slices=2 slice-mode=n-slices ! h264parse config-interval=-1";
/// ffmpeg's AAC.
pub const AVENC_AAC: &str = "avenc_aac ! aacparse";
/// Another AAC.
pub const VOAACENC: &str = "voaacenc ! aacparse";
/// Opus, which MPEG-TS can carry.
pub const OPUS: &str = "opusenc";

/// How to start it.
#[derive(Debug)]
pub struct GStreamer;

impl GStreamer {
    /// Publishes 25 moving pictures a second and a tone to an RTMP address, for as long as it lives.
    pub fn rtmp(url: &str, video: &str, audio: &str) -> anyhow::Result<Foreign> {
        Self::start(video, audio, "flvmux streamable=true", &format!("rtmp2sink location={url}"))
    }

    /// The same to an SRT address, with the words that go behind it, such as `streamid=KEY`.
    pub fn srt(url: &str, words: &str, video: &str, audio: &str) -> anyhow::Result<Foreign> {
        Self::start(video, audio, "mpegtsmux alignment=7", &format!("srtsink uri={url} mode=caller {words}"))
    }

    fn start(video: &str, audio: &str, mux: &str, sink: &str) -> anyhow::Result<Foreign> {
        Self::run(&format!(
            "{mux} name=mux ! {sink} \
             videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=640,height=360,framerate=25/1 \
             ! {video} ! queue ! mux. \
             audiotestsrc is-live=true ! audio/x-raw,rate=44100 ! audioconvert ! audioresample ! {audio} ! queue ! mux."
        ))
    }

    /// Runs `gst-launch-1.0` with these words.
    pub fn run(words: &str) -> anyhow::Result<Foreign> {
        let packages =
            "gstreamer1.0-tools gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav";
        Foreign::start("gst-launch-1.0", packages, ["--quiet"].into_iter().chain(words.split_whitespace()))
    }
}
