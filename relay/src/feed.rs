//! What flows from an inlet to every reader of a stream: egress workers now; recording, HLS and cluster later.

use std::sync::{Arc, PoisonError, RwLock};

use heliograph_media::{
    Codec, SeqNo,
    video::{Picture, VideoFormat},
};

use crate::{CloseReason, Packet, StreamId, Track, TrackClock, Uplink};

/// How a track is coded, learned from the packets themselves.
#[derive(Clone, Debug, PartialEq)]
pub enum CodecParameters {
    /// From the newest sequence parameter set.
    H264(H264Parameters),
    /// Another video codec, from the newest key picture or sequence header.
    Video(Picture),
    /// Opus needs no parameters (RFC 7587).
    Opus,
}

impl CodecParameters {
    /// The codec they belong to.
    #[must_use]
    pub const fn codec(&self) -> Codec {
        match self {
            Self::H264(_) => Codec::H264,
            Self::Video(picture) => picture.format.codec(),
            Self::Opus => Codec::Opus,
        }
    }

    /// What it takes to decode the video; `None` for sound.
    #[must_use]
    pub const fn video_format(&self) -> Option<VideoFormat> {
        match self {
            Self::H264(parameters) => {
                Some(VideoFormat::H264 { profile_level_id: parameters.profile_level_id })
            }
            Self::Video(picture) => Some(picture.format),
            Self::Opus => None,
        }
    }

    /// Width and height of the picture in pixels; `None` for sound.
    #[must_use]
    pub const fn size(&self) -> Option<(u32, u32)> {
        match self {
            Self::H264(parameters) => Some((parameters.width, parameters.height)),
            Self::Video(picture) => Some((picture.width, picture.height)),
            Self::Opus => None,
        }
    }
}

/// What a sequence parameter set says that viewers and operators want to know.
#[derive(Clone, Debug, PartialEq)]
pub struct H264Parameters {
    /// As in SDP (RFC 6184 section 8.1): profile, constraint flags, level.
    pub profile_level_id: [u8; 3],
    /// In pixels, after cropping.
    pub width: u32,
    /// In pixels, after cropping.
    pub height: u32,
    /// As announced; most encoders announce none.
    pub fps: Option<f64>,
    /// How many pictures may come before one that is shown earlier; above zero means B-frames.
    pub max_reorder_frames: Option<u8>,
}

/// One thing a reader has to know, in the order in which it happened.
#[derive(Clone, Debug)]
pub enum FeedItem {
    /// Packets in order of arrival. Nearly always also in order of number; a late one stands where it came
    /// and belongs where its number says.
    Packets {
        /// Their track.
        track: Track,
        /// Never empty.
        packets: Vec<Arc<Packet>>,
    },
    /// The place of a track on the relay's clock was set or corrected. Corrections of both tracks come in
    /// the same batch.
    Clock {
        /// Whose.
        track: Track,
        /// From now on.
        clock: TrackClock,
        /// What the tracks have in common will only be corrected in small steps. Before that it may be wrong by as much as the
        /// stream's first packets had been waiting somewhere, and browsers, who draw a line through the last twenty sender
        /// reports, would be wrong for as many seconds.
        settled: bool,
    },
    /// How late the media is already when it is due on its clock and when it comes, as far as that is known from now on. A
    /// correction of the clocks changes it too, and then comes in the same batch.
    Uplink(Option<Uplink>),
    /// The stream's coding became known or changed.
    Parameters {
        /// Whose.
        track: Track,
        /// From now on.
        parameters: CodecParameters,
    },
    /// The layers of the picture that flow, best first; never empty. Before the first such item there is one,
    /// [`Track::Video`].
    Layers(Arc<[Track]>),
    /// Packets from `from` up to and without `to` did not come in time. Should one come after all, it is
    /// delivered as a late packet.
    Lost {
        /// Whose.
        track: Track,
        /// First missing number.
        from: SeqNo,
        /// First number after the hole.
        to: SeqNo,
    },
    /// A new publisher session begins at `first`. Numbers and timestamps go on; a decoder has to start anew
    /// there, and the packet at `first` lets it.
    Epoch {
        /// Whose.
        track: Track,
        /// The first packet of the session.
        first: SeqNo,
    },
    /// No media for about a second; the stream is kept.
    Away,
    /// Media came again after [`FeedItem::Away`].
    Back,
    /// The stream is over; nothing follows.
    Ended(CloseReason),
}

/// Everything one burst of datagrams brought, shared by all readers: one wake-up per burst and reader.
#[derive(Clone, Debug)]
pub struct FeedBatch {
    /// Whose.
    pub stream: StreamId,
    /// In order; never empty.
    pub items: Vec<FeedItem>,
}

/// A reader of streams.
pub trait FeedSink: Send + Sync {
    /// Takes a batch. Runs on the inlet's task: it must not block, and when its queue is full it is the
    /// reader that loses (and counts) the batch.
    fn deliver(&self, batch: &Arc<FeedBatch>);
}

/// The readers of all streams of a relay. A reader sees every stream that begins after it was added from
/// its first packet; each has to tell for itself what concerns it.
#[derive(Clone, Default)]
pub struct Sinks {
    list: Arc<RwLock<Vec<Arc<dyn FeedSink>>>>,
}

impl Sinks {
    /// Adds a reader.
    pub fn add(&self, sink: Arc<dyn FeedSink>) {
        self.list.write().unwrap_or_else(PoisonError::into_inner).push(sink);
    }

    /// Removes a reader.
    pub fn remove(&self, sink: &Arc<dyn FeedSink>) {
        self.list.write().unwrap_or_else(PoisonError::into_inner).retain(|other| !Arc::ptr_eq(other, sink));
    }

    /// Hands a batch to every reader; an empty one to nobody.
    pub fn deliver(&self, batch: FeedBatch) {
        if batch.items.is_empty() {
            return;
        }
        let batch = Arc::new(batch);
        for sink in self.list.read().unwrap_or_else(PoisonError::into_inner).iter() {
            sink.deliver(&batch);
        }
    }
}

impl std::fmt::Debug for Sinks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let readers = self.list.read().unwrap_or_else(PoisonError::into_inner).len();
        f.debug_struct("Sinks").field("readers", &readers).finish()
    }
}
