//! How long the jobs that this process started had waited: gathered here, added to Redis with the beat.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bulkhead_broker::{Broker, InspectError, Lease, WaitHistogram};
use bulkhead_domain::TenantId;
use futures_util::future::join_all;

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

    /// Adds everything to Redis, the shards beside each other: one whose node of a cluster does not answer costs the
    /// others nothing. What could not be added, also because this was dropped, is kept for the next time.
    ///
    /// # Errors
    /// [`InspectError`]: of one of the shards whose waits were not added. A lost reply counts twice.
    pub(crate) async fn flush(&self, broker: &Broker) -> Result<(), InspectError> {
        let shards = std::mem::take(&mut *self.lock());
        let adding = shards.into_iter().map(|(shard, tenants)| {
            let mut taken = Taken {
                shard,
                tenants,
                from: self,
            };
            async move {
                broker.add_waits(taken.shard, &taken.tenants).await?;
                taken.tenants.clear();
                Ok(())
            }
        });
        join_all(adding).await.into_iter().collect()
    }

    fn put_back(&self, shard: u16, tenants: OfTenants) {
        let mut shards = self.lock();
        let kept = shards.entry(shard).or_default();
        for (tenant, waits) in tenants {
            kept.entry(tenant).or_default().merge(&waits);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u16, OfTenants>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is on its way to a shard: it comes back if it does not get there.
struct Taken<'a> {
    shard: u16,
    tenants: OfTenants,
    from: &'a Waits,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if !self.tenants.is_empty() {
            let tenants = std::mem::take(&mut self.tenants);
            self.from.put_back(self.shard, tenants);
        }
    }
}
