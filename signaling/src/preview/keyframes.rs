//! The newest keyframe of every stream, a reader of the relay's feed beside its egress workers.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use heliograph_media::{Codec, SeqNo};
use heliograph_relay::{FeedBatch, FeedItem, FeedSink, Packet, StreamId, Track};

use super::film::{self, Film};

/// Keyframes that come sooner after the last one are left out: lists of channels need no film.
const INTERVAL: Duration = Duration::from_secs(2);
/// Longest access unit kept; above it the last one stays.
const MOST_BYTES: usize = 2 << 20;

/// The newest keyframe of every stream.
#[derive(Debug, Default)]
pub(crate) struct Keyframes {
    streams: Mutex<HashMap<StreamId, Stream>>,
}

#[derive(Debug, Default)]
struct Stream {
    newest: Option<Arc<Keyframe>>,
    /// The smallest layer that flows: a card is small, too.
    smallest: Option<Track>,
    /// The access unit that is just coming.
    coming: Option<Coming>,
}

#[derive(Debug)]
struct Coming {
    timestamp: u64,
    next: SeqNo,
    bytes: usize,
    packets: Vec<Arc<Packet>>,
}

/// One keyframe.
#[derive(Debug)]
pub(crate) struct Keyframe {
    /// Another one for each keyframe of a stream.
    pub(crate) number: u64,
    came: Instant,
    packets: Vec<Arc<Packet>>,
    film: OnceLock<Option<Film>>,
}

impl Keyframes {
    /// The newest one of a stream.
    pub(crate) fn newest(&self, stream: StreamId) -> Option<Arc<Keyframe>> {
        self.lock().get(&stream)?.newest.clone()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<StreamId, Stream>> {
        // Nothing in here can be half done: a panic elsewhere leaves whole values behind.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FeedSink for Keyframes {
    fn deliver(&self, batch: &Arc<FeedBatch>) {
        // Nearly all batches hold nothing of interest, and are told apart before the lock.
        let mut streams: Option<MutexGuard<'_, _>> = None;
        for item in &batch.items {
            match item {
                FeedItem::Packets { track, packets } if track.is_video() => {
                    let streams = streams.get_or_insert_with(|| self.lock());
                    let stream = streams.entry(batch.stream).or_default();
                    if stream.smallest.unwrap_or(Track::Video) == *track {
                        packets.iter().for_each(|packet| stream.take(packet));
                    }
                }
                FeedItem::Layers(layers) => {
                    let streams = streams.get_or_insert_with(|| self.lock());
                    let stream = streams.entry(batch.stream).or_default();
                    stream.smallest = layers.last().copied();
                    stream.coming = None;
                }
                FeedItem::Ended(_) => {
                    streams.get_or_insert_with(|| self.lock()).remove(&batch.stream);
                }
                _ => {}
            }
        }
    }
}

impl Stream {
    fn take(&mut self, packet: &Arc<Packet>) {
        if packet.keyframe_start {
            let early = self
                .newest
                .as_ref()
                .is_some_and(|newest| packet.arrival.duration_since(newest.came) < INTERVAL);
            self.coming = (!early).then(|| Coming {
                timestamp: packet.timestamp,
                next: packet.seq,
                bytes: 0,
                packets: Vec::new(),
            });
        }
        let Some(coming) = &mut self.coming else { return };
        coming.bytes += packet.payload.len();
        // A hole cannot be mended here: the next keyframe will do.
        if packet.seq != coming.next || packet.timestamp != coming.timestamp || coming.bytes > MOST_BYTES {
            self.coming = None;
            return;
        }
        coming.next = packet.seq.next();
        coming.packets.push(Arc::clone(packet));
        if packet.marker
            && let Some(whole) = self.coming.take()
        {
            self.newest = Some(Arc::new(Keyframe {
                number: whole.timestamp,
                came: packet.arrival,
                packets: whole.packets,
                film: OnceLock::new(),
            }));
        }
    }
}

impl Keyframe {
    /// As a film of one picture in its codec; `None` when the access unit turns out to be no keyframe. Made once.
    pub(crate) fn film(&self, codec: Codec) -> Option<Film> {
        self.film.get_or_init(|| film::film(codec, &self.packets)).clone()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::preview::testing::{IDR, PPS, SPS};
    use bytes::Bytes;
    use heliograph_relay::{CloseReason, StartParts};

    const STREAM: StreamId = StreamId(7);

    fn packet(begin: Instant, ms: u64, seq: u64, payload: &'static [u8], marker: bool) -> Arc<Packet> {
        Arc::new(Packet {
            seq: SeqNo(seq),
            timestamp: ms * 90,
            marker,
            frame_start: payload == SPS,
            keyframe_start: payload == SPS,
            parts: StartParts::NONE,
            arrival: begin + Duration::from_millis(ms),
            payload: Bytes::from_static(payload),
        })
    }

    fn deliver(keyframes: &Keyframes, items: Vec<FeedItem>) {
        keyframes.deliver(&Arc::new(FeedBatch { stream: STREAM, items }));
    }

    fn video(keyframes: &Keyframes, packets: Vec<Arc<Packet>>) {
        deliver(keyframes, vec![FeedItem::Packets { track: Track::Video, packets }]);
    }

    fn keyframe(begin: Instant, ms: u64, seq: u64) -> Vec<Arc<Packet>> {
        vec![
            packet(begin, ms, seq, SPS, false),
            packet(begin, ms, seq + 1, PPS, false),
            packet(begin, ms, seq + 2, IDR, true),
        ]
    }

    #[test]
    fn the_newest_whole_keyframe_is_kept_and_not_more_often_than_every_two_seconds() {
        let begin = Instant::now();
        let keyframes = Keyframes::default();
        assert!(keyframes.newest(STREAM).is_none());
        video(&keyframes, keyframe(begin, 0, 10));
        let first = keyframes.newest(STREAM).unwrap().number;
        video(&keyframes, vec![packet(begin, 33, 13, &[0x41, 0x9a], true)]);
        video(&keyframes, keyframe(begin, 1_000, 14));
        assert_eq!(keyframes.newest(STREAM).unwrap().number, first, "too soon");
        video(&keyframes, keyframe(begin, 2_000, 17));
        assert_ne!(keyframes.newest(STREAM).unwrap().number, first);
        deliver(&keyframes, vec![FeedItem::Ended(CloseReason::StreamEnded)]);
        assert!(keyframes.newest(STREAM).is_none());
    }

    #[test]
    fn a_keyframe_with_a_hole_does_not_replace_a_whole_one() {
        let begin = Instant::now();
        let keyframes = Keyframes::default();
        video(&keyframes, keyframe(begin, 0, 10));
        let first = keyframes.newest(STREAM).unwrap().number;
        let mut broken = keyframe(begin, 4_000, 20);
        broken.remove(1);
        video(&keyframes, broken);
        assert_eq!(keyframes.newest(STREAM).unwrap().number, first);
        // The marker got lost: the next picture has another timestamp.
        let mut open = keyframe(begin, 8_000, 30);
        open.pop();
        open.push(packet(begin, 8_033, 32, &[0x41, 0x9a], true));
        video(&keyframes, open);
        assert_eq!(keyframes.newest(STREAM).unwrap().number, first);
    }

    #[test]
    fn of_several_layers_the_smallest_that_flows_is_shown() {
        let begin = Instant::now();
        let keyframes = Keyframes::default();
        video(&keyframes, keyframe(begin, 0, 10));
        let first = keyframes.newest(STREAM).unwrap().number;
        deliver(&keyframes, vec![FeedItem::Layers([Track::Video, Track::SecondLayer].into())]);
        video(&keyframes, keyframe(begin, 3_000, 20));
        assert_eq!(keyframes.newest(STREAM).unwrap().number, first);
        let packets = keyframe(begin, 3_010, 500);
        deliver(&keyframes, vec![FeedItem::Packets { track: Track::SecondLayer, packets }]);
        assert_eq!(keyframes.newest(STREAM).unwrap().number, 3_010 * 90);
        deliver(&keyframes, vec![FeedItem::Layers([Track::Video].into())]);
        video(&keyframes, keyframe(begin, 6_000, 30));
        assert_eq!(keyframes.newest(STREAM).unwrap().number, 6_000 * 90);
    }

    #[test]
    fn what_is_no_keyframe_makes_no_film() {
        let begin = Instant::now();
        let keyframes = Keyframes::default();
        let mut lie = keyframe(begin, 0, 10);
        lie[2] = packet(begin, 0, 12, &[0x41, 0x9a], true);
        video(&keyframes, lie);
        assert!(keyframes.newest(STREAM).unwrap().film(Codec::H264).is_none());
    }

    #[test]
    fn a_film_is_made_once() {
        let keyframes = Keyframes::default();
        video(&keyframes, keyframe(Instant::now(), 0, 10));
        let newest = keyframes.newest(STREAM).unwrap();
        let film = newest.film(Codec::H264).unwrap().bytes;
        assert_eq!(&film[4..8], b"ftyp");
        assert_eq!(film.as_ptr(), newest.film(Codec::H264).unwrap().bytes.as_ptr());
    }
}
