//! When the callers of one connection want to call.

use bulkhead_domain::UsagePlan;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};

/// A pattern of calls that are waiting to be made, for each connection and operation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) enum Demand {
    /// There is always another call to make.
    Steady,
    /// Bursts of random size at random times, about as many calls in all as the plan allows.
    Bursts { seed: u64 },
    /// What the plan allows in this many seconds, all of it waiting from the start.
    Workload { seconds: f64 },
}

impl Demand {
    /// The times from the start, s, at which calls of one connection and operation begin to wait, in order; for
    /// `window_s` seconds. A steady demand has more of them than the plan lets through.
    pub(crate) fn times(self, plan: UsagePlan, lane: u64, window_s: f64) -> Vec<f64> {
        let allowed = f64::from(plan.burst) + plan.rate_per_s * window_s;
        match self {
            Self::Steady => vec![0.0; whole(allowed) + 2],
            Self::Workload { seconds } => {
                let calls = f64::from(plan.burst) + plan.rate_per_s * seconds;
                vec![0.0; whole(calls)]
            }
            Self::Bursts { seed } => bursts(plan, seed.wrapping_add(lane), window_s),
        }
    }
}

fn bursts(plan: UsagePlan, seed: u64, window_s: f64) -> Vec<f64> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut times = Vec::new();
    // A bucket takes this long to fill; half of that lies between two bursts on average, so as many calls come as
    // flow in, sometimes after a full bucket and sometimes behind a queue.
    let fills_s = f64::from(plan.burst) / plan.rate_per_s;
    let gap_s = fills_s.min(window_s / 3.0);
    let mut at = 0.0;
    while at < window_s {
        let size = random.random_range(0.5..1.5) * plan.rate_per_s * gap_s;
        let first = if times.is_empty() {
            f64::from(plan.burst)
        } else {
            0.0
        };
        times.resize(times.len() + whole(size + first).max(1), at);
        at += random.random_range(0.5..1.5) * gap_s;
    }
    times
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "some thousands at most"
)]
const fn whole(number: f64) -> usize {
    number as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_of_one_seed_are_the_same_in_every_process() {
        let plan = UsagePlan::new(2.0, 10);
        let demand = Demand::Bursts { seed: 7 };
        let times = demand.times(plan, 3, 60.0);
        assert_eq!(times, demand.times(plan, 3, 60.0));
        assert_ne!(times, demand.times(plan, 4, 60.0));
        assert!(times.is_sorted());
        assert!((60..240).contains(&times.len()), "{}", times.len());
    }
}
