//! How loud the last second was, and since when nothing can be heard.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// A meter shows the loudest moment of so long.
const WINDOW: Duration = Duration::from_secs(1);
/// Looks kept: more than anybody takes in a second.
const MOST_LOOKS: usize = 64;
/// Below this, dB of full scale, nobody hears anything: a microphone in a quiet room is louder.
const SILENCE_DBFS: f32 = -60.0;
/// The lowest level there is a figure for, as in RFC 6464 section 3.
const FLOOR_DBFS: f32 = -127.0;

/// How loud sound is, in decibels of full scale: 0 is the loudest that can be coded, silence is -127.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// The highest sample of the last second.
    pub peak_dbfs: f32,
    /// The mean power of the last second; a full-scale sine is -3.
    pub rms_dbfs: f32,
    /// Nothing was above -60 dB of full scale since so long; zero while there is sound.
    pub silent_for: Duration,
}

/// Reads levels off samples, by any clock.
#[derive(Debug, Default)]
pub struct LevelMeter {
    looks: VecDeque<Look>,
    silent_since: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Look {
    at: Instant,
    peak: f32,
    power: f32,
}

impl LevelMeter {
    /// Takes some samples between -1 and 1, of whatever channels, and tells the level with them.
    pub fn push(&mut self, now: Instant, samples: &[f32]) -> Level {
        let finite = samples.iter().map(|sample| if sample.is_finite() { sample.abs() } else { 0.0 });
        let (peak, sum) =
            finite.fold((0.0_f32, 0.0_f32), |(peak, sum), sample| (peak.max(sample), sum + sample * sample));
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let power = sum / samples.len().max(1) as f32;
        if self.looks.len() >= MOST_LOOKS {
            self.looks.pop_front();
        }
        self.looks.push_back(Look { at: now, peak, power });
        self.looks.retain(|look| now.saturating_duration_since(look.at) < WINDOW);
        if decibels(peak) > SILENCE_DBFS {
            self.silent_since = None;
        } else {
            self.silent_since.get_or_insert(now);
        }
        let peak = self.looks.iter().fold(0.0_f32, |peak, look| peak.max(look.peak));
        #[expect(clippy::cast_precision_loss, reason = "64 at most")]
        let power = self.looks.iter().map(|look| look.power).sum::<f32>() / self.looks.len().max(1) as f32;
        Level {
            peak_dbfs: decibels(peak),
            rms_dbfs: decibels(power.sqrt()),
            silent_for: self
                .silent_since
                .map_or(Duration::ZERO, |since| now.saturating_duration_since(since)),
        }
    }
}

fn decibels(amplitude: f32) -> f32 {
    (20.0 * amplitude.log10()).clamp(FLOOR_DBFS, 0.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::{
        CHANNELS, FRAME,
        codec::{Encode as _, OpusDecoder, OpusEncoder},
    };

    /// 20 ms of a tone, both channels.
    fn tone(number: usize, amplitude: f32) -> Vec<f32> {
        (0..FRAME)
            .flat_map(|sample| {
                let turns = (number * FRAME + sample) as f32 * 440.0 / 48_000.0;
                [amplitude * (turns.fract() * std::f32::consts::TAU).sin(); CHANNELS]
            })
            .collect()
    }

    #[test]
    fn a_tone_reads_as_what_it_is() {
        for (amplitude, peak, rms) in [(1.0, 0.0, -3.0), (0.1, -20.0, -23.0), (0.000_01, -100.0, -103.0)] {
            let mut meter = LevelMeter::default();
            let level = meter.push(Instant::now(), &tone(0, amplitude));
            assert!((level.peak_dbfs - peak).abs() < 0.2, "{level:?}");
            assert!((level.rms_dbfs - rms).abs() < 0.3, "{level:?}");
        }
        let nothing = LevelMeter::default().push(Instant::now(), &[]);
        assert_eq!((nothing.peak_dbfs, nothing.rms_dbfs), (FLOOR_DBFS, FLOOR_DBFS));
        let odd = LevelMeter::default().push(Instant::now(), &[f32::NAN, f32::INFINITY, 7.0]);
        assert_eq!(odd.peak_dbfs, 0.0);
    }

    #[test]
    fn a_peak_stays_for_a_second_and_silence_is_timed() {
        let mut meter = LevelMeter::default();
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        assert!(meter.push(at(0), &tone(0, 0.5)).peak_dbfs > -6.1);
        let soon = meter.push(at(900), &[0.0; 960]);
        assert!(soon.peak_dbfs > -6.1 && soon.silent_for.is_zero());
        let later = meter.push(at(1_900), &[0.0; 960]);
        assert_eq!((later.peak_dbfs, later.silent_for), (FLOOR_DBFS, Duration::from_secs(1)));
        assert!(meter.push(at(2_000), &tone(0, 0.01)).silent_for.is_zero());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut meter = LevelMeter::default();
        let now = Instant::now();
        for _ in 0..10_000 {
            meter.push(now, &[0.5]);
        }
        assert_eq!(meter.looks.len(), MOST_LOOKS);
    }

    /// Only three of ten packets are decoded, and the last of them counts: it is off by less than 2 dB.
    #[test]
    fn a_level_survives_opus_and_packets_left_out() {
        for amplitude in [0.5_f32, 0.02] {
            let mut encoder = OpusEncoder::new(128_000).unwrap();
            let mut decoder = OpusDecoder::new().unwrap();
            let wanted = decibels(amplitude);
            for number in 0..200 {
                let packet = encoder.encode(&tone(number, amplitude)).unwrap();
                if number % 10 < 3 {
                    let samples = decoder.decode(&packet).unwrap();
                    assert_eq!(samples.len(), FRAME * CHANNELS);
                    if number % 10 == 2 && number > 10 {
                        let level = LevelMeter::default().push(Instant::now(), samples);
                        assert!((level.peak_dbfs - wanted).abs() < 2.0, "{number}: {level:?} for {wanted}");
                    }
                }
            }
        }
        let mut decoder = OpusDecoder::new().unwrap();
        assert!(decoder.decode(&[]).is_err());
        assert!(decoder.decode(&[0xff; 3]).is_err());
        assert!(decoder.decode(&[0xfc]).is_ok(), "a packet without sound");
    }
}
