use std::fmt;

/// Type of a NAL unit, 0 to 31 (ITU-T H.264 table 7-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NalType(u8);

impl NalType {
    /// Slice of a picture that needs others.
    pub const SLICE: Self = Self(1);
    /// First partition of a slice.
    pub const PARTITION_A: Self = Self(2);
    /// Slice of a keyframe after which nothing refers further back.
    pub const IDR: Self = Self(5);
    /// Supplemental enhancement information.
    pub const SEI: Self = Self(6);
    /// Sequence parameter set.
    pub const SPS: Self = Self(7);
    /// Picture parameter set.
    pub const PPS: Self = Self(8);
    /// Access unit delimiter.
    pub const AUD: Self = Self(9);
    /// Filler data.
    pub const FILLER: Self = Self(12);

    /// From the first byte of a NAL unit.
    #[must_use]
    pub const fn of_header(header: u8) -> Self {
        Self(header & 0x1f)
    }

    /// The number, 0 to 31.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Whether it carries (the beginning of) coded picture data that has a slice header.
    #[must_use]
    pub const fn is_slice(self) -> bool {
        matches!(self, Self::SLICE | Self::PARTITION_A | Self::IDR)
    }
}

impl fmt::Display for NalType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A set of NAL unit types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NalSet(u32);

impl NalSet {
    /// The set with nothing in it.
    pub const EMPTY: Self = Self(0);

    /// This set and one type more.
    #[must_use]
    pub const fn with(self, nal_type: NalType) -> Self {
        Self(self.0 | 1 << nal_type.0)
    }

    /// Adds a type.
    pub const fn insert(&mut self, nal_type: NalType) {
        *self = self.with(nal_type);
    }

    /// Whether the type is in the set.
    #[must_use]
    pub const fn contains(self, nal_type: NalType) -> bool {
        self.0 & 1 << nal_type.0 != 0
    }

    /// What is in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the set has nothing in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The types in the set, ascending.
    pub fn iter(self) -> impl Iterator<Item = NalType> {
        (0..32).map(NalType).filter(move |&nal_type| self.contains(nal_type))
    }
}

impl FromIterator<NalType> for NalSet {
    fn from_iter<I: IntoIterator<Item = NalType>>(types: I) -> Self {
        types.into_iter().fold(Self::EMPTY, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_types() {
        let set: NalSet = [NalType::SPS, NalType::IDR, NalType::SPS].into_iter().collect();
        assert!(set.contains(NalType::SPS) && !set.contains(NalType::PPS) && !set.is_empty());
        assert_eq!(set.iter().collect::<Vec<_>>(), [NalType::IDR, NalType::SPS]);
        assert_eq!(set.union(NalSet::EMPTY.with(NalType::PPS)).iter().count(), 3);
        assert_eq!(NalType::of_header(0x67), NalType::SPS);
    }
}
