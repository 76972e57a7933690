//! Usage plans, enforced with `governor`: a token bucket per application, seller and operation.

use std::{num::NonZeroU32, time::Duration};

use governor::{
    Quota, RateLimiter, middleware::NoOpMiddleware, nanos::Nanos, state::keyed::DashMapStateStore,
};

use crate::clock::{Pace, SimulatedClock};

/// Rate and burst as Amazon publishes them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct UsagePlan {
    pub(crate) rate_per_s: f64,
    pub(crate) burst: u32,
}

type Buckets =
    RateLimiter<(u16, u32), DashMapStateStore<(u16, u32)>, SimulatedClock, NoOpMiddleware<Nanos>>;

/// One operation's buckets; each is full before its first request.
#[derive(Debug)]
pub(crate) struct Limiter {
    buckets: Buckets,
    header: String,
}

impl Limiter {
    pub(crate) fn new(plan: UsagePlan, pace: Pace, clock: SimulatedClock) -> Self {
        let rate_per_s = plan.rate_per_s * pace.scale();
        let period = Duration::from_secs_f64(1.0 / rate_per_s).max(Duration::from_nanos(1));
        let burst = NonZeroU32::new(plan.burst).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(period)
            .unwrap_or(Quota::per_second(burst))
            .allow_burst(burst);
        Self {
            buckets: RateLimiter::dashmap_with_clock(quota, clock),
            header: significant(rate_per_s),
        }
    }

    /// Takes one request out of the bucket; false if it is empty.
    pub(crate) fn admits(&self, application: u16, seller: u32) -> bool {
        self.buckets.check_key(&(application, seller)).is_ok()
    }

    /// The value of `x-amzn-RateLimit-Limit`, requests per second.
    pub(crate) fn header(&self) -> &str {
        &self.header
    }
}

/// Four significant digits, no exponent: `0.0056`, `16.8`, `1`.
fn significant(number: f64) -> String {
    let magnitude = number.abs().log10().floor() as i32;
    let decimals = usize::try_from(3 - magnitude).unwrap_or(0);
    let text = format!("{number:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_written_without_an_exponent() {
        assert_eq!(significant(0.0056), "0.0056");
        assert_eq!(significant(0.0056 * 3_000.0), "16.8");
        assert_eq!(significant(1_000.0), "1000");
    }

    #[test]
    fn a_bucket_starts_full_and_refills_at_the_scaled_rate() {
        let clock = SimulatedClock::start();
        let plan = UsagePlan {
            rate_per_s: 0.01,
            burst: 3,
        };
        let limiter = Limiter::new(plan, Pace::new(10.0), clock.clone());
        let admitted = || (0..10).filter(|_| limiter.admits(0, 0)).count();
        assert_eq!(admitted(), 3);
        assert!(limiter.admits(0, 1), "another seller has its own bucket");
        clock.advance(9_000);
        assert_eq!(admitted(), 0);
        clock.advance(1_000);
        assert_eq!(admitted(), 1);
    }
}
