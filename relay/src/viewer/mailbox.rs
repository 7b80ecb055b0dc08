//! What a worker tells the one who holds a viewer session: a few facts, not a queue, so that nobody can make it
//! grow by not reading.

use std::sync::{Mutex, PoisonError};

use heliograph_media::Codec;
use tokio::sync::Notify;

use crate::CloseReason;

/// The facts, and a bell.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    facts: Mutex<Facts>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Facts {
    connected: bool,
    connected_told: bool,
    missing: Vec<Codec>,
    ended: Option<CloseReason>,
}

/// The next thing to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    Connected,
    Missing(Codec),
    Ended(CloseReason),
}

impl Mailbox {
    pub(crate) fn connected(&self) {
        self.with(|facts| facts.connected = true);
    }

    pub(crate) fn missing(&self, codec: Codec) {
        self.with(|facts| facts.missing.push(codec));
    }

    /// The first reason stands.
    pub(crate) fn ended(&self, reason: CloseReason) {
        self.with(|facts| {
            facts.ended.get_or_insert(reason);
        });
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.facts().connected
    }

    pub(crate) fn end_reason(&self) -> Option<CloseReason> {
        self.facts().ended.clone()
    }

    /// The next fact that was not told yet; the end is told again and again.
    pub(crate) fn take(&self) -> Option<Fact> {
        let mut facts = self.facts();
        if let Some(codec) = facts.missing.pop() {
            return Some(Fact::Missing(codec));
        }
        if facts.connected && !facts.connected_told {
            facts.connected_told = true;
            return Some(Fact::Connected);
        }
        facts.ended.clone().map(Fact::Ended)
    }

    /// Waits for news; may return without any.
    pub(crate) async fn rung(&self) {
        self.bell.notified().await;
    }

    fn with(&self, change: impl FnOnce(&mut Facts)) {
        change(&mut self.facts());
        self.bell.notify_one();
    }

    fn facts(&self) -> std::sync::MutexGuard<'_, Facts> {
        // A panic elsewhere leaves whole values behind: each critical section only copies or replaces.
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_told_once_and_the_end_for_ever() {
        let mailbox = Mailbox::default();
        assert_eq!(mailbox.take(), None);
        mailbox.connected();
        mailbox.missing(Codec::H264);
        assert_eq!(mailbox.take(), Some(Fact::Missing(Codec::H264)));
        assert_eq!(mailbox.take(), Some(Fact::Connected));
        assert_eq!(mailbox.take(), None);
        mailbox.ended(CloseReason::ViewerLeft);
        mailbox.ended(CloseReason::Kicked);
        for _ in 0..2 {
            assert_eq!(mailbox.take(), Some(Fact::Ended(CloseReason::ViewerLeft)));
        }
    }
}
