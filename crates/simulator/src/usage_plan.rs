//! Usage plans, enforced with `governor`: a token bucket per application, seller and operation.

use std::{
    collections::HashSet,
    num::NonZeroU32,
    sync::{Mutex, PoisonError, RwLock},
    time::Duration,
};

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

/// Application and seller.
type Key = (u16, u32);
type Buckets = RateLimiter<Key, DashMapStateStore<Key>, SimulatedClock, NoOpMiddleware<Nanos>>;

/// One operation's buckets; each is full before its first request.
#[derive(Debug)]
pub(crate) struct Limiter {
    in_force: RwLock<InForce>,
    pace: Pace,
    clock: SimulatedClock,
}

/// The plan of this moment.
#[derive(Debug)]
struct InForce {
    buckets: Buckets,
    burst: u32,
    header: String,
    /// Whose buckets are not as they were at the start.
    used: Mutex<HashSet<Key>>,
}

impl Limiter {
    pub(crate) fn new(plan: UsagePlan, pace: Pace, clock: SimulatedClock) -> Self {
        let header = significant(plan.rate_per_s * pace.scale());
        Self {
            in_force: RwLock::new(InForce::new(plan, pace, clock.clone(), header)),
            pace,
            clock,
        }
    }

    /// Takes one request out of the bucket; false if it is empty.
    pub(crate) fn admits(&self, application: u16, seller: u32) -> bool {
        let in_force = self.in_force.read().unwrap_or_else(PoisonError::into_inner);
        in_force.admits((application, seller))
    }

    /// Puts another plan in force. What a bucket holds stays in it, up to the new burst and counted up to whole
    /// requests; `announced`: the header says so from now on, else it goes on with what it said.
    pub(crate) fn change(&self, plan: UsagePlan, announced: bool) {
        let mut in_force = self
            .in_force
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let header = if announced {
            significant(plan.rate_per_s * self.pace.scale())
        } else {
            in_force.header.clone()
        };
        let new = InForce::new(plan, self.pace, self.clock.clone(), header);
        new.inherit(&in_force);
        *in_force = new;
    }

    /// The value of `x-amzn-RateLimit-Limit`, requests per second.
    pub(crate) fn header(&self) -> String {
        let in_force = self.in_force.read().unwrap_or_else(PoisonError::into_inner);
        in_force.header.clone()
    }
}

impl InForce {
    fn new(plan: UsagePlan, pace: Pace, clock: SimulatedClock, header: String) -> Self {
        let rate_per_s = plan.rate_per_s * pace.scale();
        let period = Duration::from_secs_f64(1.0 / rate_per_s).max(Duration::from_nanos(1));
        let burst = NonZeroU32::new(plan.burst).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(period)
            .unwrap_or(Quota::per_second(burst))
            .allow_burst(burst);
        Self {
            buckets: RateLimiter::dashmap_with_clock(quota, clock),
            burst: burst.get(),
            header,
            used: Mutex::default(),
        }
    }

    fn admits(&self, key: Key) -> bool {
        self.used
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key);
        self.buckets.check_key(&key).is_ok()
    }

    /// Takes out of each bucket what `old` did not hold.
    fn inherit(&self, old: &Self) {
        let used = old.used.lock().unwrap_or_else(PoisonError::into_inner);
        for key in used.iter() {
            let held = (1..=old.burst).rev().find(|count| old.takes(*key, *count));
            let missing = self.burst.saturating_sub(held.unwrap_or(0) + 1);
            self.takes(*key, missing);
        }
        self.used
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone_from(&used);
    }

    /// Takes `count` requests at once; false if there are not as many.
    fn takes(&self, key: Key, count: u32) -> bool {
        let count = NonZeroU32::new(count);
        count.is_some_and(|count| matches!(self.buckets.check_key_n(&key, count), Ok(Ok(()))))
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

    #[test]
    fn another_plan_leaves_in_a_bucket_what_was_in_it() {
        let clock = SimulatedClock::start();
        let plan = |rate_per_s, burst| UsagePlan { rate_per_s, burst };
        let limiter = Limiter::new(plan(0.01, 10), Pace::new(1.0), clock.clone());
        let admitted = |seller| (0..20).filter(|_| limiter.admits(0, seller)).count();
        assert_eq!(admitted(0), 10);
        limiter.change(plan(0.005, 4), false);
        assert_eq!(limiter.header(), "0.01", "it was not announced");
        assert_eq!(admitted(0), 1, "counted up to a whole one");
        assert_eq!(admitted(1), 4, "a bucket that was full is full");
        clock.advance(200_000);
        assert_eq!(admitted(0), 1);
        limiter.change(plan(0.0025, 4), true);
        assert_eq!(limiter.header(), "0.0025");
    }
}
