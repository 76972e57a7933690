//! When a failed attempt runs again.

use std::time::Duration;

/// Exponential backoff with full jitter: a random time up to `base · 2^(attempt − 1)`, at most `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The bound after the first failure.
    pub base: Duration,
    /// The bound that is never exceeded.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            base: Duration::from_secs(1),
            max: Duration::from_secs(300),
        }
    }
}

impl Backoff {
    /// The longest wait after `attempt` (from 1).
    #[must_use]
    pub fn bound(self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        self.base.saturating_mul(1 << doublings).min(self.max)
    }

    /// The wait after `attempt` (from 1), where `random` is drawn from `0.0..1.0`.
    #[must_use]
    pub fn full_jitter(self, attempt: u32, random: f64) -> Duration {
        self.bound(attempt).mul_f64(random.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_its_maximum() {
        let backoff = Backoff {
            base: Duration::from_secs(2),
            max: Duration::from_secs(60),
        };
        let bounds: Vec<u64> = [1, 2, 3, 5, 6, 40]
            .map(|n| backoff.bound(n).as_secs())
            .into();
        assert_eq!(bounds, [2, 4, 8, 32, 60, 60]);
    }

    #[test]
    fn jitter_stays_within_the_bound_whatever_is_drawn() {
        let backoff = Backoff::default();
        for random in [-1.0, 0.0, 0.5, 1.0, 7.0] {
            assert!(backoff.full_jitter(3, random) <= backoff.bound(3));
        }
    }
}
