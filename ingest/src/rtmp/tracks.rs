//! Which video tracks of a session become layers of its picture (Enhanced RTMP v2, multitrack).
//!
//! The first track that says how it is coded decides the codec. Others in the same codec are further layers, as many as
//! there may be; what else comes is left out, and named once. Their sizes do not matter here.

use std::collections::BTreeSet;

use heliograph_media::Codec;

use super::flv::VideoCodec;
use crate::Layer;

/// The video tracks that came so far.
#[derive(Debug, Default)]
pub(super) struct Tracks {
    /// One for each layer, at most [`Layer::MOST`].
    layers: Vec<Track>,
}

/// One that has become a layer.
#[derive(Debug)]
pub(super) struct Track {
    number: u8,
    /// `None`: it goes on in another codec than the first one, and is left out until it comes back.
    pub(super) codec: Option<Codec>,
    /// Bytes of the length in front of each NAL unit.
    pub(super) length_size: usize,
    /// The time of its newest tag, milliseconds.
    pub(super) last: Option<u64>,
}

/// Why a track does not reach viewers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeftOut {
    /// Another one than number 0.
    #[error("audio track {0}: there is one sound for all, track 0")]
    Audio(u8),
    /// Of another codec than the first one.
    #[error("video track {0} is {1}: all must be in the codec of the first one, and H.264, H.265 or AV1")]
    Codec(u8, VideoCodec),
    /// All layers are taken.
    #[error("video track {0}: there may be {most} at most", most = Layer::MOST)]
    TooMany(u8),
}

/// Tracks of one kind that were named already. Numbers have eight bits, so this is bounded.
pub(super) type Named = BTreeSet<u8>;

impl Tracks {
    /// The track says how its pictures are coded: `said`, which `codec` is in our words.
    pub(super) fn configure(
        &mut self,
        number: u8,
        said: VideoCodec,
        codec: Codec,
        length_size: usize,
    ) -> Result<Layer, LeftOut> {
        let known = self.layers.iter().position(|track| track.number == number);
        if known == Some(0) && self.layers[0].codec != Some(codec) {
            // Another stream begins, whose other tracks have to say how they are coded.
            self.layers.truncate(1);
        }
        let first = self.layers.first().filter(|_| known != Some(0)).and_then(|first| first.codec);
        let place = known.unwrap_or(self.layers.len());
        if first.is_some_and(|first| first != codec) {
            if let Some(track) = self.layers.get_mut(place) {
                track.codec = None;
            }
            return Err(LeftOut::Codec(number, said));
        }
        let layer = Layer::all().nth(place).ok_or(LeftOut::TooMany(number))?;
        match self.layers.get_mut(place) {
            Some(track) => (track.codec, track.length_size) = (Some(codec), length_size),
            None => self.layers.push(Track { number, codec: Some(codec), length_size, last: None }),
        }
        Ok(layer)
    }

    /// The layer that a track has become, if it has.
    pub(super) fn find(&mut self, number: u8) -> Option<(Layer, &mut Track)> {
        Layer::all().zip(&mut self.layers).find(|(_, track)| track.number == number)
    }

    /// Without this track there is no picture.
    pub(super) fn decides(&self, number: u8) -> bool {
        self.layers.first().map_or(number == 0, |first| first.number == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtmp::flv::FourCc;

    fn configure(tracks: &mut Tracks, number: u8, codec: Codec) -> Result<usize, LeftOut> {
        tracks.configure(number, said(codec), codec, 4).map(Layer::index)
    }

    fn said(codec: Codec) -> VideoCodec {
        if codec == Codec::H264 { VideoCodec::Avc } else { VideoCodec::FourCc(FourCc(*b"hvc1")) }
    }

    #[test]
    fn as_many_layers_as_there_may_be_in_the_order_of_their_beginning() {
        let mut tracks = Tracks::default();
        assert!(tracks.decides(0) && !tracks.decides(1));
        for (layer, number) in [7, 0, 255, 3].into_iter().enumerate() {
            assert_eq!(configure(&mut tracks, number, Codec::H264), Ok(layer));
        }
        assert_eq!(configure(&mut tracks, 1, Codec::H264), Err(LeftOut::TooMany(1)));
        assert_eq!(configure(&mut tracks, 255, Codec::H264), Ok(2), "again");
        assert!(tracks.decides(7) && !tracks.decides(0));
        assert!(tracks.find(1).is_none());
        assert_eq!(tracks.find(3).map(|(layer, _)| layer.index()), Some(3));
    }

    #[test]
    fn the_first_one_decides_the_codec() {
        let (h264, h265) = (Codec::H264, Codec::H265);
        let mut tracks = Tracks::default();
        let other = |number| Err(LeftOut::Codec(number, said(h265)));
        assert_eq!(configure(&mut tracks, 0, h264), Ok(0));
        assert_eq!(configure(&mut tracks, 1, h265), other(1));
        assert!(tracks.find(1).is_none());
        assert_eq!(configure(&mut tracks, 2, h264), Ok(1));
        // One that changes keeps its place.
        assert_eq!(configure(&mut tracks, 2, h265), other(2));
        assert_eq!(tracks.find(2).map(|(_, track)| track.codec), Some(None));
        assert_eq!(configure(&mut tracks, 3, h264), Ok(2));
        assert_eq!(configure(&mut tracks, 2, h264), Ok(1));
        // With the first one all begin anew.
        assert_eq!(configure(&mut tracks, 0, h265), Ok(0));
        assert!(tracks.find(2).is_none() && tracks.find(3).is_none());
        assert_eq!(configure(&mut tracks, 3, h265), Ok(1));
    }
}
