//! Which header extensions a viewer's packets carry, by their number.
//!
//! They change a few times in a session: the media id goes once the viewer has shown that it knows the SSRC, the
//! playout delay when the viewer asks for another one. A packet that is sent again under the same number must be the
//! same to the last byte (a second text under one nonce gives the authentication key away), so it is remembered
//! from which number on what holds.

use super::{cursor::OutSeq, track::Extension};
use crate::PlayoutDelay;

/// Earlier blocks remembered. What is older than those is not sent again under its number.
const EARLIER: usize = 3;
/// Longer media ids (a viewer's offer may choose them) are not sent: SSRC and payload type tell as much.
const MAX_MID: usize = 8;

/// The blocks.
#[derive(Debug)]
pub(crate) struct Extensions {
    /// Packets from this number on carry `current`.
    from: u64,
    current: Extension,
    /// The current playout delay without a media id: for packets with numbers of their own (RTX).
    plain: Extension,
    /// `current` is not what is wanted any more.
    pending: bool,
    with_mid: bool,
    playout: PlayoutDelay,
    playout_id: Option<u8>,
    mid: Option<(u8, [u8; MAX_MID], u8)>,
    /// What was carried from which number on, the newest first.
    earlier: [Option<(u64, Extension)>; EARLIER],
}

impl Extensions {
    /// `playout_id` and `mid`: what was negotiated.
    pub(crate) fn new(playout_id: Option<u8>, mid: Option<(u8, &str)>, playout: PlayoutDelay) -> Self {
        let mid = mid.and_then(|(id, text)| {
            let mut bytes = [0; MAX_MID];
            bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
            ((1..15).contains(&id) && !text.is_empty()).then_some((id, bytes, text.len() as u8))
        });
        let mut extensions = Self {
            from: 0,
            current: Extension::EMPTY,
            plain: Extension::EMPTY,
            pending: false,
            with_mid: true,
            playout,
            playout_id: playout_id.filter(|id| (1..15).contains(id)),
            mid,
            earlier: [None; EARLIER],
        };
        extensions.build();
        extensions
    }

    /// The media id is not needed any more, from the next frame on.
    pub(crate) const fn drop_mid(&mut self) {
        self.pending |= self.with_mid && self.mid.is_some();
        self.with_mid = false;
    }

    /// Another playout delay, from the next frame on.
    pub(crate) fn set_playout(&mut self, playout: PlayoutDelay) {
        self.pending |= playout != self.playout && self.playout_id.is_some();
        self.playout = playout;
    }

    /// Whether [`Extensions::advance`] has something to do.
    pub(crate) const fn is_pending(&self) -> bool {
        self.pending
    }

    /// What is wanted holds from `out` on, which was not sent yet and begins a frame: all packets of a frame are to
    /// be of one size.
    pub(crate) fn advance(&mut self, out: OutSeq) {
        self.pending = false;
        if out.0 > self.from {
            self.earlier.rotate_right(1);
            self.earlier[0] = Some((self.from, self.current));
            self.from = out.0;
        }
        self.build();
    }

    /// What the packet with this number carries; `None` when that is forgotten.
    pub(crate) fn of(&self, out: OutSeq) -> Option<&Extension> {
        if out.0 >= self.from {
            return Some(&self.current);
        }
        self.earlier.iter().flatten().find(|(from, _)| out.0 >= *from).map(|(_, extension)| extension)
    }

    /// For packets that are numbered on their own.
    pub(crate) const fn plain(&self) -> &Extension {
        &self.plain
    }

    fn build(&mut self) {
        let playout = self.playout_id.map(|id| (id, self.playout));
        self.plain = Extension::new(playout, None);
        self.current = match &self.mid {
            Some((id, bytes, len)) if self.with_mid => {
                Extension::new(playout, Some((*id, &bytes[..usize::from(*len)])))
            }
            _ => self.plain,
        };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::{collections::HashMap, time::Duration};

    use proptest::prelude::*;

    use super::*;

    fn delay(max: u64) -> PlayoutDelay {
        PlayoutDelay::new(Duration::ZERO, Duration::from_millis(max))
    }

    fn bytes(extensions: &Extensions, out: u64) -> Option<Vec<u8>> {
        extensions.of(OutSeq(out)).map(|extension| extension.bytes().to_vec())
    }

    #[test]
    fn each_number_keeps_what_it_had() {
        let mut extensions = Extensions::new(Some(3), Some((4, "0")), delay(500));
        let first = bytes(&extensions, 100).unwrap();
        assert_eq!(first, [0xbe, 0xde, 0, 2, 0x32, 0, 0, 50, 0x40, b'0', 0, 0]);
        extensions.set_playout(delay(500));
        assert!(!extensions.is_pending(), "nothing new");
        extensions.drop_mid();
        extensions.drop_mid();
        assert!(extensions.is_pending());
        extensions.advance(OutSeq(110));
        extensions.set_playout(delay(2000));
        assert_eq!(
            bytes(&extensions, 120).unwrap(),
            [0xbe, 0xde, 0, 1, 0x32, 0, 0, 50],
            "not before a frame"
        );
        extensions.advance(OutSeq(130));
        assert_eq!(bytes(&extensions, 109).unwrap(), first);
        assert_eq!(bytes(&extensions, 129).unwrap(), [0xbe, 0xde, 0, 1, 0x32, 0, 0, 50]);
        assert_eq!(bytes(&extensions, 130).unwrap(), [0xbe, 0xde, 0, 1, 0x32, 0, 0, 200]);
        assert_eq!(extensions.plain().bytes(), [0xbe, 0xde, 0, 1, 0x32, 0, 0, 200]);
        for (out, max) in [(140, 510), (150, 520), (160, 530)] {
            extensions.set_playout(delay(max));
            extensions.advance(OutSeq(out));
        }
        assert_eq!(bytes(&extensions, 129), None, "forgotten");
        assert!(bytes(&extensions, 130).is_some());
    }

    #[test]
    fn what_was_not_negotiated_is_not_sent() {
        let mut extensions = Extensions::new(None, Some((4, "too long for it")), delay(500));
        extensions.set_playout(delay(2000));
        extensions.drop_mid();
        assert!(!extensions.is_pending());
        assert_eq!(bytes(&extensions, 1).unwrap(), [0; 0]);
        let ids = Extensions::new(Some(15), Some((0, "0")), delay(500));
        assert_eq!(bytes(&ids, 1).unwrap(), [0; 0], "ids of the other form");
    }

    proptest! {
        /// Whatever is asked for and when: a number that was sent once carries the same for ever, or nothing is sent.
        #[test]
        fn no_number_ever_carries_two_things(steps in proptest::collection::vec((0_u8..4, 1_u64..9), 1..60)) {
            let mut extensions = Extensions::new(Some(3), Some((4, "mid")), delay(500));
            let mut sent: HashMap<u64, Vec<u8>> = HashMap::new();
            let mut next = 7;
            for (action, amount) in steps {
                match action {
                    0 => extensions.drop_mid(),
                    1 => extensions.set_playout(delay(amount * 100)),
                    2 if extensions.is_pending() => extensions.advance(OutSeq(next)),
                    _ => {
                        for _ in 0..amount {
                            sent.insert(next, bytes(&extensions, next).unwrap());
                            next += 1;
                        }
                    }
                }
                for (&out, carried) in &sent {
                    if let Some(now) = bytes(&extensions, out) {
                        prop_assert_eq!(&now, carried, "{}", out);
                    }
                }
            }
        }
    }
}
