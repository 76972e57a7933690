use std::{sync::Arc, time::Duration};

use bulkhead_broker::{Broker, Fences};
use bulkhead_store::Store;

use crate::{full_tenants::FullTenants, grantor::GRANT_LIFETIME};

/// One scheduler process's way to Postgres and Redis.
#[derive(Debug, Clone)]
pub struct Scheduler {
    pub(crate) store: Store,
    pub(crate) broker: Broker,
    pub(crate) fences: Fences,
    /// How long a grant lasts (T_g).
    pub(crate) grant_lifetime: Duration,
    pub(crate) full: Arc<FullTenants>,
    /// How much faster than Amazon the fleet's simulator runs; 1 with Amazon.
    pub(crate) time_scale: f64,
}

/// How long a claimed obligation is this scheduler's: past this another one enqueues it.
pub(crate) const CLAIM: Duration = Duration::from_secs(30);

/// Rows in one statement.
pub(crate) const BATCH: u32 = 1_000;

impl Scheduler {
    /// A scheduler over an open store and a broker of any class.
    #[must_use]
    pub fn new(store: Store, broker: &Broker) -> Self {
        Self {
            store,
            broker: broker.clone(),
            fences: Fences::new(broker),
            full: Arc::default(),
            grant_lifetime: GRANT_LIFETIME,
            time_scale: 1.0,
        }
    }

    /// Against a simulator whose time runs `scale` times as fast as Amazon's: pinned plans are brought to Redis at
    /// that pace.
    #[must_use]
    pub fn with_time_scale(self, scale: f64) -> Self {
        Self {
            time_scale: scale,
            ..self
        }
    }

    /// With grants that last `lifetime` (T_g): for that long calls go on after the last scheduler has ended, and that
    /// long containment waits if it cannot reach Redis.
    #[must_use]
    pub fn with_grant_lifetime(self, lifetime: Duration) -> Self {
        Self {
            grant_lifetime: lifetime,
            ..self
        }
    }
}
