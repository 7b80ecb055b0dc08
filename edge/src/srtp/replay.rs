//! Which packet indices were seen (RFC 3711 section 3.3.2), and state per source.

use super::SrtpError;

/// Remembers the last `64 * WORDS` indices.
#[derive(Clone, Debug)]
pub(super) struct ReplayWindow<const WORDS: usize> {
    highest: Option<u64>,
    /// Bit `i % (64 * WORDS)` is set when index `i` of the window was seen.
    seen: [u64; WORDS],
}

impl<const WORDS: usize> ReplayWindow<WORDS> {
    const SIZE: u64 = 64 * WORDS as u64;

    pub(super) const fn new() -> Self {
        Self { highest: None, seen: [0; WORDS] }
    }

    pub(super) const fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// Whether `index` is new. Call before authentication, to save work.
    pub(super) fn check(&self, index: u64) -> Result<(), SrtpError> {
        let Some(highest) = self.highest else { return Ok(()) };
        let new = index > highest || (highest - index < Self::SIZE && !self.bit(index));
        if new { Ok(()) } else { Err(SrtpError::Replayed) }
    }

    /// Marks `index`. Call after authentication only.
    pub(super) fn accept(&mut self, index: u64) {
        match self.highest {
            Some(highest) if index > highest => {
                if index - highest >= Self::SIZE {
                    self.seen = [0; WORDS];
                } else {
                    for skipped in highest + 1..=index {
                        self.set(skipped, false);
                    }
                }
                self.highest = Some(index);
            }
            Some(_) => {}
            None => self.highest = Some(index),
        }
        self.set(index, true);
    }

    fn place(index: u64) -> (usize, u64) {
        let bit = index % Self::SIZE;
        ((bit / 64) as usize, 1 << (bit % 64))
    }

    fn bit(&self, index: u64) -> bool {
        let (word, mask) = Self::place(index);
        self.seen[word] & mask != 0
    }

    fn set(&mut self, index: u64, seen: bool) {
        let (word, mask) = Self::place(index);
        if seen {
            self.seen[word] |= mask;
        } else {
            self.seen[word] &= !mask;
        }
    }
}

/// Windows of the sources that proved to hold the key. A new source beyond the bound is refused: forgetting
/// an old one would open it to replays.
#[derive(Debug)]
pub(super) struct Sources<const WORDS: usize> {
    windows: Vec<(u32, ReplayWindow<WORDS>)>,
}

/// Browsers use one or two sources for a viewer's feedback, a publisher a handful with layers and
/// retransmission.
pub(super) const MAX_SOURCES: usize = 16;

impl<const WORDS: usize> Sources<WORDS> {
    pub(super) const fn new() -> Self {
        Self { windows: Vec::new() }
    }

    pub(super) fn get(&self, ssrc: u32) -> Option<&ReplayWindow<WORDS>> {
        self.windows.iter().find(|(source, _)| *source == ssrc).map(|(_, window)| window)
    }

    /// Whether a packet of this source can be remembered.
    pub(super) fn has_room(&self, ssrc: u32) -> Result<(), SrtpError> {
        if self.windows.len() < MAX_SOURCES || self.get(ssrc).is_some() {
            Ok(())
        } else {
            Err(SrtpError::TooManySources)
        }
    }

    pub(super) fn accept(&mut self, ssrc: u32, index: u64) {
        if let Some((_, window)) = self.windows.iter_mut().find(|(source, _)| *source == ssrc) {
            window.accept(index);
        } else if self.windows.len() < MAX_SOURCES {
            let mut window = ReplayWindow::new();
            window.accept(index);
            self.windows.push((ssrc, window));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_index_passes_once_and_old_ones_never() {
        let mut window = ReplayWindow::<1>::new();
        for start in [0, 1, 63, 64, 65_535, (1 << 31) - 70] {
            window = ReplayWindow::new();
            for index in start..start + 200 {
                assert_eq!(window.check(index), Ok(()));
                window.accept(index);
                assert_eq!(window.check(index), Err(SrtpError::Replayed));
            }
        }
        let highest = window.highest().unwrap_or_default();
        assert_eq!(window.check(highest - 64), Err(SrtpError::Replayed));
    }

    #[test]
    fn late_within_the_window_is_fine() {
        let mut window = ReplayWindow::<1>::new();
        window.accept(100);
        window.accept(163);
        assert_eq!(window.check(101), Ok(()));
        assert_eq!(window.check(100), Err(SrtpError::Replayed));
        assert_eq!(window.check(99), Err(SrtpError::Replayed));
        window.accept(1_000_000);
        assert_eq!(window.check(1_000_000 - 63), Ok(()));
    }

    #[test]
    fn sources_are_bounded() {
        let mut sources = Sources::<1>::new();
        for ssrc in 0..100 {
            sources.accept(ssrc, 1);
        }
        assert_eq!(sources.windows.len(), MAX_SOURCES);
        assert_eq!(sources.has_room(3), Ok(()));
        assert_eq!(sources.has_room(99), Err(SrtpError::TooManySources));
    }

    proptest! {
        #[test]
        fn never_twice(steps in proptest::collection::vec(0u64..400, 1..200)) {
            let mut window = ReplayWindow::<2>::new();
            let mut seen = HashSet::new();
            for index in steps {
                if window.check(index).is_ok() {
                    prop_assert!(seen.insert(index), "{} passed twice", index);
                    window.accept(index);
                }
            }
        }
    }
}
