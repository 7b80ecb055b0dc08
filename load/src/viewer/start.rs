//! When a viewer has its first picture, and when its start is clean: the keyframe complete, and the picture after it
//! complete as well. A first picture alone proves little: a server may send a keyframe and then leave a hole.

use crate::sys::clock::Mono;

/// Packets looked at from the first one on.
const PACKETS: u64 = 1024;

/// Watches the first packets of the video.
#[derive(Debug, Clone, Default)]
pub(crate) struct StartWatch {
    first: Option<u64>,
    came: Box<[u64]>,
    /// Packets from the first one on that are there without a hole.
    whole: u64,
    /// Distances from the first packet to those that end the first and the second picture.
    ends: [Option<u64>; 2],
    /// When the first picture was complete.
    pub(crate) picture: Option<Mono>,
    /// When the second one was, too.
    pub(crate) clean: Option<Mono>,
}

impl StartWatch {
    /// Whether there is nothing left to see: cheap, for each packet.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.clean.is_some()
    }

    /// Takes a packet by its extended number. `may_begin` says whether the start may lie here; until then all is ignored. Where
    /// a hole stayed in the first [`PACKETS`], the start is a later one, as it is for who watches.
    pub(crate) fn add(&mut self, number: u64, marker: bool, may_begin: bool, now: Mono) {
        let is_hopeless = self.first.is_some_and(|first| number.saturating_sub(first) >= PACKETS);
        if is_hopeless && may_begin {
            *self = Self { picture: self.picture, ..Self::default() };
        }
        let Some(first) = self.first.or(may_begin.then_some(number)) else { return };
        if self.first.is_none() {
            self.first = Some(first);
            self.came = vec![0; (PACKETS / 64) as usize].into();
        }
        let Some(distance) = number.checked_sub(first).filter(|&distance| distance < PACKETS) else { return };
        self.came[(distance / 64) as usize] |= 1 << (distance % 64);
        if marker {
            self.note_end(distance);
        }
        while self.whole < PACKETS && self.came[(self.whole / 64) as usize] & (1 << (self.whole % 64)) != 0 {
            self.whole += 1;
        }
        let complete = |end: Option<u64>| end.is_some_and(|end| end < self.whole);
        if complete(self.ends[0]) {
            self.picture.get_or_insert(now);
        }
        if complete(self.ends[1]) {
            self.clean = Some(now);
            self.came = Box::default();
        }
    }

    /// Markers may come in any order.
    fn note_end(&mut self, distance: u64) {
        let mut ends = [self.ends[0], self.ends[1], Some(distance)];
        ends.sort_by_key(|end| end.unwrap_or(u64::MAX));
        self.ends = [ends[0], ends[1]];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets as (number, marker), one each millisecond; when picture and clean start were there.
    fn watch(packets: &[(u64, bool)], begin_at: u64) -> (Option<u64>, Option<u64>) {
        let mut watch = StartWatch::default();
        for (at, &(number, marker)) in packets.iter().enumerate() {
            if !watch.is_over() {
                watch.add(number, marker, number >= begin_at, Mono(at as u64));
            }
        }
        (watch.picture.map(|at| at.0), watch.clean.map(|at| at.0))
    }

    #[test]
    fn two_pictures_without_a_hole() {
        let (no, yes) = (false, true);
        for (packets, expected) in [
            (&[(5, no), (6, no), (7, yes), (8, no), (9, yes)][..], (Some(2), Some(4))),
            (&[(5, no), (7, yes), (6, no), (9, yes), (8, no)], (Some(2), Some(4))),
            (&[(5, no), (7, yes), (8, no), (9, yes)], (None, None)),
            (&[(5, no), (6, no), (7, yes), (9, yes)], (Some(2), None)),
            (&[(5, yes), (6, yes)], (Some(0), Some(1))),
            (&[(5, no), (9, yes), (6, no), (7, yes), (8, no)], (Some(3), Some(4))),
            (&[(5, no), (7, yes), (1029, yes), (1030, yes)], (Some(2), Some(3))),
            (&[], (None, None)),
        ] {
            assert_eq!(watch(packets, 0), expected, "{packets:?}");
        }
    }

    #[test]
    fn what_comes_before_the_keyframe_does_not_count() {
        assert_eq!(watch(&[(5, true), (6, true), (7, true), (8, true)], 7), (Some(2), Some(3)));
    }

    #[test]
    fn a_start_that_never_becomes_clean_stays_bounded() {
        let packets: Vec<_> = (0..5000).filter(|number| *number != 3).map(|number| (number, true)).collect();
        assert_eq!(watch(&packets, 0), (Some(0), Some(1)));
        let holes_at = |hole: fn(u64) -> bool| -> Vec<_> {
            (0..5000).filter(|number| !hole(*number)).map(|number| (number, number > 3)).collect()
        };
        assert_eq!(watch(&holes_at(|number| number == 1), 0), (Some(1023), Some(1024)), "a later start");
        assert_eq!(watch(&holes_at(|number| number % PACKETS == 1), 0), (Some(1023), None));
    }
}
