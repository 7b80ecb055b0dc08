//! Who may send: the first source of a payload type keeps it until it falls silent.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// Another source is taken only after so much silence of the present one.
const SILENCE: Duration = Duration::from_secs(2);

/// The source of one payload type.
#[derive(Debug, Default)]
pub(super) struct Latch {
    source: Option<(SocketAddr, Instant)>,
    reopened: bool,
}

impl Latch {
    /// Whether a media packet from `from` is taken. `new_session`: its SSRC is not that of the present epoch.
    pub(super) fn accepts(&self, now: Instant, from: SocketAddr, new_session: bool) -> bool {
        match self.source {
            None => true,
            Some((source, _)) if source == from => true,
            Some((_, heard)) => {
                now.saturating_duration_since(heard) >= SILENCE || (self.reopened && new_session)
            }
        }
    }

    /// A valid packet from `from` was taken; `true` when the source is another one than before.
    pub(super) fn hold(&mut self, now: Instant, from: SocketAddr) -> bool {
        let moved = self.source.is_none_or(|(source, _)| source != from);
        self.reopened &= !moved;
        self.source = Some((from, now));
        moved
    }

    /// Whoever allocates ports said that a new session comes: it need not wait for silence.
    pub(super) fn reopen(&mut self) {
        self.reopened = self.source.is_some();
    }

    /// Where the media comes from.
    pub(super) fn source(&self) -> Option<SocketAddr> {
        self.source.map(|(source, _)| source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn theft_silence_and_reopening() {
        let t = Instant::now();
        let [owner, thief]: [SocketAddr; 2] =
            ["127.0.0.1:5000", "127.0.0.1:6000"].map(|text| text.parse().expect("an address"));
        let mut latch = Latch::default();
        assert!(latch.accepts(t, owner, true));
        assert!(latch.hold(t, owner));
        assert!(!latch.accepts(t + Duration::from_millis(1_999), thief, true));
        assert!(!latch.hold(t + Duration::from_millis(1_999), owner));
        assert!(!latch.accepts(t + Duration::from_millis(2_000), thief, true));
        assert!(latch.accepts(t + Duration::from_millis(3_999), thief, false));

        latch.reopen();
        assert!(!latch.accepts(t + Duration::from_secs(2), thief, false));
        assert!(latch.accepts(t + Duration::from_secs(2), thief, true));
        assert!(latch.hold(t + Duration::from_secs(2), thief));
        assert!(!latch.accepts(t + Duration::from_secs(2), owner, true));
        assert_eq!(latch.source(), Some(thief));
    }
}
