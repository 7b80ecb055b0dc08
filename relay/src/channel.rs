//! The public name of a channel, as it stands in addresses: `/c/NAME`, `/whep/NAME`.

use std::{borrow::Borrow, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A channel's name: 1 to 64 characters out of `A-Z a-z 0-9 . _ -`, not starting with a dot. Such a name needs
/// no escaping in an address, a log line or a file name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChannelName(String);

impl ChannelName {
    /// Longest name, in characters.
    pub const MAX_LENGTH: usize = 64;

    /// Checks a name.
    ///
    /// # Errors
    /// When it is empty, too long, or holds other characters than the permitted ones.
    pub fn new(name: impl Into<String>) -> Result<Self, BadChannelName> {
        let name = name.into();
        let fits = (1..=Self::MAX_LENGTH).contains(&name.len());
        let permitted = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if fits && name.bytes().all(permitted) && !name.starts_with('.') {
            Ok(Self(name))
        } else {
            Err(BadChannelName)
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Not a usable channel name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a channel name is 1 to 64 characters out of A-Z a-z 0-9 . _ - and does not start with a dot")]
pub struct BadChannelName;

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ChannelName {
    type Err = BadChannelName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::new(name)
    }
}

impl TryFrom<String> for ChannelName {
    type Error = BadChannelName;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::new(name)
    }
}

impl From<ChannelName> for String {
    fn from(name: ChannelName) -> Self {
        name.0
    }
}

impl AsRef<str> for ChannelName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for ChannelName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["demo", "a", "A.b-c_9", &"x".repeat(64)] {
            assert_eq!(ChannelName::new(good).map(String::from).as_deref(), Ok(good));
        }
        for bad in ["", ".", "..", ".hidden", "a b", "a/b", "grün", "a%20", &"x".repeat(65)] {
            assert_eq!(ChannelName::new(bad), Err(BadChannelName), "{bad}");
        }
        assert!(serde_json::from_str::<ChannelName>("\"a/b\"").is_err());
    }
}
