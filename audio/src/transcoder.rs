//! Packets of one codec in, packets of another out, on the source's clock.

use std::time::Duration;

use crate::{
    CHANNELS, FRAME,
    clock::{Correction, SampleClock},
    codec::{Broken, Decode, Encode},
};

/// A decoder, an encoder and the clock between them. Without I/O and without a clock of its own: see the crate's page.
#[derive(Debug)]
pub struct Transcoder<D, E> {
    decoder: D,
    encoder: E,
    clock: SampleClock,
    /// Decoded, not yet a whole frame; always shorter than a frame between calls.
    pcm: Vec<f32>,
    /// Samples per channel that will be left out.
    surplus: u64,
    broken: u64,
}

/// One packet for viewers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpusFrame {
    /// When a decoder's output of it is to be heard, in samples at 48 kHz since the source's zero.
    pub at: u64,
    /// 20 ms of stereo.
    pub payload: Vec<u8>,
}

/// Why the transcoder cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TranscodeError {
    /// The encoder refused a frame, which is our fault.
    #[error("the Opus encoder failed")]
    Encoder,
}

impl<D: Decode, E: Encode> Transcoder<D, E> {
    /// Starts empty.
    pub fn new(decoder: D, encoder: E) -> Self {
        Self { decoder, encoder, clock: SampleClock::default(), pcm: Vec::new(), surplus: 0, broken: 0 }
    }

    /// One packet that begins at `at` on the source's clock; appends the frames that are whole with it. A packet that
    /// cannot be decoded is counted and makes a gap, which the clock closes.
    ///
    /// # Errors
    /// See [`TranscodeError`].
    pub fn push(
        &mut self,
        at: Duration,
        packet: &[u8],
        frames: &mut Vec<OpusFrame>,
    ) -> Result<(), TranscodeError> {
        match self.clock.on_packet(at) {
            Correction::None => {}
            Correction::Bend(per_million) => self.decoder.bend(per_million),
            Correction::Gap => (self.pcm.clear(), self.surplus = 0).0,
            Correction::Surplus(samples) => self.surplus = samples,
        }
        let before = self.pcm.len();
        if self.decoder.decode(packet, &mut self.pcm) == Err(Broken) {
            self.broken += 1;
        }
        let came = (self.pcm.len() - before) / CHANNELS;
        let left_out = usize::try_from(self.surplus).map_or(came, |surplus| surplus.min(came));
        if left_out > 0 {
            self.pcm.drain(before..before + left_out * CHANNELS);
            self.surplus -= left_out as u64;
            self.clock.on_left_out(left_out as u64);
        }
        self.clock.on_samples((came - left_out) as u64);
        self.encode(frames)
    }

    /// Packets that could not be decoded.
    pub fn broken(&self) -> u64 {
        self.broken
    }

    /// The decoder, to ask it about the source.
    pub fn decoder(&self) -> &D {
        &self.decoder
    }

    fn encode(&mut self, frames: &mut Vec<OpusFrame>) -> Result<(), TranscodeError> {
        let mut done = 0;
        let look_ahead = u64::from(self.encoder.look_ahead());
        for frame in self.pcm.chunks_exact(FRAME * CHANNELS) {
            let waiting = (self.pcm.len() - done) / CHANNELS;
            let at = self.clock.next().saturating_sub(waiting as u64).saturating_sub(look_ahead);
            let payload = self.encoder.encode(frame).map_err(|Broken| TranscodeError::Encoder)?;
            frames.push(OpusFrame { at, payload });
            done += frame.len();
        }
        self.pcm.drain(..done);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes 1024 samples of every packet, bent.
    #[derive(Default)]
    struct Decoder {
        per_million: i32,
        rest: f64,
        most: i32,
    }

    impl Decode for Decoder {
        fn decode(&mut self, packet: &[u8], pcm: &mut Vec<f32>) -> Result<(), Broken> {
            if packet.is_empty() {
                return Err(Broken);
            }
            self.rest += 1_024.0 * (1.0 + f64::from(self.per_million) / 1e6);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "about 1024")]
            let whole = self.rest as usize;
            self.rest -= self.rest.floor();
            pcm.resize(pcm.len() + whole * CHANNELS, 0.0);
            Ok(())
        }

        fn bend(&mut self, per_million: i32) {
            self.per_million = per_million;
            self.most = self.most.max(per_million.abs());
        }
    }

    struct Encoder;

    impl Encode for Encoder {
        fn encode(&mut self, frame: &[f32]) -> Result<Vec<u8>, Broken> {
            assert_eq!(frame.len(), FRAME * CHANNELS);
            Ok(vec![1])
        }

        fn look_ahead(&self) -> u32 {
            312
        }
    }

    /// A source whose sound card is off by so many parts per million, and which stamps late by up to `jitter`.
    struct Source {
        transcoder: Transcoder<Decoder, Encoder>,
        packets: u64,
        per_million: i32,
        jitter_ms: u64,
        offset: Duration,
        frames: Vec<OpusFrame>,
        worst: i64,
    }

    impl Source {
        fn new(per_million: i32, jitter_ms: u64) -> Self {
            Self {
                transcoder: Transcoder::new(Decoder::default(), Encoder),
                packets: 0,
                per_million,
                jitter_ms,
                offset: Duration::from_secs(1),
                frames: Vec::new(),
                worst: 0,
            }
        }

        /// The true time of the next packet, microseconds.
        fn due(&self) -> u64 {
            let seconds =
                self.packets as f64 * 1_024.0 / 48_000.0 / (1.0 + f64::from(self.per_million) / 1e6);
            (seconds * 1e6) as u64 + self.offset.as_micros() as u64
        }

        /// Runs so many packets; notes how far sound lies off the source's time after `settle` packets.
        fn run(&mut self, packets: u64, settle: u64) {
            for number in 0..packets {
                let due = self.due();
                // Whole milliseconds, as RTMP has them, and now and then late.
                let late = self.packets * 7_919 % (self.jitter_ms + 1);
                let stamped = Duration::from_millis(due / 1_000 + late);
                self.frames.clear();
                self.transcoder.push(stamped, &[1], &mut self.frames).unwrap();
                self.packets += 1;
                let here = self.transcoder.clock.next();
                let truth = self.due() * 48 / 1_000;
                if number >= settle {
                    self.worst = self.worst.max((here as i64 - truth as i64).abs());
                }
            }
        }
    }

    const MINUTE: u64 = 60 * 48_000 / 1_024;

    #[test]
    fn no_drift_over_hours() {
        for (per_million, jitter_ms, most_ms) in
            [(0, 0, 2), (300, 0, 8), (-300, 0, 8), (950, 0, 22), (-950, 0, 22), (100, 30, 25), (-100, 30, 25)]
        {
            let mut source = Source::new(per_million, jitter_ms);
            source.run(8 * 60 * MINUTE, 2 * MINUTE);
            let worst = source.worst / 48;
            assert!(worst <= most_ms, "{per_million} per million, {jitter_ms} ms of jitter: {worst} ms off");
            assert!(source.transcoder.decoder.most <= 1_000);
        }
    }

    #[test]
    fn beyond_what_bending_can_do_it_jumps_and_goes_on() {
        for per_million in [5_000, -5_000] {
            let mut source = Source::new(per_million, 0);
            source.run(60 * MINUTE, 0);
            assert!(source.worst / 48 <= 125, "{per_million}: {} ms", source.worst / 48);
        }
    }

    #[test]
    fn frames_follow_each_other_and_lie_where_the_source_says() {
        let mut source = Source::new(0, 0);
        let mut frames = Vec::new();
        for packet in 0..100_u64 {
            source
                .transcoder
                .push(Duration::from_millis(1_000 + packet * 64 / 3), &[1], &mut frames)
                .unwrap();
        }
        assert_eq!(frames[0].at, 48_000 - 312);
        assert!(frames.windows(2).all(|pair| pair[1].at - pair[0].at == 960));
        // 100 packets of 1024 samples, in frames of 960.
        assert!((105..=106).contains(&frames.len()), "{}", frames.len());
    }

    #[test]
    fn a_gap_and_a_surplus() {
        let mut frames = Vec::new();
        let mut transcoder = Transcoder::new(Decoder::default(), Encoder);
        let ms = Duration::from_millis;
        for packet in 0..10_u64 {
            transcoder.push(ms(1_000 + packet * 21), &[1], &mut frames).unwrap();
        }
        let before = frames.last().unwrap().at;
        frames.clear();
        transcoder.push(ms(3_000), &[1], &mut frames).unwrap();
        assert_eq!(frames[0].at, 3_000 * 48 - 312);
        assert!(frames[0].at > before);
        // Half a second of sound twice: what is too much is left out.
        frames.clear();
        for packet in 0..100_u64 {
            transcoder.push(ms(2_500 + packet * 64 / 3), &[1], &mut frames).unwrap();
        }
        let steps: Vec<_> = frames.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
        assert!(steps.iter().all(|&step| step == 960), "{steps:?}");
        let end = frames.last().unwrap().at + 960;
        let truth = (2_500 + 100 * 64 / 3) * 48;
        assert!(end.abs_diff(truth) < 2_500, "{end} {truth}");
    }

    #[test]
    fn broken_packets_are_counted() {
        let mut frames = Vec::new();
        let mut transcoder = Transcoder::new(Decoder::default(), Encoder);
        for packet in 0..20_u64 {
            let good = packet % 2 == 0;
            transcoder
                .push(Duration::from_millis(packet * 21), if good { &[1] } else { &[] }, &mut frames)
                .unwrap();
        }
        assert_eq!(transcoder.broken(), 10);
        assert!(!frames.is_empty());
    }
}
