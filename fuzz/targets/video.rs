//! Payloads of all video codecs, as a relay looks at them.
#![no_main]

use heliograph_media::{Codec, av1, h265, rtp, video, vp8, vp9};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for codec in [Codec::H264, Codec::H265, Codec::Vp8, Codec::Vp9, Codec::Av1] {
        let look = video::look(codec, data);
        if let Some(picture) = video::picture(codec, data) {
            assert!(picture.width > 0 && picture.height > 0);
            assert_eq!(picture.format.codec(), codec);
            let look = look.expect("what can be read is well formed");
            assert!(look.sequence_parameters || codec == Codec::Av1, "nobody would look for it otherwise");
        }
        if let Ok(look) = look
            && matches!(codec, Codec::Vp8 | Codec::Vp9 | Codec::Av1)
        {
            assert_eq!(look.sequence_parameters, look.key_picture);
            assert_eq!(look.picture_parameters, look.key_picture);
            assert!(look.opens || !look.key_picture);
        }
    }
    // Nothing comes out that did not go in, but for sizes.
    let pieces = || data.chunks(29);
    if let Some(unit) = av1::temporal_unit(pieces()) {
        assert!(unit.len() <= 8 * data.len());
    }
    if let Some(units) = h265::units(pieces()) {
        assert!(units.iter().map(Vec::len).sum::<usize>() <= 2 * data.len());
    }
    for body in [vp8::body(data), vp9::lowest_layer(data)].into_iter().flatten() {
        assert!(body.len() < data.len());
    }
    for id in 0..=15 {
        if let Some(element) = rtp::extension(data, id) {
            assert!(element.len() <= 255);
        }
    }
});
