//! How a process uses Redis.

use std::{
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use secrecy::SecretString;

/// How a process uses Redis. Every process of the fleet must agree on `shards`.
#[derive(Debug, Clone)]
pub struct BrokerOptions {
    /// `redis://…`, `rediss://…` or `redis+unix:///path`; may carry a password.
    pub url: SecretString,
    /// Nodes of the cluster that the URL's server belongs to, each as `host:port`, with the URL's login and encryption:
    /// one is enough, also the URL's own; the others are found through it. Empty for a single server.
    pub nodes: Vec<String>,
    /// Shards per class; a connection belongs to one of them for ever.
    pub shards: u16,
    /// How long a lease lasts after a fetch or a renewal, by Redis time.
    pub visibility_timeout: Duration,
    /// Enqueuing is refused while the bodies of a class take more than this, over all its shards.
    pub high_water_bytes: u64,
    /// Enqueuing answers [`TenantFull`](crate::Enqueued::TenantFull) for a tenant whose living jobs' bodies would take
    /// more than this in a class. Each shard allows its part: a tenant with connections on some shards only is full
    /// earlier.
    pub tenant_high_water_bytes: u64,
    /// After how many crashes (expired leases) a job goes to the dead letters; twice as many if its workers held other
    /// jobs too.
    pub max_crashes: u32,
    /// How long an answer of Redis may take.
    pub response_timeout: Duration,
    /// Whose time counts.
    pub clock: BrokerClock,
    /// The guard that this broker's scripts do without: for tests only.
    #[cfg(feature = "mutants")]
    #[doc(hidden)]
    pub mutant: Option<&'static str>,
}

impl BrokerOptions {
    /// The defaults: a single server, 4 shards, leases of 10 s, 1 GiB and 256 MiB for a tenant, 3 crashes, answers within 2 s,
    /// Redis's clock.
    #[must_use]
    pub const fn new(url: SecretString) -> Self {
        Self {
            url,
            nodes: Vec::new(),
            shards: 4,
            visibility_timeout: Duration::from_secs(10),
            high_water_bytes: 1 << 30,
            tenant_high_water_bytes: 1 << 28,
            max_crashes: 3,
            response_timeout: Duration::from_secs(2),
            clock: BrokerClock::Redis,
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }
}

/// Whose time the scripts take.
#[derive(Debug, Clone)]
pub enum BrokerClock {
    /// Redis's own: the only one in production, since no two hosts agree.
    Redis,
    /// A test's.
    Injected(TestClock),
}

impl BrokerClock {
    /// The scripts' first argument.
    pub(crate) fn argument(&self) -> String {
        match self {
            Self::Redis => String::new(),
            Self::Injected(clock) => clock.argument(),
        }
    }

    /// About now, without asking Redis: for people, never for a decision.
    pub(crate) fn about_now(&self) -> Timestamp {
        let Self::Injected(clock) = self else {
            return Timestamp::now();
        };
        let time_us = clock.time_us.load(Ordering::SeqCst);
        let since = if clock.frozen {
            0
        } else {
            Timestamp::now().as_microsecond()
        };
        Timestamp::from_microsecond(since.saturating_add(time_us)).unwrap_or_default()
    }

    /// Whether time passes only when a test says so: then nothing here waits for it.
    pub(crate) const fn stands_still(&self) -> bool {
        matches!(self, Self::Injected(TestClock { frozen: true, .. }))
    }
}

/// Redis's time in a test: it stands still, or runs with Redis's own, until the test moves it. Clones move together.
#[derive(Debug, Clone)]
pub struct TestClock {
    time_us: Arc<AtomicI64>,
    frozen: bool,
}

impl TestClock {
    /// A clock that stands at `time`.
    #[must_use]
    pub fn frozen_at(time: Timestamp) -> Self {
        Self {
            time_us: Arc::new(AtomicI64::new(time.as_microsecond())),
            frozen: true,
        }
    }

    /// Redis's own clock, which the test can shift.
    #[must_use]
    pub fn running() -> Self {
        Self {
            time_us: Arc::new(AtomicI64::new(0)),
            frozen: false,
        }
    }

    /// Moves it forward.
    pub fn advance(&self, by: Duration) {
        self.time_us.fetch_add(micros(by), Ordering::SeqCst);
    }

    /// Moves it back.
    pub fn rewind(&self, by: Duration) {
        self.time_us.fetch_sub(micros(by), Ordering::SeqCst);
    }

    /// Whether they move together.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.time_us, &other.time_us)
    }

    /// `1764000000000000` (absolute) or `+5000000`, `-5000000` (relative to Redis's own).
    fn argument(&self) -> String {
        let time_us = self.time_us.load(Ordering::SeqCst);
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = if self.frozen {
            write!(text, "{time_us}")
        } else {
            write!(text, "{time_us:+}")
        };
        text
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_clock_names_an_absolute_time_or_a_shift() {
        let frozen = TestClock::frozen_at(Timestamp::UNIX_EPOCH);
        frozen.advance(Duration::from_millis(5));
        assert_eq!(frozen.argument(), "5000");
        let running = TestClock::running();
        assert_eq!(running.argument(), "+0");
        running.rewind(Duration::from_millis(5));
        assert_eq!(running.argument(), "-5000");
        assert_eq!(BrokerClock::Redis.argument(), "");
    }
}
