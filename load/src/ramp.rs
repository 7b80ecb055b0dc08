//! At a steady rate: how many are due by now.

use std::time::Duration;

/// So many per second, up to a number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ramp {
    per_second: f64,
    most: usize,
    done: usize,
}

impl Ramp {
    pub(crate) fn new(per_second: f64, most: usize) -> Self {
        Self { per_second, most, done: 0 }
    }

    /// How many have become due since the last call, when so much time has passed since the begin. The first is due at
    /// once.
    pub(crate) fn due(&mut self, passed: Duration) -> usize {
        // A whole number may come out a hair too small.
        let passed = passed.as_secs_f64() * self.per_second + 1e-9;
        let wanted = if self.per_second > 0.0 { passed as usize + 1 } else { 0 };
        let due = wanted.min(self.most).saturating_sub(self.done);
        self.done += due;
        due
    }

    /// Whether all are done.
    pub(crate) fn is_over(&self) -> bool {
        self.done == self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steady_whatever_the_steps() {
        for step_ms in [1, 7, 100, 1_000] {
            let mut ramp = Ramp::new(50.0, 120);
            let mut done = 0;
            for at in (0..5_000).step_by(step_ms) {
                done += ramp.due(Duration::from_millis(at as u64));
                assert_eq!(done, (at / 20 + 1).min(120), "after {at} ms");
            }
            assert!(ramp.is_over());
        }
    }

    #[test]
    fn none_at_all() {
        let mut ramp = Ramp::new(0.0, 5);
        assert_eq!(ramp.due(Duration::from_secs(100)), 0);
        let mut ramp = Ramp::new(1e9, 0);
        assert_eq!((ramp.due(Duration::ZERO), ramp.is_over()), (0, true));
    }
}
