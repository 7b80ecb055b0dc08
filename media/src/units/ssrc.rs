use std::fmt;

/// Synchronisation source: which stream of packets this is (RFC 3550 section 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ssrc(pub u32);

impl fmt::Display for Ssrc {
    /// Eight hexadecimal digits, as in packet dumps.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl From<u32> for Ssrc {
    fn from(value: u32) -> Self {
        Self(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_as_eight_hex_digits() {
        assert_eq!(Ssrc(1235).to_string(), "000004d3");
        assert_eq!(Ssrc(u32::MAX).to_string(), "ffffffff");
    }
}
