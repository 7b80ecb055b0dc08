//! Transaction ids seen lately: a copied check must not move the stream.

use std::collections::VecDeque;
use std::time::Instant;

/// How long an id is remembered.
const MEMORY_MS: u32 = 30_000;
/// Ids remembered at most; browsers send about 20 checks a second at the start and one every few seconds
/// later. Only the peer itself, who holds the password, can push ids out.
const MAX_IDS: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct SeenTransactions {
    /// What the times count from.
    origin: Option<Instant>,
    /// With the milliseconds since the origin.
    ids: VecDeque<(u32, [u8; 12])>,
}

impl SeenTransactions {
    /// Notes an authenticated check; true when its id is new.
    pub(super) fn note(&mut self, now: Instant, id: [u8; 12]) -> bool {
        if self.ids.is_empty() {
            self.origin = None;
        }
        let now = now.saturating_duration_since(*self.origin.get_or_insert(now)).as_millis();
        // Fifty days of checks that are never half a minute apart.
        let now = u32::try_from(now).unwrap_or(u32::MAX);
        while self.ids.front().is_some_and(|(at, _)| now.saturating_sub(*at) > MEMORY_MS) {
            self.ids.pop_front();
        }
        if self.ids.iter().any(|(_, seen)| *seen == id) {
            return false;
        }
        if self.ids.len() >= MAX_IDS {
            self.ids.pop_front();
        }
        self.ids.push_back((now, id));
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn remembered_for_thirty_seconds() {
        let start = Instant::now();
        let mut seen = SeenTransactions::default();
        assert!(seen.note(start, [1; 12]));
        assert!(seen.note(start + Duration::from_secs(1), [2; 12]));
        assert!(!seen.note(start + Duration::from_secs(30), [1; 12]));
        assert!(seen.note(start + Duration::from_millis(30_001), [1; 12]));
        assert!(!seen.note(start + Duration::from_millis(30_001), [2; 12]));
    }

    #[test]
    fn bounded() {
        let now = Instant::now();
        let mut seen = SeenTransactions::default();
        for i in 0..5_000u32 {
            let mut id = [0; 12];
            id[..4].copy_from_slice(&i.to_be_bytes());
            assert!(seen.note(now, id));
        }
        assert_eq!(seen.ids.len(), MAX_IDS);
    }
}
