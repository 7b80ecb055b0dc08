//! AAC that other encoders made, through the real codecs.

use std::time::Duration;

use heliograph_audio::{
    OpusFrame, RATE, Transcoder,
    codec::{AacDecoder, Decode, OpusEncoder},
};

struct Sample {
    configuration: &'static [u8],
    frames: Vec<&'static [u8]>,
}

fn sample(bytes: &'static [u8]) -> Sample {
    let (configuration, mut rest) = bytes[1..].split_at(usize::from(bytes[0]));
    let mut frames = Vec::new();
    while let [high, low, behind @ ..] = rest {
        let (frame, behind) = behind.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        frames.push(frame);
        rest = behind;
    }
    Sample { configuration, frames }
}

const LC_MONO: &[u8] = include_bytes!("samples/aac-lc-44100-mono");
const LC_SURROUND: &[u8] = include_bytes!("samples/aac-lc-48000-5.1");
const ONSET: &[u8] = include_bytes!("samples/aac-lc-44100-mono-from-200-ms");
const HE: &[u8] = include_bytes!("samples/he-aac-48000-stereo");
const HE_V2: &[u8] = include_bytes!("samples/he-aac-v2-48000-stereo");

/// How strong a frequency is in one channel, as an amplitude.
fn amplitude(pcm: &[f32], hertz: f64) -> f64 {
    let (mut re, mut im) = (0.0, 0.0);
    for (index, sample) in pcm.iter().enumerate() {
        let angle = index as f64 * hertz / f64::from(RATE) * std::f64::consts::TAU;
        re += f64::from(*sample) * angle.cos();
        im += f64::from(*sample) * angle.sin();
    }
    2.0 * re.hypot(im) / pcm.len() as f64
}

#[test]
fn every_kind_of_aac_becomes_stereo_at_48_khz() {
    for (name, bytes, source, per_frame) in [
        ("LC, mono, 44.1 kHz", LC_MONO, (44_100, 1), 1_024.0 * 48_000.0 / 44_100.0),
        ("LC, 5.1, 48 kHz", LC_SURROUND, (48_000, 6), 1_024.0),
        ("HE, stereo, 48 kHz", HE, (48_000, 2), 2_048.0),
        ("HE v2, stereo, 48 kHz", HE_V2, (48_000, 2), 2_048.0),
    ] {
        let Sample { configuration, frames } = sample(bytes);
        let mut decoder = AacDecoder::new(configuration).unwrap();
        let mut pcm = Vec::new();
        for frame in &frames {
            decoder.decode(frame, &mut pcm).unwrap();
        }
        assert_eq!(decoder.source(), source, "{name}");
        let expected = per_frame * frames.len() as f64;
        let pairs = pcm.len() as f64 / 2.0;
        assert!((pairs - expected).abs() < 4.0 * per_frame, "{name}: {pairs} instead of {expected}");
        for side in 0..2 {
            // From the middle on, when every encoder has begun.
            let channel: Vec<f32> = pcm[pcm.len() / 2..].iter().copied().skip(side).step_by(2).collect();
            let (tone, other) = (amplitude(&channel, 1_000.0), amplitude(&channel, 3_300.0));
            assert!(tone > 0.05 && tone > 20.0 * other, "{name}: {tone} at 1 kHz, {other} beside it");
        }
    }
}

#[test]
fn sound_comes_out_where_it_went_in() {
    // A tone that begins 200 ms into the recording. The encoder puts one frame in front, and says so by a negative time.
    let Sample { configuration, frames } = sample(ONSET);
    let mut decoder = AacDecoder::new(configuration).unwrap();
    let mut pcm = Vec::new();
    for frame in &frames {
        decoder.decode(frame, &mut pcm).unwrap();
    }
    let onset = pcm.iter().step_by(2).position(|sample| sample.abs() > 0.2).unwrap();
    let priming = 1_024.0 / 44_100.0;
    let seconds = onset as f64 / f64::from(RATE) - priming;
    assert!((seconds - 0.2).abs() < 0.003, "{seconds} s");
}

#[test]
fn opus_frames_follow_the_source() {
    let Sample { configuration, frames } = sample(LC_MONO);
    let decoder = AacDecoder::new(configuration).unwrap();
    let mut transcoder = Transcoder::new(decoder, OpusEncoder::new(128_000).unwrap());
    let mut out: Vec<OpusFrame> = Vec::new();
    for (number, frame) in frames.iter().enumerate() {
        // Whole milliseconds, as RTMP has them.
        let at = Duration::from_millis(5_000 + number as u64 * 1_024 * 1_000 / 44_100);
        transcoder.push(at, frame, &mut out).unwrap();
    }
    assert!(out.len() > 20 && transcoder.broken() == 0);
    assert!((5_000 * 48 - 960..5_000 * 48).contains(&out[0].at), "{}", out[0].at);
    for frame in &out {
        // Celt or hybrid of 20 ms, stereo, one frame (RFC 6716 section 3.1).
        assert!(!frame.payload.is_empty() && frame.payload.len() < 1_276);
        assert_eq!(frame.payload[0] & 0x07, 0x04, "{:02x}", frame.payload[0]);
    }
    assert!(out.windows(2).all(|pair| pair[1].at - pair[0].at == 960));
}

#[test]
fn what_is_no_aac() {
    assert!(AacDecoder::new(&[0; 1 << 17]).is_err());
    let Sample { configuration, frames } = sample(LC_MONO);
    let mut decoder = AacDecoder::new(configuration).unwrap();
    let mut pcm = Vec::new();
    let mut broken = 0;
    for (number, frame) in frames.iter().enumerate() {
        let mut frame = frame.to_vec();
        match number % 4 {
            0 => frame.truncate(number % frame.len()),
            1 => frame.iter_mut().for_each(|byte| *byte = byte.wrapping_mul(31)),
            2 => frame.fill(0xff),
            _ => {}
        }
        broken += u32::from(decoder.decode(&frame, &mut pcm).is_err());
    }
    assert!(broken > 0);
    assert!(pcm.iter().all(|sample| sample.is_finite() && sample.abs() <= 4.0));
    assert!(decoder.decode(&[], &mut pcm).is_err());
}
