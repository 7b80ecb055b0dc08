//! A log-linear histogram: fixed size, no allocation, 3 % exact from one to hours of microseconds.

use serde::Serialize;

/// Steps per doubling.
const STEPS: u64 = 32;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// Values from here on are counted as this one.
const LARGEST: u64 = (1 << 36) - 1;
const BUCKETS: usize = bucket(LARGEST) + 1;

/// How often each value came; values are whole numbers of one unit that the owner knows.
#[derive(Clone)]
pub struct Histogram {
    buckets: Box<[u64; BUCKETS]>,
    count: u64,
    sum: u64,
    min: u64,
    max: u64,
}

/// Which bucket a value belongs to: exact below [`STEPS`], then [`STEPS`] for each doubling.
const fn bucket(value: u64) -> usize {
    if value < STEPS {
        return value as usize;
    }
    let shift = 63 - value.leading_zeros() - STEP_BITS;
    (shift as usize + 1) * STEPS as usize + ((value >> shift) - STEPS) as usize
}

/// Smallest value of a bucket.
const fn floor(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < STEPS { bucket } else { (STEPS + bucket % STEPS) << (bucket / STEPS - 1) }
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: Box::new([0; BUCKETS]), count: 0, sum: 0, min: u64::MAX, max: 0 }
    }
}

impl Histogram {
    /// Counts a value.
    pub fn add(&mut self, value: u64) {
        self.add_many(value, 1);
    }

    /// Counts a value that came `times` times.
    pub fn add_many(&mut self, value: u64, times: u64) {
        if times == 0 {
            return;
        }
        self.buckets[bucket(value.min(LARGEST))] += times;
        self.count += times;
        self.sum = self.sum.saturating_add(value.saturating_mul(times));
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Adds all that another one counted.
    pub fn merge(&mut self, other: &Histogram) {
        for (mine, theirs) in self.buckets.iter_mut().zip(other.buckets.iter()) {
            *mine += theirs;
        }
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.buckets.fill(0);
        (self.count, self.sum, self.min, self.max) = (0, 0, u64::MAX, 0);
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The largest value; none when there is none.
    pub fn max(&self) -> Option<u64> {
        (self.count > 0).then_some(self.max)
    }

    /// The smallest value; none when there is none.
    pub fn min(&self) -> Option<u64> {
        (self.count > 0).then_some(self.min)
    }

    /// The mean; none when there is no value.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }

    /// The value that a share of `quantile` (0 to 1) of all values does not exceed, to the width of a bucket; none
    /// when there is no value.
    pub fn quantile(&self, quantile: f64) -> Option<u64> {
        let rank = ((self.count as f64 * quantile).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0;
        self.buckets.iter().enumerate().find_map(|(index, &count)| {
            seen += count;
            // The middle of the bucket, and never beyond what really came.
            let middle = (floor(index) + floor(index + 1) - 1) / 2;
            (count > 0 && seen >= rank).then(|| middle.clamp(self.min, self.max))
        })
    }

    /// Buckets that are not empty, as smallest value and count, ascending.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.buckets
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
            .map(|(index, &count)| (floor(index), count))
    }

    /// The figures that are reported, each value divided by `unit` (1000 turns microseconds into milliseconds).
    pub fn summary(&self, unit: f64) -> Option<Summary> {
        let scaled = |value: u64| round(value as f64 / unit);
        Some(Summary {
            count: self.count,
            min: scaled(self.min()?),
            mean: round(self.mean()? / unit),
            p50: scaled(self.quantile(0.5)?),
            p90: scaled(self.quantile(0.9)?),
            p95: scaled(self.quantile(0.95)?),
            p99: scaled(self.quantile(0.99)?),
            p999: scaled(self.quantile(0.999)?),
            max: scaled(self.max()?),
        })
    }
}

/// Three decimals: more would only pretend.
pub(crate) fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

impl std::fmt::Debug for Histogram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Histogram").field("summary", &self.summary(1.0)).finish()
    }
}

/// A distribution in a few figures; the unit stands in the name of the field that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// How many values.
    pub count: u64,
    /// The smallest.
    pub min: f64,
    /// The mean.
    pub mean: f64,
    /// Half of the values are at most this.
    pub p50: f64,
    /// 90 % are.
    pub p90: f64,
    /// 95 % are.
    pub p95: f64,
    /// 99 % are.
    pub p99: f64,
    /// 99.9 % are.
    pub p999: f64,
    /// The largest.
    pub max: f64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_follow_each_other_without_a_hole() {
        for index in 0..BUCKETS {
            assert_eq!(bucket(floor(index)), index);
            if index > 0 {
                assert_eq!(bucket(floor(index) - 1), index - 1);
            }
        }
    }

    #[test]
    fn an_empty_one_has_no_figures() {
        let histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        assert_eq!(histogram.summary(1.0), None);
    }

    #[test]
    fn quantiles_of_a_known_row() {
        let mut histogram = Histogram::default();
        (1..=1000).for_each(|value| histogram.add(value));
        let summary = histogram.summary(1.0).expect("values");
        assert_eq!((summary.count, summary.min, summary.max, summary.mean), (1000, 1.0, 1000.0, 500.5));
        for (got, exact) in [(summary.p50, 500.0), (summary.p90, 900.0), (summary.p99, 990.0)] {
            assert!((got / exact - 1.0_f64).abs() < 0.03, "{got} for {exact}");
        }
        histogram.add_many(u64::MAX, 2);
        assert_eq!(histogram.max(), Some(u64::MAX));
        histogram.clear();
        assert_eq!(histogram.count(), 0);
    }

    proptest! {
        #[test]
        fn quantiles_are_exact_to_a_bucket(mut values in proptest::collection::vec(0..1_u64 << 34, 1..200), at in 0.0..1.0_f64) {
            let (mut one, mut two) = (Histogram::default(), Histogram::default());
            for (index, &value) in values.iter().enumerate() {
                if index % 2 == 0 { one.add(value) } else { two.add(value) }
            }
            one.merge(&two);
            values.sort_unstable();
            let rank = ((values.len() as f64 * at).ceil() as usize).clamp(1, values.len());
            let exact = values[rank - 1];
            let got = one.quantile(at).expect("values");
            prop_assert!(got.abs_diff(exact) <= exact / STEPS, "{} for {}", got, exact);
        }
    }
}
