//! A stream key that is sent as it is (RTMP, SRT, WHIP), and the proof that an authoriser wants for it.
//!
//! Authorisers judge a digest over a challenge, which is what FTL sends. For a key in the clear the door makes the
//! challenge and the digest itself, so that every authoriser, also an external one, serves every door.

use std::net::SocketAddr;

use heliograph_relay::ChannelName;
use rand::RngExt as _;

use crate::{
    Secret,
    auth::{Attempt, Authoriser, Door, SessionId, digest},
};

/// What a publisher showed: `ID-SECRET`, or a channel and its secret.
#[derive(Clone, Debug)]
pub struct PlainKey {
    /// From the key itself, or nothing when only the secret was given.
    id: Option<u32>,
    /// As named beside the key: the channel that is meant.
    channel: Option<ChannelName>,
    secret: Secret,
}

impl PlainKey {
    /// Reads `ID-SECRET` (also `ID_SECRET`, `ID,SECRET`), or with a `channel` the secret alone. `None` when it cannot be
    /// a key of anything.
    #[must_use]
    pub fn parse(channel: Option<ChannelName>, text: &str) -> Option<Self> {
        let split =
            text.split_once(['-', '_', ',']).and_then(|(id, secret)| Some((id.parse().ok()?, secret)));
        match split {
            Some((id, secret)) if id != 0 => {
                Some(Self { id: Some(id), channel, secret: Secret::new(secret).ok()? })
            }
            _ => {
                channel.as_ref()?;
                Some(Self { id: None, channel, secret: Secret::new(text).ok()? })
            }
        }
    }

    /// The channel that was named beside the key.
    #[must_use]
    pub fn channel(&self) -> Option<&ChannelName> {
        self.channel.as_ref()
    }

    /// The attempt to show to `authoriser`; `None` when it knows no number for the channel.
    pub(super) fn attempt(
        &self,
        authoriser: &dyn Authoriser,
        session: SessionId,
        door: Door,
        remote: SocketAddr,
    ) -> Option<Attempt> {
        let channel_id = match (self.id, &self.channel) {
            (Some(id), _) => id,
            (None, Some(channel)) => authoriser.channel_id(channel)?,
            (None, None) => return None,
        };
        let challenge = rand::rng().random::<[u8; CHALLENGE_BYTES]>().to_vec();
        let digest = digest::digest(&self.secret, &challenge);
        Some(Attempt { session, channel_id, door, challenge, digest, remote })
    }
}

const CHALLENGE_BYTES: usize = 128;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn read(channel: Option<&str>, text: &str) -> Option<(Option<u32>, String)> {
        let key = PlainKey::parse(channel.map(|name| name.parse().unwrap()), text)?;
        Some((key.id, key.secret.reveal().to_owned()))
    }

    #[test]
    fn shapes() {
        let some = |id, secret: &str| Some((id, secret.to_owned()));
        for (channel, text, expected) in [
            (None, "77-abc", some(Some(77), "abc")),
            (None, "77_abc", some(Some(77), "abc")),
            (None, "77-a-b", some(Some(77), "a-b")),
            (Some("den"), "77-abc", some(Some(77), "abc")),
            (Some("den"), "abc", some(None, "abc")),
            (Some("den"), "ab-c", some(None, "ab-c")),
            (Some("den"), "0-c", some(None, "0-c")),
            (None, "abc", None),
            (None, "0-abc", None),
            (None, "77-", None),
            (None, "", None),
            (Some("den"), "", None),
            (Some("den"), "a\nb", None),
            (None, "4294967296-abc", None),
        ] {
            assert_eq!(read(channel, text), expected, "{channel:?} {text:?}");
        }
        assert_eq!(read(Some("den"), &"x".repeat(100)), None);
    }
}
