//! How long the jobs that this process started had waited: gathered here, added to Redis with the beat.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bulkhead_broker::{Broker, InspectError, Lease, WaitHistogram};
use bulkhead_domain::TenantId;

type OfTenants = BTreeMap<TenantId, WaitHistogram>;

/// What was started since the last flush, by the shard of its lane.
#[derive(Debug, Default)]
pub(crate) struct Waits(Mutex<HashMap<u16, OfTenants>>);

impl Waits {
    /// Counts a first start.
    pub(crate) fn record(&self, lease: &Lease, wait: Duration) {
        let mut shards = self.lock();
        let tenants = shards.entry(lease.shard()).or_default();
        tenants.entry(lease.tenant()).or_default().record(wait);
    }

    /// Adds everything to Redis. What could not be added, also because this was dropped, is kept for the next time.
    ///
    /// # Errors
    /// [`InspectError`]: a lost reply counts twice.
    pub(crate) async fn flush(&self, broker: &Broker) -> Result<(), InspectError> {
        let mut taken = Taken {
            shards: std::mem::take(&mut *self.lock()),
            from: self,
        };
        while let Some((shard, waits)) = taken.shards.iter().next() {
            let shard = *shard;
            broker.add_waits(shard, waits).await?;
            taken.shards.remove(&shard);
        }
        Ok(())
    }

    fn put_back(&self, taken: HashMap<u16, OfTenants>) {
        let mut shards = self.lock();
        for (shard, tenants) in taken {
            let kept = shards.entry(shard).or_default();
            for (tenant, waits) in tenants {
                kept.entry(tenant).or_default().merge(&waits);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u16, OfTenants>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is on its way to Redis: it comes back if it does not get there.
struct Taken<'a> {
    shards: HashMap<u16, OfTenants>,
    from: &'a Waits,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.from.put_back(std::mem::take(&mut self.shards));
    }
}
