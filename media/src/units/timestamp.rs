/// Turns 32-bit RTP timestamps of one track into ones that never wrap.
///
/// Same rule as [`SeqUnwrapper`](crate::SeqUnwrapper): the first value `v` becomes `v + 2^32`, every other
/// one the candidate nearest to the highest so far.
#[derive(Clone, Debug, Default)]
pub struct TimestampUnwrapper {
    highest: Option<u64>,
}

impl TimestampUnwrapper {
    const FIRST_CYCLE: u64 = 1 << 32;

    /// An unwrapper that has seen nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { highest: None }
    }

    /// The extended timestamp, in ticks of the track's clock; the low 32 bits stay as they were.
    pub fn extend(&mut self, wire: u32) -> u64 {
        let Some(highest) = self.highest else {
            let first = u64::from(wire) + Self::FIRST_CYCLE;
            self.highest = Some(first);
            return first;
        };
        #[expect(clippy::cast_possible_truncation, reason = "the wire value is the low 32 bits")]
        let distance = wire.wrapping_sub(highest as u32).cast_signed();
        let extended = highest
            .checked_add_signed(i64::from(distance))
            .expect("the highest is at least a whole cycle, the step at most half");
        self.highest = Some(highest.max(extended));
        extended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_story_from_every_start() {
        for start in [0, 1, 3_000, 1 << 31, (1 << 31) - 1, u32::MAX - 3_000, u32::MAX] {
            let mut unwrapper = TimestampUnwrapper::new();
            let first = unwrapper.extend(start);
            assert_eq!(first, u64::from(start) + (1 << 32));
            for step in [3_000, 6_000, 9_000, 6_000, -3_000, 2_000_000_000, 1_999_000_000, 4_000_000_000_i64]
            {
                #[expect(clippy::cast_possible_truncation, reason = "wrapping is what is tested")]
                let wire = start.wrapping_add(step as u32);
                assert_eq!(unwrapper.extend(wire), first.checked_add_signed(step).unwrap(), "{start} {step}");
            }
        }
    }
}
