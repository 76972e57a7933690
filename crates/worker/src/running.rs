//! What this process holds leases of: read by the beat, written by the fetcher and the acker.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bulkhead_broker::{BootInstant, Lease};
use bulkhead_domain::JobId;
use tokio_util::sync::CancellationToken;

/// The leases of this process, those of jobs that wait for their handler or their acknowledgement included.
#[derive(Debug, Default)]
pub(crate) struct Running(Mutex<HashMap<JobId, Held>>);

/// One lease.
#[derive(Debug)]
struct Held {
    lease: Lease,
    /// After this moment another worker may have the job, whatever Redis would say if it answered.
    expires: BootInstant,
    stops: Stops,
}

/// What ends a handler before it has ended by itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stops {
    /// The lease was lost: another worker may have the job.
    pub(crate) lost: CancellationToken,
    /// An operator cancelled the job; the lease is still held.
    pub(crate) cancelled: CancellationToken,
}

impl Running {
    /// Notes a lease that was asked for at `asked_at`. An older lease of the same job is lost with that.
    pub(crate) fn add(&self, lease: &Lease, asked_at: BootInstant, visibility: Duration) -> Stops {
        let stops = Stops::default();
        let held = Held {
            lease: lease.clone(),
            expires: asked_at.after(visibility),
            stops: stops.clone(),
        };
        if let Some(older) = self.lock().insert(lease.job_id(), held) {
            older.stops.lost.cancel();
        }
        stops
    }

    /// Forgets a lease that was given up; a newer one of the same job stays.
    pub(crate) fn remove(&self, lease: &Lease) {
        take(&mut self.lock(), lease);
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

    /// Stops the handler of a job that was cancelled; its lease is held until that is acknowledged.
    pub(crate) fn cancel(&self, lease: &Lease) {
        if let Some(held) = self.lock().get(&lease.job_id())
            && held.lease == *lease
        {
            held.stops.cancelled.cancel();
        }
    }

    /// Stops the handler whose lease was lost, and forgets the lease.
    pub(crate) fn lose(&self, lease: &Lease) {
        if let Some(held) = take(&mut self.lock(), lease) {
            held.stops.lost.cancel();
        }
    }

    /// Stops every handler whose lease may have expired by now; says how many.
    pub(crate) fn stop_expired(&self) -> usize {
        let mut held = self.lock();
        let before = held.len();
        held.retain(|_, held| {
            let keep = !held.expires.has_passed();
            if !keep {
                held.stops.lost.cancel();
            }
            keep
        });
        before - held.len()
    }

    /// How long until the first lease expires, unless it is renewed.
    pub(crate) fn first_expires_in(&self) -> Option<Duration> {
        let held = self.lock();
        let first = held.values().map(|held| held.expires).min()?;
        Some(first.remaining())
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take(held: &mut HashMap<JobId, Held>, lease: &Lease) -> Option<Held> {
    let found = held.get(&lease.job_id())?;
    (found.lease == *lease).then(|| held.remove(&lease.job_id()))?
}
