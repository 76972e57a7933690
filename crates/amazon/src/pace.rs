//! What one process paces for itself: hosts for which Amazon publishes no plan.
//!
//! Usage plans are shared by all workers and kept by the broker's permits. This is only courtesy: a process that
//! starts after a night's outage does not ask for a thousand tokens at once.

use std::{num::NonZeroU32, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock, Reference},
    middleware::NoOpMiddleware,
    state::keyed::DashMapStateStore,
};

/// Hosts beyond this many are looked through for those that have not been asked for long, and these are forgotten.
const MANY_HOSTS: usize = 1_000;

/// So many requests a second to each host, and as many at once.
#[derive(Debug)]
pub(crate) struct HostPace<C: Clock = DefaultClock> {
    limiter:
        RateLimiter<String, DashMapStateStore<String>, C, NoOpMiddleware<<C as Clock>::Instant>>,
    clock: C,
}

impl HostPace {
    /// By this host's monotonic clock.
    pub(crate) fn per_second(rate: NonZeroU32) -> Self {
        Self::with_clock(rate, DefaultClock::default())
    }
}

impl<C: Clock<Instant: Reference> + Clone> HostPace<C> {
    /// By another clock.
    pub(crate) fn with_clock(rate: NonZeroU32, clock: C) -> Self {
        Self {
            limiter: RateLimiter::dashmap_with_clock(Quota::per_second(rate), clock.clone()),
            clock,
        }
    }

    /// Takes one request to `host`. Never waits: the caller gives its slot back instead.
    ///
    /// # Errors
    /// How long until there is one; nothing was taken.
    pub(crate) fn check(&self, host: &str) -> Result<(), Duration> {
        if self.limiter.len() > MANY_HOSTS {
            self.limiter.retain_recent();
        }
        let taken = self.limiter.check_key(&host.to_owned());
        taken.map_err(|not_until| not_until.wait_time_from(self.clock.now()))
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    const FIVE: NonZeroU32 = NonZeroU32::new(5).unwrap();

    #[test]
    fn a_host_is_asked_so_often_a_second_and_no_oftener() {
        let clock = FakeRelativeClock::default();
        let pace = HostPace::with_clock(FIVE, clock.clone());
        let taken = || {
            (0..100)
                .filter(|_| pace.check("api.amazon.com").is_ok())
                .count()
        };
        assert_eq!(taken(), 5, "a second's worth at once");
        assert_eq!(
            pace.check("api.amazon.com"),
            Err(Duration::from_millis(200))
        );
        clock.advance(Duration::from_millis(199));
        assert_eq!(taken(), 0);
        clock.advance(Duration::from_millis(1));
        assert_eq!(taken(), 1);
        clock.advance(Duration::from_secs(3_600));
        assert_eq!(taken(), 5, "an hour's rest saves nothing up");
    }

    #[test]
    fn hosts_do_not_share_their_pace_and_old_ones_are_forgotten() {
        let clock = FakeRelativeClock::default();
        let pace = HostPace::with_clock(FIVE, clock.clone());
        for host in 0..=MANY_HOSTS {
            for _ in 0..5 {
                pace.check(&host.to_string()).unwrap();
            }
        }
        assert!(pace.check("0").is_err());
        clock.advance(Duration::from_secs(10));
        pace.check("0").unwrap();
        assert!(pace.limiter.len() < 3, "{}", pace.limiter.len());
    }
}
