//! What this process holds leases of: read by the beat, written by the fetcher and the acker.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bulkhead_broker::{BootInstant, Lease};
use bulkhead_domain::JobId;
use tokio_util::sync::CancellationToken;

/// The leases of this process, those of jobs that wait in the channel included.
#[derive(Debug, Default)]
pub(crate) struct Running(Mutex<HashMap<JobId, Held>>);

/// One lease.
#[derive(Debug, Clone)]
struct Held {
    lease: Lease,
    /// After this moment another worker may have the job, whatever Redis would say if it answered.
    expires: BootInstant,
    stop: CancellationToken,
}

impl Running {
    /// Notes a lease that was asked for at `asked_at`; the returned token is cancelled when it is lost.
    pub(crate) fn add(
        &self,
        lease: &Lease,
        asked_at: BootInstant,
        visibility: Duration,
    ) -> CancellationToken {
        let stop = CancellationToken::new();
        let held = Held {
            lease: lease.clone(),
            expires: asked_at.after(visibility),
            stop: stop.clone(),
        };
        self.lock().insert(lease.job_id(), held);
        stop
    }

    /// Forgets a lease that was given up; a newer one of the same job stays.
    pub(crate) fn remove(&self, lease: &Lease) {
        let mut held = self.lock();
        if held
            .get(&lease.job_id())
            .is_some_and(|held| held.lease == *lease)
        {
            held.remove(&lease.job_id());
        }
    }

    /// Every lease, by shard.
    pub(crate) fn by_shard(&self) -> HashMap<u16, Vec<Lease>> {
        let mut shards: HashMap<u16, Vec<Lease>> = HashMap::new();
        for held in self.lock().values() {
            let lease = held.lease.clone();
            shards.entry(lease.shard()).or_default().push(lease);
        }
        shards
    }

    /// Notes that a lease was renewed by a call that began at `asked_at`.
    pub(crate) fn renewed(&self, lease: &Lease, asked_at: BootInstant, visibility: Duration) {
        if let Some(held) = self.lock().get_mut(&lease.job_id())
            && held.lease == *lease
        {
            held.expires = asked_at.after(visibility);
        }
    }

    /// Stops the handler that holds `lease`, and forgets it.
    pub(crate) fn stop(&self, lease: &Lease) {
        let mut held = self.lock();
        if let Some(found) = held.get(&lease.job_id())
            && found.lease == *lease
        {
            found.stop.cancel();
            held.remove(&lease.job_id());
        }
    }

    /// Stops every handler whose lease may have expired by now; says how many.
    pub(crate) fn stop_expired(&self) -> usize {
        let mut held = self.lock();
        let before = held.len();
        held.retain(|_, held| {
            let keep = !held.expires.has_passed();
            if !keep {
                held.stop.cancel();
            }
            keep
        });
        before - held.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
