//! What a process remembers of buckets, so that it does not ask Redis what it knows.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bulkhead_domain::{ApplicationId, ConnectionId, Operation};

use crate::{boot_clock::BootInstant, permit::PermitSubject};

/// What has a budget of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Bucket {
    application: ApplicationId,
    connection: ConnectionId,
    /// Its three names, since only the address of the static would tell apart what is equal.
    operation: (&'static str, &'static str, &'static str),
}

impl Bucket {
    pub(crate) const fn new(subject: &PermitSubject, operation: &'static Operation) -> Self {
        Self {
            application: subject.application,
            connection: subject.connection,
            operation: (operation.api, operation.version, operation.name),
        }
    }
}

/// Refusals until their time, and reports that were no news for a while. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Remembered>>);

#[derive(Debug, Default)]
struct Remembered {
    /// By bucket, and by whether the job leaves a reserve to others: the others may still be granted something.
    refusals: HashMap<(Bucket, bool), BootInstant>,
    reports: HashMap<Bucket, (f64, BootInstant)>,
}

/// How many of each are remembered before those that have passed are thrown out.
const MANY: usize = 10_000;

impl Memory {
    /// How long it is until this bucket's next slot, if that is known to be further away than `horizon`.
    pub(crate) fn refusal(
        &self,
        bucket: &Bucket,
        yields: bool,
        horizon: Duration,
    ) -> Option<Duration> {
        let mut remembered = self.lock();
        let key = (*bucket, yields);
        let wait = remembered.refusals.get(&key)?.remaining();
        if wait <= horizon {
            remembered.refusals.remove(&key);
            return None;
        }
        Some(wait)
    }

    pub(crate) fn refuse(&self, bucket: Bucket, yields: bool, wait: Duration) {
        let mut remembered = self.lock();
        if remembered.refusals.len() >= MANY {
            remembered.refusals.retain(|_, until| !until.has_passed());
        }
        let until = BootInstant::now().after(wait);
        remembered.refusals.insert((bucket, yields), until);
    }

    /// The plan got better than it was.
    pub(crate) fn forget_refusals(&self, bucket: &Bucket) {
        let mut remembered = self.lock();
        remembered.refusals.remove(&(*bucket, false));
        remembered.refusals.remove(&(*bucket, true));
    }

    /// Whether this rate is known to be the one in force.
    #[expect(clippy::float_cmp, reason = "the same header, read twice")]
    pub(crate) fn is_no_news(&self, bucket: &Bucket, rate_per_s: f64) -> bool {
        let remembered = self.lock();
        let report = remembered.reports.get(bucket);
        report.is_some_and(|(rate, until)| *rate == rate_per_s && !until.has_passed())
    }

    pub(crate) fn no_news(&self, bucket: Bucket, rate_per_s: f64, for_: Duration) {
        let mut remembered = self.lock();
        if remembered.reports.len() >= MANY {
            remembered
                .reports
                .retain(|_, (_, until)| !until.has_passed());
        }
        let until = BootInstant::now().after(for_);
        remembered.reports.insert(bucket, (rate_per_s, until));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
