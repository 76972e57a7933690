//! A job as operators see it: what Postgres owes, and where Redis has it.

use std::collections::HashMap;

use bulkhead_broker::JobState;
use bulkhead_domain::{
    ApplicationId, ConnectionId, Dataset, JobId, JobKind, ObligationState, TenantId,
};
use bulkhead_store::{Obligation, Store};
use jiff::{SignedDuration, Timestamp, civil::Date};
use serde::Serialize;

use crate::{directory::EVERYTHING, queues::Queues};

/// What Postgres owes.
#[derive(Debug, Serialize)]
pub struct JobEntry {
    /// The job's id, and its obligation's.
    pub id: JobId,
    /// What it does.
    pub kind: JobKind,
    /// For a sync: of what.
    pub dataset: Option<Dataset>,
    /// Whose: the name.
    pub tenant: String,
    /// Whose.
    pub tenant_id: TenantId,
    /// Through which authorization: the name.
    pub connection: String,
    /// Through which authorization.
    pub connection_id: ConnectionId,
    /// Under which application.
    pub application_id: ApplicationId,
    /// Where the obligation stands.
    pub state: ObligationState,
    /// 0 first, 9 last.
    pub priority: u8,
    /// For a sync: from when; null: from where the last one ended.
    pub since: Option<Timestamp>,
    /// Its partition.
    pub day: Date,
    /// When it is or was due.
    pub due_at: Timestamp,
    /// By when it must be done.
    pub deadline: Option<Timestamp>,
    /// How many attempts have begun.
    pub attempts: u32,
    /// Since when its job is in Redis.
    pub enqueued_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// What the last failed attempt said.
    pub last_error: Option<String>,
    /// Where Redis has it; null: nowhere, or Redis was not asked.
    pub queue: Option<QueueEntry>,
}

/// Where Redis has it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct QueueEntry {
    /// queued, parked, paused, delayed, running or dead.
    pub state: &'static str,
    /// Parked and delayed: until when. Running: when the lease expires. Dead: since when.
    pub at: Option<Timestamp>,
    /// Queued, parked and paused: since when it waits to be started; null: not known.
    pub waiting_since: Option<Timestamp>,
    /// Running: where.
    pub worker: Option<String>,
    /// Dead: why.
    pub reason: Option<String>,
    /// Which attempt it is at, from 1.
    pub attempt: u32,
    /// How often a worker crashed on it.
    pub crashes: u32,
}

impl JobEntry {
    fn new(owed: Obligation, connection: Option<&(String, String)>) -> Self {
        let (tenant, name) = connection.cloned().unwrap_or_default();
        Self {
            id: owed.id,
            kind: owed.kind,
            dataset: owed.dataset,
            tenant,
            tenant_id: owed.tenant,
            connection: name,
            connection_id: owed.connection,
            application_id: owed.application,
            state: owed.state,
            priority: owed.priority.get(),
            since: owed.since,
            day: owed.day,
            due_at: owed.due_at,
            deadline: owed.deadline,
            attempts: owed.attempts,
            enqueued_at: owed.enqueued_at,
            finished_at: owed.finished_at,
            last_error: owed.last_error,
            queue: None,
        }
    }

    /// Whether Redis may have it.
    #[must_use]
    pub const fn may_be_queued(&self) -> bool {
        matches!(
            self.state,
            ObligationState::Enqueued | ObligationState::Owed | ObligationState::Dead
        )
    }

    /// Where it is, in a few words, and how long it has waited there until `now`.
    #[must_use]
    pub fn place(&self, now: Timestamp) -> String {
        let Some(queue) = &self.queue else {
            return "-".to_owned();
        };
        let at = queue
            .at
            .map(|at| at.strftime("%H:%M:%SZ").to_string())
            .unwrap_or_default();
        let place = match (queue.state, &queue.worker) {
            ("running", Some(worker)) => format!("running on {worker}"),
            ("parked" | "delayed", _) => format!("{} until {at}", queue.state),
            (state, _) => state.to_owned(),
        };
        match queue.waiting_since {
            Some(since) => {
                let waited = now.duration_since(since).as_secs().max(0);
                format!("{place} for {:#}", SignedDuration::from_secs(waited))
            }
            None => place,
        }
    }
}

impl From<&bulkhead_broker::JobEntry> for QueueEntry {
    fn from(entry: &bulkhead_broker::JobEntry) -> Self {
        let (state, at, worker, reason) = match &entry.state {
            JobState::Queued => ("queued", None, None, None),
            JobState::Paused => ("paused", None, None, None),
            JobState::Parked { until } => ("parked", Some(*until), None, None),
            JobState::Delayed { until } => ("delayed", Some(*until), None, None),
            JobState::Running { worker, expires } => {
                ("running", Some(*expires), Some(worker.to_string()), None)
            }
            JobState::Dead { reason, at } => ("dead", Some(*at), None, Some(reason.clone())),
        };
        Self {
            state,
            at,
            waiting_since: entry
                .runnable_at
                .filter(|_| matches!(state, "queued" | "parked" | "paused")),
            worker,
            reason,
            attempt: entry.attempt,
            crashes: entry.crashes,
        }
    }
}

/// Gives obligations the names of their tenants and connections.
///
/// # Errors
/// Postgres failed.
pub async fn named(store: &Store, owed: Vec<Obligation>) -> anyhow::Result<Vec<JobEntry>> {
    let mut tenants: Vec<TenantId> = owed.iter().map(|one| one.tenant).collect();
    tenants.sort_unstable();
    tenants.dedup();
    let mut names: HashMap<ConnectionId, (String, String)> = HashMap::new();
    for tenant in tenants {
        let connections = store.connections().list(Some(tenant), EVERYTHING).await?;
        names.extend(
            connections
                .into_iter()
                .map(|one| (one.id, (one.tenant_name, one.name))),
        );
    }
    let entries = owed.into_iter().map(|one| {
        let name = names.get(&one.connection);
        JobEntry::new(one, name)
    });
    Ok(entries.collect())
}

/// Asks Redis where they are.
///
/// # Errors
/// Redis failed.
pub async fn locate(queues: &Queues, entries: &mut [JobEntry]) -> anyhow::Result<()> {
    for entry in entries.iter_mut().filter(|entry| entry.may_be_queued()) {
        let found = queues.job(entry.kind, entry.id).await?;
        entry.queue = found.as_ref().map(QueueEntry::from);
    }
    Ok(())
}
