//! A picture in layers, as every door tells the relay of it: one payload type for each, all in one codec.

use heliograph_edge::sdp;
use heliograph_media::{Codec, PayloadType};
use heliograph_relay::{LayerDescription, TrackDescription};

/// One of the layers of a picture, by its place in the order in which they were announced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Layer(usize);

impl Layer {
    /// How many there may be, whatever the door.
    pub const MOST: usize = sdp::MAX_LAYERS;
    /// The first one, which is the whole picture when there are no others.
    pub const FIRST: Self = Self(0);

    /// All that there may be, in their order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::MOST).map(Self)
    }

    /// Place in an array of [`Self::MOST`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.0
    }
}

/// What packets carry on their way to the relay (RFC 3551 leaves 96 to 127 free): its usual numbers, and behind them one
/// more for each further layer.
pub(crate) fn payload_type(codec: Codec, layer: Layer) -> PayloadType {
    match (codec, layer) {
        (Codec::Opus, _) => PayloadType::OPUS,
        (_, Layer::FIRST) => PayloadType::H264,
        (_, Layer(further)) => {
            let number =
                u8::try_from(further).ok().and_then(|further| PayloadType::OPUS.get().checked_add(further));
            number.and_then(PayloadType::new).expect("at most four layers")
        }
    }
}

/// What the relay is told of a picture whose layers have these names; one without layers may have none.
pub(crate) fn picture(codec: Codec, names: &[String]) -> TrackDescription {
    let mut description = TrackDescription::video(codec, payload_type(codec, Layer::FIRST));
    description.rid = names.first().cloned();
    let further = Layer::all().zip(names).skip(1).map(|(layer, name)| LayerDescription {
        rid: name.clone(),
        payload_type: payload_type(codec, layer).get(),
    });
    description.layers = further.collect();
    description
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_layer_has_a_payload_type_of_its_own() {
        let names = ["h", "m", "l", "s"].map(str::to_owned);
        let description = picture(Codec::H264, &names);
        assert_eq!((description.rid.as_deref(), description.payload_type), (Some("h"), 96));
        let layers = description.layers.iter().map(|layer| (layer.rid.as_str(), layer.payload_type));
        assert_eq!(layers.collect::<Vec<_>>(), [("m", 98), ("l", 99), ("s", 100)]);
        assert_eq!(picture(Codec::H264, &[]), TrackDescription::defaults()[0]);
    }
}
