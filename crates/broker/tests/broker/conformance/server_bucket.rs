//! Amazon's own bucket.

use bulkhead_domain::UsagePlan;

/// A token bucket as Amazon describes it, by Amazon's clock; it is empty when the test begins.
#[derive(Debug)]
pub(super) struct ServerBucket {
    plan: UsagePlan,
    tokens: f64,
    at_s: f64,
}

impl ServerBucket {
    pub(super) fn new((rate_per_s, burst): (f64, u32)) -> Self {
        Self {
            plan: UsagePlan::new(rate_per_s, burst),
            tokens: 0.0,
            at_s: 0.0,
        }
    }

    /// Whether a call that arrives at `at_s` is let through.
    pub(super) fn take(&mut self, at_s: f64) -> bool {
        let refilled = self.tokens + (at_s - self.at_s) * self.plan.rate_per_s;
        self.tokens = refilled.min(f64::from(self.plan.burst));
        self.at_s = at_s;
        // Less than a millionth of a call is the arithmetic's.
        if self.tokens < 1.0 - 1e-6 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}
