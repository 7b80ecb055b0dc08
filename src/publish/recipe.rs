//! What ffmpeg is asked to do for each source.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;

use super::{
    args::{PictureSize, PublishArgs},
    ffmpeg::{FileFacts, OutputArgs, StreamFacts},
};

/// Where Debian, Fedora, Arch and macOS keep a font for the clock.
const FONTS: [&str; 5] = [
    "/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf",
    "/usr/share/fonts/dejavu-sans-mono-fonts/DejaVuSansMono.ttf",
    "/usr/share/fonts/TTF/DejaVuSansMono.ttf",
    "/usr/share/fonts/dejavu/DejaVuSansMono.ttf",
    "/System/Library/Fonts/Menlo.ttc",
];
/// libopus starts with this much of look-ahead: the first packet stands before the first sample.
const OPUS_LOOK_AHEAD: Duration = Duration::from_nanos(312 * 1_000_000_000 / 48_000);
/// Where the source's first instant is put on the common clock, so that nothing is before zero.
const FIRST_INSTANT: Duration = Duration::from_secs(10);

/// A command line, and when the first packet of each medium is due on the common clock.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Recipe {
    pub(super) inputs: Vec<String>,
    pub(super) video: Option<OutputArgs>,
    pub(super) audio: Option<OutputArgs>,
    pub(super) video_start: Duration,
    pub(super) audio_start: Duration,
    /// Parameter sets of video that is copied: containers keep them in their header, away from the keyframes.
    pub(super) parameters: Vec<Bytes>,
}

/// Colour bars with a clock (milliseconds of the local time, drawn when the frame is made) and a tone.
pub(super) fn test_picture(args: &PublishArgs) -> Recipe {
    let size = args.size.unwrap_or(PictureSize { width: 1280, height: 720 });
    let fps = args.fps.unwrap_or(30);
    let picture = format!("testsrc2=size={}x{}:rate={fps}{}", size.width, size.height, clock(size, font()));
    let inputs = words(&["-re", "-f", "lavfi", "-i", &picture])
        .into_iter()
        .chain(words(&[
            "-re",
            "-f",
            "lavfi",
            "-i",
            "sine=frequency=440:beep_factor=4:sample_rate=48000,volume=0.5",
        ]))
        .collect();
    let mut video = words(&["-map", "0:v:0"]);
    video.extend(x264(args, fps.into()));
    let mut audio = words(&["-map", "1:a:0"]);
    audio.extend(sound(args));
    Recipe {
        inputs,
        video: Some(video),
        audio: Some(audio),
        video_start: FIRST_INSTANT,
        audio_start: FIRST_INSTANT - OPUS_LOOK_AHEAD,
        parameters: Vec::new(),
    }
}

/// A file at its own pace: H.264 without B-frames and Opus (AAC over RTMP) as they are, anything else encoded anew.
pub(super) fn file(args: &PublishArgs, file: &Path, facts: &FileFacts) -> Recipe {
    let mut inputs = Vec::new();
    if args.repeat {
        inputs.extend(words(&["-stream_loop", "-1"]));
    }
    inputs.extend(words(&["-re", "-i"]));
    inputs.push(file.to_string_lossy().into_owned());
    let copies_video = |facts: &StreamFacts| {
        facts.codec == "h264" && facts.reorder == 0 && args.size.is_none() && args.fps.is_none()
    };
    let video = facts.video.as_ref().map(|facts| {
        let mut video = words(&["-map", "0:v:0"]);
        if copies_video(facts) {
            video.extend(words(&["-c:v", "copy"]));
        } else {
            if let Some(size) = args.size {
                video.extend(words(&["-vf", &format!("scale={}:{}", size.width, size.height)]));
            }
            if let Some(fps) = args.fps {
                video.extend(words(&["-r", &fps.to_string()]));
            }
            video.extend(x264(args, f64::from(args.fps.unwrap_or(60))));
        }
        video
    });
    let fits = if args.muxed().is_some() { "aac" } else { "opus" };
    let copies_audio = facts.audio.as_ref().is_some_and(|facts| facts.codec == fits);
    let audio = facts.audio.as_ref().map(|_| {
        let mut audio = words(&["-map", "0:a:0"]);
        audio.extend(if copies_audio { words(&["-c:a", "copy"]) } else { sound(args) });
        audio
    });
    let start = |facts: Option<&StreamFacts>| {
        let seconds = FIRST_INSTANT.as_secs_f64() + facts.map_or(0.0, |facts| facts.start);
        Duration::try_from_secs_f64(seconds).unwrap_or(FIRST_INSTANT)
    };
    let audio_start = start(facts.audio.as_ref());
    Recipe {
        inputs,
        video,
        audio,
        video_start: start(facts.video.as_ref()),
        audio_start: if copies_audio { audio_start } else { audio_start.saturating_sub(OPUS_LOOK_AHEAD) },
        parameters: facts.parameters.clone(),
    }
}

/// x264 without B-frames and look-ahead, with a bounded bitrate and a fixed keyframe interval.
fn x264(args: &PublishArgs, fps: f64) -> Vec<String> {
    let rate = format!("{}k", args.bitrate);
    let seconds = args.keyframe_interval().as_secs_f64();
    // Half a second of buffer: keyframes may be a good deal larger than other pictures.
    let buffer = format!("{}k", args.bitrate / 2);
    let mut x264 = words(&["-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency"]);
    x264.extend(words(&["-profile:v", args.profile.x264_name(), "-pix_fmt", "yuv420p", "-bf", "0"]));
    x264.extend(words(&["-b:v", &rate, "-maxrate", &rate, "-bufsize", &buffer]));
    // By time and not by pictures: the rate of a file may be anything.
    x264.extend(words(&["-force_key_frames", &format!("expr:gte(t,n_forced*{seconds})")]));
    x264.extend(words(&["-g", &format!("{:.0}", (seconds * fps).max(1.0) * 4.0), "-sc_threshold", "0"]));
    x264
}

/// Opus over FTL; RTMP as most speak it has AAC.
fn sound(args: &PublishArgs) -> Vec<String> {
    if args.muxed().is_some() {
        return words(&[
            "-c:a",
            "aac",
            "-ar",
            "48000",
            "-ac",
            "2",
            "-b:a",
            &format!("{}k", args.audio_bitrate),
        ]);
    }
    let rate = format!("{}k", args.audio_bitrate);
    words(&["-c:a", "libopus", "-ar", "48000", "-ac", "2", "-b:a", &rate, "-frame_duration", "20"])
}

/// The drawtext filter, with a leading comma; empty without a font.
fn clock(size: PictureSize, font: Option<PathBuf>) -> String {
    let Some(font) = font else { return String::new() };
    let height = size.height / 8;
    format!(
        ",drawtext=fontfile={}:text='%{{localtime\\:%H\\\\\\:%M\\\\\\:%S.%3N}}':fontsize={height}:fontcolor=white:\
         box=1:boxborderw={}:boxcolor=black@0.7:x=(w-tw)/2:y={height}",
        font.display(),
        height / 4,
    )
}

fn font() -> Option<PathBuf> {
    let font = FONTS.iter().map(PathBuf::from).find(|path| path.exists());
    if font.is_none() {
        tracing::warn!("no DejaVu font found (fonts-dejavu-core): the test picture has no clock");
    }
    font
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(codec: &str, reorder: u64, start: f64) -> Option<StreamFacts> {
        Some(StreamFacts { codec: codec.into(), reorder, start })
    }

    fn recipe(facts: &FileFacts) -> Recipe {
        file(&PublishArgs::test_picture("host".into(), 1, "7-x".into()), Path::new("a.mkv"), facts)
    }

    fn has(args: Option<&OutputArgs>, word: &str) -> bool {
        args.is_some_and(|args| args.iter().any(|arg| arg == word))
    }

    #[test]
    fn what_fits_is_copied_and_the_rest_encoded() {
        for (video, audio, copies_video, copies_audio) in [
            (facts("h264", 0, 0.0), facts("opus", 0, 0.0), true, true),
            (facts("h264", 2, 0.0), facts("aac", 0, 0.0), false, false),
            (facts("vp9", 0, 0.0), facts("opus", 0, 0.0), false, true),
        ] {
            let recipe = recipe(&FileFacts { video, audio, ..FileFacts::default() });
            assert_eq!(has(recipe.video.as_ref(), "copy"), copies_video);
            assert_eq!(has(recipe.audio.as_ref(), "copy"), copies_audio);
            assert_eq!(has(recipe.video.as_ref(), "zerolatency"), !copies_video);
        }
    }

    #[test]
    fn the_offset_between_the_media_is_kept() {
        let recipe = recipe(&FileFacts {
            video: facts("h264", 0, 1.5),
            audio: facts("opus", 0, -0.007),
            parameters: Vec::new(),
        });
        let offset = recipe.video_start - recipe.audio_start;
        assert!((offset.as_secs_f64() - 1.507).abs() < 1e-6, "{offset:?}");
    }

    #[test]
    fn a_file_may_lack_either_medium() {
        let only_audio = FileFacts { audio: facts("opus", 0, 0.0), ..FileFacts::default() };
        assert_eq!(recipe(&only_audio).video, None);
        let only_video = FileFacts { video: facts("h264", 0, 0.0), ..FileFacts::default() };
        assert_eq!(recipe(&only_video).audio, None);
    }
}
