//! ffmpeg as a foreign publisher.

use crate::foreign::Foreign;

/// Pictures without B-frames, as the documents tell people to send.
pub const X264: &str = "-c:v libx264 -preset ultrafast -tune zerolatency -g 50 -b:v 1500k -pix_fmt yuv420p";
/// AAC-LC at 44.1 kHz, so that the rate has to be changed as well.
pub const AAC: &str = "-c:a aac -b:a 128k -ar 44100 -ac 2";

const INPUTS: &str =
    "-re -f lavfi -i testsrc2=size=640x360:rate=25 -re -f lavfi -i sine=frequency=440:sample_rate=44100";

/// How to start it.
#[derive(Debug)]
pub struct Ffmpeg;

impl Ffmpeg {
    /// Publishes 25 moving pictures a second and a tone to an RTMP address, for as long as it lives.
    pub fn rtmp(url: &str, video: &str, audio: &str) -> anyhow::Result<Foreign> {
        Self::start(&format!("{INPUTS} {video} {audio} -f flv"), url)
    }

    /// The same to an SRT address.
    pub fn srt(url: &str, video: &str, audio: &str) -> anyhow::Result<Foreign> {
        Self::start(&format!("{INPUTS} {video} {audio} -f mpegts"), url)
    }

    /// Runs it with these words and `last` as the last one.
    pub fn start(words: &str, last: &str) -> anyhow::Result<Foreign> {
        let quietly = ["-hide_banner", "-loglevel", "warning"];
        Foreign::start("ffmpeg", "ffmpeg", quietly.into_iter().chain(words.split_whitespace()).chain([last]))
    }
}
