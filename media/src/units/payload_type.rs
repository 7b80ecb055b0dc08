use std::fmt;

/// RTP payload type, 0 to 127 (RFC 3550 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PayloadType(u8);

impl PayloadType {
    /// What an allocation without a description, and FTL, means by 96.
    pub const H264: Self = Self(96);
    /// What an allocation without a description, and FTL, means by 97.
    pub const OPUS: Self = Self(97);

    /// `None` above 127: the eighth bit of that byte is the marker.
    #[must_use]
    pub const fn new(value: u8) -> Option<Self> {
        if value <= 127 { Some(Self(value)) } else { None }
    }

    /// The number, 0 to 127.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for PayloadType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seven_bits_only() {
        assert_eq!(PayloadType::new(127).map(PayloadType::get), Some(127));
        assert_eq!(PayloadType::new(128), None);
    }
}
