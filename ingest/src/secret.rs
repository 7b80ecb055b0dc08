//! A stream key that cannot be printed by accident.

use std::fmt;

use serde::{Deserialize, Deserializer};

/// The secret half of a stream key: what comes after the separator in `1234-secret`.
///
/// `Debug` shows nothing of it and there is no `Display`; whoever needs the text asks for it by name.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Checks that an encoder could use it: 1 to 99 bytes (the FTL SDK's buffer), no control characters.
    pub fn new(text: impl Into<String>) -> Result<Self, BadSecret> {
        let text = text.into();
        if text.is_empty() || text.len() > MAX_BYTES {
            return Err(BadSecret::Length);
        }
        if text.chars().any(char::is_control) {
            return Err(BadSecret::Characters);
        }
        Ok(Self(text))
    }

    /// A fresh one: 32 letters and digits, about 165 bits.
    #[must_use]
    pub fn generate(rng: &mut impl rand::CryptoRng) -> Self {
        use rand::RngExt as _;
        let text =
            (0..GENERATED_CHARS).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())])).collect();
        Self(text)
    }

    /// The text itself. Never log what this returns.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The error names the rule and never the text.
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// Why a text cannot be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// Empty, or longer than an encoder can hold.
    #[error("a secret has 1 to {MAX_BYTES} bytes")]
    Length,
    /// Line ends and the like cannot be typed into an encoder.
    #[error("a secret has no control characters")]
    Characters,
}

/// The FTL SDK keeps the secret in 100 bytes, including the final zero.
const MAX_BYTES: usize = 99;
const GENERATED_CHARS: usize = 32;
/// No `-`, `,` or `_`: those separate the channel id from the secret.
const ALPHABET: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn never_shown() {
        let secret = Secret::new("hunter2").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(hidden)");
        assert_eq!(secret.reveal(), "hunter2");
    }

    #[test]
    fn rules() {
        assert_eq!(Secret::new("").unwrap_err(), BadSecret::Length);
        assert_eq!(Secret::new("x".repeat(100)).unwrap_err(), BadSecret::Length);
        assert_eq!(Secret::new("a\nb").unwrap_err(), BadSecret::Characters);
        assert!(Secret::new("with-more_separators,in it").is_ok());
    }

    #[test]
    fn generated_ones_differ_and_hold_no_separator() {
        let mut rng = rand::rng();
        let (a, b) = (Secret::generate(&mut rng), Secret::generate(&mut rng));
        assert_ne!(a, b);
        assert_eq!(a.reveal().len(), GENERATED_CHARS);
        assert!(!a.reveal().contains(['-', ',', '_']));
    }
}
