//! Who sits at a desk: random tokens in cookies, and the channel that each of them opens.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use heliograph_relay::ChannelName;
use rand::RngExt as _;

/// A working day.
pub(crate) const LIFETIME: Duration = Duration::from_secs(12 * 3600);
/// More desks than any server has; the oldest ones are closed.
const MAX_SESSIONS: usize = 10_000;

/// All open desks.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<HashMap<String, Session>>);

#[derive(Clone, Debug)]
struct Session {
    channel: ChannelName,
    key: HeldKey,
    until: Instant,
}

/// The stream key that a desk was opened with: for as long as it is open, its browser may publish. `Debug` does not show
/// it.
#[derive(Clone)]
pub struct HeldKey(Arc<str>);

impl HeldKey {
    pub(crate) fn new(key: &str) -> Self {
        Self(key.into())
    }

    /// The key itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for HeldKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeldKey(hidden)")
    }
}

impl Sessions {
    /// Opens a desk; returns the token, 32 hexadecimal digits of 128 random bits.
    pub(crate) fn begin(&self, now: Instant, channel: ChannelName, key: HeldKey) -> String {
        let mut sessions = self.lock();
        sessions.retain(|_, session| session.until > now);
        if sessions.len() >= MAX_SESSIONS
            && let Some(oldest) = sessions.iter().min_by_key(|(_, session)| session.until)
        {
            let oldest = oldest.0.clone();
            sessions.remove(&oldest);
        }
        let token = format!("{:032x}", rand::rng().random::<u128>());
        sessions.insert(token.clone(), Session { channel, key, until: now + LIFETIME });
        token
    }

    /// The channel that a token opens.
    pub(crate) fn channel(&self, now: Instant, token: &str) -> Option<ChannelName> {
        self.lock().get(token).filter(|session| session.until > now).map(|session| session.channel.clone())
    }

    /// The key that a desk was opened with.
    pub(crate) fn key(&self, now: Instant, token: &str) -> Option<HeldKey> {
        self.lock().get(token).filter(|session| session.until > now).map(|session| session.key.clone())
    }

    /// Closes a desk.
    pub(crate) fn end(&self, token: &str) {
        self.lock().remove(token);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_desk_closes_by_hand_and_with_time() {
        let sessions = Sessions::default();
        let den: ChannelName = "den".parse().unwrap();
        let begin = Instant::now();
        let key = || HeldKey::new("1-right");
        let [a, b] = [0, 1].map(|_| sessions.begin(begin, den.clone(), key()));
        assert_eq!(sessions.key(begin, &a).map(|key| key.reveal().to_owned()).as_deref(), Some("1-right"));
        assert!(!format!("{sessions:?}").contains("right"));
        assert_ne!(a, b);
        assert_eq!(a.len(), 32);
        assert_eq!(sessions.channel(begin, &a), Some(den.clone()));
        sessions.end(&a);
        assert_eq!(sessions.channel(begin, &a), None);
        assert_eq!(sessions.channel(begin + LIFETIME - Duration::from_secs(1), &b), Some(den.clone()));
        assert_eq!(sessions.channel(begin + LIFETIME, &b), None);
        assert_eq!(sessions.channel(begin, ""), None);
    }

    #[test]
    fn their_number_is_bounded() {
        let sessions = Sessions::default();
        let den: ChannelName = "den".parse().unwrap();
        let begin = Instant::now();
        let first = sessions.begin(begin, den.clone(), HeldKey::new("1-right"));
        for second in 1..=MAX_SESSIONS {
            let later = begin + Duration::from_millis(second as u64);
            sessions.begin(later, den.clone(), HeldKey::new("1-right"));
        }
        assert_eq!(sessions.lock().len(), MAX_SESSIONS);
        assert_eq!(sessions.channel(begin, &first), None);
    }
}
