//! What an external service answers, the same over WebSocket and HTTP.

use heliograph_relay::ChannelName;
use serde::Deserialize;

use super::{Attempt, Verdict, digest};
use crate::secret::Secret;

/// An answer says allow or deny, or gives the channel's secret so that we can tell.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Answer {
    /// `allow` or `deny`.
    verdict: Option<String>,
    /// Why not; for the log.
    reason: Option<String>,
    /// The secret half of the channel's stream key.
    #[serde(alias = "hmacKey")]
    secret: Option<Secret>,
    /// The channel's name; its number when absent.
    channel: Option<String>,
    /// A title for people.
    name: Option<String>,
}

impl Answer {
    pub(super) fn decide(self, attempt: &Attempt) -> Verdict {
        let reason = self.reason.map_or_else(|| "the service says no".to_owned(), |text| shorten(&text));
        match self.verdict.as_deref() {
            Some("deny") => return Verdict::deny(reason),
            Some("allow") | None => {}
            Some(_) => return Verdict::unavailable("the service answered neither allow nor deny"),
        }
        match &self.secret {
            Some(secret) if !digest::proves(secret, &attempt.challenge, &attempt.digest) => {
                return Verdict::deny(format!("wrong key for channel {}", attempt.channel_id));
            }
            None if self.verdict.is_none() => {
                return Verdict::unavailable("the service answered without a verdict and without a secret");
            }
            Some(_) | None => {}
        }
        let channel = self.channel.unwrap_or_else(|| attempt.channel_id.to_string());
        match channel.parse::<ChannelName>() {
            Ok(channel) => Verdict::Allow { channel, name: self.name.map(|name| shorten(&name)) },
            Err(error) => Verdict::unavailable(format!("the service named an unusable channel: {error}")),
        }
    }
}

/// One printable line of bounded length: it comes from outside and goes into logs and pages.
fn shorten(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_TEXT_CHARS).collect()
}

const MAX_TEXT_CHARS: usize = 200;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::auth::{Door, SessionId};

    fn attempt(secret: &str) -> Attempt {
        let challenge = vec![9; 128];
        let digest = digest::digest(&Secret::new(secret).unwrap(), &challenge);
        let remote = "192.0.2.1:5000".parse().unwrap();
        Attempt { session: SessionId(1), channel_id: 1234, door: Door::Ftl, challenge, digest, remote }
    }

    #[test]
    fn every_kind_of_answer() {
        // answer, with the key "right": Some(channel) when allowed, else whether it is a denial
        let cases: [(&str, Result<&str, bool>); 12] = [
            (r#"{"verdict":"allow"}"#, Ok("1234")),
            (r#"{"verdict":"allow","channel":"main"}"#, Ok("main")),
            (r#"{"secret":"right","channel":"main"}"#, Ok("main")),
            (r#"{"hmacKey":"right"}"#, Ok("1234")),
            (r#"{"verdict":"allow","secret":"right"}"#, Ok("1234")),
            (r#"{"verdict":"allow","secret":"wrong"}"#, Err(true)),
            (r#"{"secret":"wrong"}"#, Err(true)),
            (r#"{"verdict":"deny","reason":"banned"}"#, Err(true)),
            (r#"{"verdict":"deny","secret":"right"}"#, Err(true)),
            (r#"{"verdict":"maybe"}"#, Err(false)),
            (r#"{}"#, Err(false)),
            (r#"{"verdict":"allow","channel":"../x"}"#, Err(false)),
        ];
        for (answer, expected) in cases {
            let verdict = serde_json::from_str::<Answer>(answer).unwrap().decide(&attempt("right"));
            match (&verdict, expected) {
                (Verdict::Allow { channel, .. }, Ok(name)) => assert_eq!(channel.as_str(), name, "{answer}"),
                (Verdict::Deny { .. }, Err(true)) | (Verdict::Unavailable { .. }, Err(false)) => {}
                _ => panic!("{answer} gave {verdict:?}"),
            }
        }
    }

    #[test]
    fn words_from_outside_are_tamed() {
        assert_eq!(shorten("a\r\nb\u{1b}[2Jc"), "ab[2Jc");
        assert_eq!(shorten(&"é".repeat(1000)).chars().count(), MAX_TEXT_CHARS);
    }
}
