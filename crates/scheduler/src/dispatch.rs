//! Due obligations become jobs.

use std::collections::BTreeMap;

use bulkhead_broker::Enqueued;
use bulkhead_domain::{Class, Job};
use bulkhead_service::{crash_point, trace};
use bulkhead_store::{Obligation, ObligationKey};
use jiff::Timestamp;
use tracing::{debug, info_span};

use crate::{
    error::TickError,
    scheduler::{BATCH, CLAIM, Scheduler},
};

/// Batches in one pass: bounds how long the other duties wait behind a large night.
const BATCHES: u32 = 20;

impl Scheduler {
    /// Enqueues what is due at `now`; returns how many jobs are new in Redis. What the queue has no room for stays owed,
    /// and is tried again when its claim has run out.
    ///
    /// A scheduler that dies between the two stores leaves claimed rows, which another one enqueues once more when
    /// the claim has run out; Redis knows the ids.
    ///
    /// # Errors
    /// [`TickError`]; what was claimed is enqueued by a later pass.
    pub async fn dispatch(&self, now: Timestamp) -> Result<u64, TickError> {
        let mut added = 0;
        for _ in 0..BATCHES {
            let due = self
                .store
                .obligations()
                .claim_due(now, BATCH, CLAIM, &self.full.resting(now))
                .await?;
            let full = due.len() == usize::try_from(BATCH).unwrap_or(usize::MAX);
            if !due.is_empty() {
                crash_point::reach("scheduler.claimed");
            }
            for (class, obligations) in by_class(due) {
                added += self.enqueue(class, &obligations, now).await?;
            }
            if !full {
                break;
            }
        }
        metrics::counter!("bulkhead_jobs_enqueued_total").increment(added);
        Ok(added)
    }

    async fn enqueue(
        &self,
        class: Class,
        obligations: &[Obligation],
        now: Timestamp,
    ) -> Result<u64, TickError> {
        let jobs: Vec<Job> = obligations.iter().map(job).collect();
        let answers = self.broker.for_class(class).enqueue(&jobs).await?;
        crash_point::reach("scheduler.enqueued");
        let (mut keys, mut refused) = (Vec::<ObligationKey>::new(), BTreeMap::new());
        for (obligation, answer) in obligations.iter().zip(&answers) {
            if *answer == Enqueued::TenantFull {
                *refused.entry(obligation.tenant).or_default() += 1;
            } else {
                keys.push(obligation.key());
            }
        }
        let tenants = obligations.iter().map(|one| one.tenant).collect();
        self.full.note(&tenants, &refused, now);
        self.store.obligations().mark_enqueued(&keys, now).await?;
        let added = answers
            .iter()
            .filter(|answer| **answer == Enqueued::Added)
            .count() as u64;
        debug!(class = %class, count = added, "enqueued due jobs");
        Ok(added)
    }
}

/// The trace of a job begins here: schedule → job → permit → Amazon → commit.
fn job(obligation: &Obligation) -> Job {
    let span = info_span!(
        "schedule",
        job.id = %obligation.id,
        job.kind = %obligation.kind,
        tenant.id = %obligation.tenant,
        connection.id = %obligation.connection,
    );
    obligation.job(trace::traceparent(&span))
}

fn by_class(due: Vec<Obligation>) -> BTreeMap<Class, Vec<Obligation>> {
    let mut classes: BTreeMap<Class, Vec<Obligation>> = BTreeMap::new();
    for obligation in due {
        classes
            .entry(obligation.kind.class())
            .or_default()
            .push(obligation);
    }
    classes
}
