//! Who sits at a desk: random tokens in cookies, and the channel that each of them opens.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
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
    until: Instant,
}

impl Sessions {
    /// Opens a desk; returns the token, 32 hexadecimal digits of 128 random bits.
    pub(crate) fn begin(&self, now: Instant, channel: ChannelName) -> String {
        let mut sessions = self.lock();
        sessions.retain(|_, session| session.until > now);
        if sessions.len() >= MAX_SESSIONS
            && let Some(oldest) = sessions.iter().min_by_key(|(_, session)| session.until)
        {
            let oldest = oldest.0.clone();
            sessions.remove(&oldest);
        }
        let token = format!("{:032x}", rand::rng().random::<u128>());
        sessions.insert(token.clone(), Session { channel, until: now + LIFETIME });
        token
    }

    /// The channel that a token opens.
    pub(crate) fn channel(&self, now: Instant, token: &str) -> Option<ChannelName> {
        self.lock().get(token).filter(|session| session.until > now).map(|session| session.channel.clone())
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
        let (a, b) = (sessions.begin(begin, den.clone()), sessions.begin(begin, den.clone()));
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
        let first = sessions.begin(begin, den.clone());
        for second in 1..=MAX_SESSIONS {
            sessions.begin(begin + Duration::from_millis(second as u64), den.clone());
        }
        assert_eq!(sessions.lock().len(), MAX_SESSIONS);
        assert_eq!(sessions.channel(begin, &first), None);
    }
}
