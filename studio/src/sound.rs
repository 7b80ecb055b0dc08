//! Listens to what viewers hear, so that the streamer sees how loud it is.
//!
//! A reader of the relay's feed beside the egress workers. RFC 6464 would tell levels in a header extension, but hardly any
//! encoder sends it, and half of the ways in know no RTP: so a few packets a second are decoded, for all ways in alike, in a
//! task of their own.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use heliograph_audio::{Level, LevelMeter, codec::OpusDecoder};
use heliograph_relay::{FeedBatch, FeedItem, FeedSink, Packet, Relay, SoundLevel, StreamId, Track};
use tokio::sync::mpsc;

/// Of ten packets in a row so many are decoded: two for the decoder to find in again, and one to look at.
const DECODED: u64 = 3;
const OF: u64 = 10;
/// Packets that wait to be decoded; above it a level is a little older.
const QUEUE: usize = 1_024;
/// A stream that is silent on the wire for so long is forgotten, should its end have been missed.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// Tells `relay` how loud its streams are, from now on. Needs a tokio runtime.
pub fn measure(relay: &Relay) {
    let (queue, heard) = mpsc::channel(QUEUE);
    relay.sinks().add(Arc::new(Listener(queue)));
    tokio::spawn(listen(relay.clone(), heard));
}

struct Listener(mpsc::Sender<(StreamId, Arc<Packet>)>);

impl FeedSink for Listener {
    fn deliver(&self, batch: &Arc<FeedBatch>) {
        for item in &batch.items {
            let FeedItem::Packets { track: Track::Audio, packets } = item else { continue };
            for packet in packets.iter().filter(|packet| packet.seq.0 % OF < DECODED) {
                // Full: the next ones will do.
                let _ = self.0.try_send((batch.stream, Arc::clone(packet)));
            }
        }
    }
}

async fn listen(relay: Relay, mut heard: mpsc::Receiver<(StreamId, Arc<Packet>)>) {
    let mut ears = Ears::default();
    while let Some((stream, packet)) = heard.recv().await {
        if let Some(level) = ears.hear(Instant::now(), stream, packet.seq.0, &packet.payload) {
            let Level { peak_dbfs, rms_dbfs, silent_for } = level;
            relay.note_sound(stream, SoundLevel { peak_dbfs, rms_dbfs, silent_for });
        }
    }
}

/// A decoder and a meter for each stream.
#[derive(Default)]
struct Ears(HashMap<StreamId, Ear>);

struct Ear {
    decoder: OpusDecoder,
    meter: LevelMeter,
    heard: Instant,
}

impl Ears {
    /// Takes a packet; the level with it, when it is one that counts.
    fn hear(&mut self, now: Instant, stream: StreamId, seq: u64, payload: &[u8]) -> Option<Level> {
        if !self.0.contains_key(&stream) {
            self.0.retain(|_, ear| now.saturating_duration_since(ear.heard) < FORGOTTEN);
            let decoder = OpusDecoder::new().ok()?;
            self.0.insert(stream, Ear { decoder, meter: LevelMeter::default(), heard: now });
        }
        let ear = self.0.get_mut(&stream)?;
        ear.heard = now;
        // What is no Opus is counted elsewhere.
        let samples = ear.decoder.decode(payload).ok()?;
        (seq % OF == DECODED - 1).then(|| ear.meter.push(now, samples))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// Opus for 20 ms without sound (CELT, fullband, stereo).
    const SILENCE: &[u8] = &[0xfc, 0xff, 0xfe];

    #[test]
    fn one_packet_of_ten_counts_and_silence_adds_up() {
        let mut ears = Ears::default();
        let begin = Instant::now();
        let mut levels = Vec::new();
        for seq in 0..500_u64 {
            if seq % OF < DECODED {
                levels.extend(ears.hear(begin + Duration::from_millis(seq * 20), StreamId(1), seq, SILENCE));
            }
        }
        assert_eq!(levels.len(), 50);
        let last = levels.last().unwrap();
        assert!(last.peak_dbfs < -90.0 && last.silent_for >= Duration::from_secs(9), "{last:?}");
    }

    #[test]
    fn streams_that_are_gone_are_forgotten() {
        let mut ears = Ears::default();
        let begin = Instant::now();
        for stream in 0..1_000 {
            ears.hear(begin + stream as u32 * Duration::from_secs(1), StreamId(stream), 2, SILENCE);
        }
        assert!(ears.0.len() <= 61, "{}", ears.0.len());
        assert!(ears.hear(begin, StreamId(7_777), 2, &[]).is_none());
    }
}
