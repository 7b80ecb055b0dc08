//! Port ranges as people write them: `8100-8199`.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

/// An inclusive range of UDP ports, never empty, never with port 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// The range, both ends included.
    #[must_use]
    pub(crate) fn range(self) -> RangeInclusive<u16> {
        self.first..=self.last
    }

    /// A range known to be right: `first` is not 0 and not above `last`.
    pub(super) const fn known(first: u16, last: u16) -> Self {
        assert!(first > 0 && first <= last);
        Self { first, last }
    }

    /// Whether the two share a port.
    #[must_use]
    pub(crate) fn overlaps(self, other: PortRange) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl FromStr for PortRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || "is not a port range such as 8100-8199".to_owned();
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let first: u16 = first.trim().parse().map_err(|_| wanted())?;
        let last: u16 = last.trim().parse().map_err(|_| wanted())?;
        if first == 0 {
            return Err("starts at port 0, which is no port".to_owned());
        }
        if first > last {
            return Err(format!("runs backwards: {first} is above {last}"));
        }
        Ok(Self { first, last })
    }
}

impl<'de> Deserialize<'de> for PortRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|why| serde::de::Error::custom(format!("'{text}' {why}")))
    }
}

#[cfg(test)]
mod tests {
    use super::PortRange;

    #[test]
    fn reads_what_people_write_and_says_what_is_wrong() {
        for (text, expected) in [
            ("8100-8199", Ok((8100, 8199))),
            (" 5 - 6 ", Ok((5, 6))),
            ("7", Ok((7, 7))),
            ("0-5", Err("port 0")),
            ("9-8", Err("backwards")),
            ("a-b", Err("port range")),
            ("1-65536", Err("port range")),
            ("", Err("port range")),
        ] {
            match (text.parse::<PortRange>(), expected) {
                (Ok(range), Ok((first, last))) => assert_eq!(range, PortRange { first, last }, "{text}"),
                (Err(why), Err(part)) => assert!(why.contains(part), "{text}: {why}"),
                (got, wanted) => panic!("{text}: {got:?}, wanted {wanted:?}"),
            }
        }
    }

    #[test]
    fn overlap_counts_both_ends() {
        let range = |a, b| PortRange::known(a, b);
        assert!(range(1, 5).overlaps(range(5, 9)));
        assert!(!range(1, 4).overlaps(range(5, 9)));
    }
}
