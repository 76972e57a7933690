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

    /// Adds everything to Redis. What could not be added is kept for the next time.
    ///
    /// # Errors
    /// [`InspectError`]: a lost reply counts twice.
    pub(crate) async fn flush(&self, broker: &Broker) -> Result<(), InspectError> {
        let mut taken = std::mem::take(&mut *self.lock());
        while let Some(shard) = taken.keys().next().copied() {
            let added = match taken.get(&shard) {
                Some(waits) => broker.add_waits(shard, waits).await,
                None => Ok(()),
            };
            if let Err(error) = added {
                self.put_back(taken);
                return Err(error);
            }
            taken.remove(&shard);
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
