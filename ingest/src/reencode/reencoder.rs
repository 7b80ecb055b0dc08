//! The near end of one ffmpeg.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use heliograph_media::h264::NalType;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    task::AbortHandle,
};
use tracing::Instrument as _;

use super::{
    Failure, Reencoders,
    child::{self, Input, Output},
    flv,
};

/// Dropping it ends ffmpeg.
#[derive(Debug)]
pub(super) struct Reencoder {
    tags: mpsc::Sender<Bytes>,
    /// Bytes that wait for ffmpeg.
    waiting: Arc<AtomicUsize>,
    output: mpsc::Receiver<Output>,
    times: Times,
    /// The sequence parameter set that it was started with.
    sps: Vec<u8>,
    /// It is behind: nothing goes in until the next keyframe.
    behind: bool,
    left_out: u64,
    /// When a picture came back last.
    heard: Instant,
    stuck: bool,
    task: AbortHandle,
    _place: OwnedSemaphorePermit,
}

/// A picture that came back.
#[derive(Debug)]
pub(crate) struct Encoded {
    /// As it went in.
    pub(crate) show: Duration,
    pub(crate) key: bool,
    /// NAL units, each behind four bytes of length.
    pub(crate) body: Bytes,
}

/// What [`Reencoder::next`] gives.
#[derive(Debug)]
pub(super) enum Back {
    /// Parameter sets of what follows.
    Sets(Vec<Bytes>),
    Picture(Encoded),
    Failed(Failure),
}

impl Reencoder {
    /// For pictures with these parameter sets. Needs a tokio runtime.
    pub(super) fn start(
        now: Instant,
        reencoders: &Arc<Reencoders>,
        sps: &[u8],
        pps: &[u8],
        show: Duration,
    ) -> Result<Self, Failure> {
        let place = reencoders.place()?;
        let (tags, input) = mpsc::channel(QUEUE);
        let (out, output) = mpsc::channel(QUEUE);
        let waiting = Arc::<AtomicUsize>::default();
        let input = Input { tags: input, waiting: Arc::clone(&waiting) };
        let child = child::run(Arc::clone(reencoders), input, out).in_current_span();
        let task = tokio::spawn(child).abort_handle();
        let times = Times::new(show);
        let this = Self {
            tags,
            waiting,
            output,
            times,
            sps: sps.to_vec(),
            behind: false,
            left_out: 0,
            heard: now,
            stuck: false,
            task,
            _place: place,
        };
        if let Some(tag) = flv::configuration(FIRST, sps, pps) {
            this.give(tag);
        }
        Ok(this)
    }

    /// Takes a picture, a keyframe with its parameter sets. Left out when ffmpeg cannot keep up.
    pub(super) fn push(&mut self, now: Instant, show: Duration, key: bool, units: &[&[u8]]) {
        if self.times.is_empty() {
            self.heard = now;
        }
        self.stuck |= now.saturating_duration_since(self.heard) > STUCK;
        if self.behind && !key {
            self.left_out += 1;
            return;
        }
        let (decode, at) = self.times.enter(show);
        let taken = flv::picture(decode, at, key, units).is_some_and(|tag| self.give(tag));
        if !taken {
            self.times.forget(at);
            self.left_out += 1;
        }
        if !taken && !self.behind {
            tracing::warn!("re-encoding does not keep up: pictures are left out until the next keyframe");
        }
        self.behind = !taken;
    }

    /// The next that comes back. Safe to drop and to call again; to be called no more after a failure.
    pub(super) async fn next(&mut self) -> Back {
        if self.stuck {
            return Back::Failed(Failure::Stuck);
        }
        match self.output.recv().await {
            Some(Output::Sets(sets)) => Back::Sets(sets),
            Some(Output::Picture { show, key, body }) => {
                self.heard = Instant::now();
                Back::Picture(Encoded { show: self.times.leave(show), key, body })
            }
            Some(Output::Failed(failure)) => Back::Failed(failure),
            None => Back::Failed(Failure::Ended("its task is gone".to_owned())),
        }
    }

    /// It can take pictures with this parameter set. Not for ever: its times have 32 bits.
    pub(super) fn fits(&self, sps: &[u8]) -> bool {
        self.sps == sps && self.times.dts < u32::MAX / 2
    }

    /// Nothing waits but what the encoder needs to put pictures in order.
    pub(super) fn is_in_step(&self, shown: Duration) -> bool {
        shown + IN_STEP >= self.times.latest
    }

    /// Pictures that it was too slow for.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    fn give(&self, tag: Bytes) -> bool {
        let length = tag.len();
        if self.waiting.fetch_add(length, Ordering::Relaxed) + length > QUEUE_BYTES
            || self.tags.try_send(tag).is_err()
        {
            self.waiting.fetch_sub(length, Ordering::Relaxed);
            return false;
        }
        true
    }
}

impl Drop for Reencoder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The parameter sets among these units.
pub(super) fn sets<'a>(units: &[&'a [u8]]) -> Option<(&'a [u8], &'a [u8])> {
    let find = |wanted| {
        let is_wanted = |unit: &&&[u8]| unit.first().is_some_and(|&it| NalType::of_header(it) == wanted);
        units.iter().find(is_wanted).copied()
    };
    Some((find(NalType::SPS)?, find(NalType::PPS)?))
}

/// Times of pictures that are with ffmpeg, in its milliseconds and as they were.
#[derive(Debug)]
struct Times {
    base: Duration,
    latest: Duration,
    /// Where decoding is, milliseconds: never goes back.
    dts: u32,
    inside: VecDeque<(u32, Duration)>,
}

impl Times {
    fn new(first: Duration) -> Self {
        Self { base: first, latest: first, dts: 0, inside: VecDeque::new() }
    }

    /// When it is decoded and shown. Decoding is said to be early enough for any order of pictures.
    fn enter(&mut self, show: Duration) -> (u32, u32) {
        let later = u32::try_from(show.saturating_sub(self.base).as_millis()).unwrap_or(u32::MAX / 2);
        let earlier = u32::try_from(self.base.saturating_sub(show).as_millis()).unwrap_or(FIRST);
        let at = FIRST.saturating_add(later).saturating_sub(earlier);
        self.dts = self.dts.max(at.saturating_sub(REORDER));
        self.latest = self.latest.max(show);
        if self.inside.len() == INSIDE {
            self.inside.pop_front();
        }
        self.inside.push_back((at, show));
        (self.dts, at)
    }

    fn forget(&mut self, at: u32) {
        self.inside.retain(|(inside, _)| *inside != at);
    }

    /// They come back in the order that they are shown in: what was before is not to come any more.
    fn leave(&mut self, at: u32) -> Duration {
        let nearest = self.inside.iter().min_by_key(|(inside, _)| inside.abs_diff(at));
        let show = match nearest {
            Some((inside, show)) if inside.abs_diff(at) <= 1 => *show,
            _ => (self.base + Duration::from_millis(at.into()))
                .saturating_sub(Duration::from_millis(FIRST.into())),
        };
        self.inside.retain(|(_, inside)| *inside > show);
        show
    }

    fn is_empty(&self) -> bool {
        self.inside.is_empty()
    }
}

/// Where ffmpeg's times begin, milliseconds: a picture may be shown before the first one.
const FIRST: u32 = 1_000;
/// Milliseconds that a picture may be decoded before it is shown; 16 pictures, at 30 a second.
const REORDER: u32 = 534;
/// Pictures that wait for ffmpeg: two seconds.
const QUEUE: usize = 120;
const QUEUE_BYTES: usize = 16 << 20;
/// Pictures whose times are remembered.
const INSIDE: usize = 512;
/// With pictures inside and none coming back for so long, ffmpeg hangs.
const STUCK: Duration = Duration::from_secs(10);
const IN_STEP: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back_exactly_as_they_went_in() {
        let micros = |it: u64| Duration::from_micros(7_000_000 + it);
        let mut times = Times::new(micros(33_333));
        // Decoded as I, P, B, B; the pictures before the first one belong to what was cut off.
        let shows = [33_333, 133_332, 66_666, 99_999, 16_666].map(micros);
        let mut last = 0;
        let entered = shows.map(|show| {
            let (decode, at) = times.enter(show);
            assert!(decode >= last && decode <= at, "{decode} {at}");
            last = decode;
            at
        });
        assert_eq!(entered, [1_000, 1_099, 1_033, 1_066, 984]);
        let back = [984, 1_000, 1_033, 1_066].map(|at| times.leave(at));
        assert_eq!(back, [micros(16_666), micros(33_333), micros(66_666), micros(99_999)]);
        assert!(!times.is_empty());
        assert_eq!(times.leave(1_099), micros(133_332));
        assert!(times.is_empty());
        // What nobody gave in.
        assert_eq!(times.leave(2_000), micros(1_033_333));
        for number in 0..2_000 {
            times.enter(micros(number));
        }
        assert_eq!(times.inside.len(), INSIDE);
    }
}
