//! Transaction ids seen lately: a copied check must not move the stream.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long an id is remembered.
const MEMORY: Duration = Duration::from_secs(30);
/// Ids remembered at most; browsers send about 20 checks a second at the start and one every few seconds
/// later. Only the peer itself, who holds the password, can push ids out.
const MAX_IDS: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct SeenTransactions {
    ids: VecDeque<(Instant, [u8; 12])>,
}

impl SeenTransactions {
    /// Notes an authenticated check; true when its id is new.
    pub(super) fn note(&mut self, now: Instant, id: [u8; 12]) -> bool {
        while self.ids.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > MEMORY) {
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
