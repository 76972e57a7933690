//! What is owed: planned, claimed, enqueued, ended.

use bulkhead_domain::{
    ApplicationId, ConnectionId, Dataset, Job, JobId, JobKind, JobParams, ObligationState,
    Priority, TenantId,
};
use jiff::{Timestamp, civil::Date};

pub(crate) mod operate;
mod row;
mod schedule;

/// A sync that will be owed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSync {
    /// Whose.
    pub tenant: TenantId,
    /// Deterministic, so that planning twice is planning once.
    pub id: JobId,
    /// Through which authorization.
    pub connection: ConnectionId,
    /// Under which application.
    pub application: ApplicationId,
    /// What to bring up to date.
    pub dataset: Dataset,
    /// From where instead of from the checkpoint.
    pub since: Option<Timestamp>,
    /// Order inside the connection's lane.
    pub priority: Priority,
    /// When; its UTC day is the obligation's partition.
    pub due_at: Timestamp,
    /// By when it must be done.
    pub deadline: Option<Timestamp>,
}

impl NewSync {
    /// The partition: the UTC day of `due_at`.
    #[must_use]
    pub fn day(&self) -> Date {
        utc_day(self.due_at)
    }
}

/// Finds one obligation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObligationKey {
    /// Whose.
    pub tenant: TenantId,
    /// Its id.
    pub id: JobId,
    /// Its partition.
    pub day: Date,
}

impl From<&Job> for ObligationKey {
    fn from(job: &Job) -> Self {
        Self {
            tenant: job.tenant,
            id: job.id,
            day: job.day,
        }
    }
}

/// Something that must be done, or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obligation {
    /// Whose.
    pub tenant: TenantId,
    /// Its id, and its job's.
    pub id: JobId,
    /// Its partition.
    pub day: Date,
    /// What is to be done.
    pub kind: JobKind,
    /// Through which authorization.
    pub connection: ConnectionId,
    /// Under which application.
    pub application: ApplicationId,
    /// For a sync: which dataset.
    pub dataset: Option<Dataset>,
    /// For a sync: from where instead of from the checkpoint.
    pub since: Option<Timestamp>,
    /// Order inside the connection's lane.
    pub priority: Priority,
    /// When.
    pub due_at: Timestamp,
    /// By when it must be done.
    pub deadline: Option<Timestamp>,
    /// Where it stands.
    pub state: ObligationState,
    /// How many attempts have entered.
    pub attempts: u32,
    /// The newest lease that has entered; 0: none.
    pub fencing_token: u64,
    /// Since when its job is in Redis.
    pub enqueued_at: Option<Timestamp>,
    /// What the last failed attempt said.
    pub last_error: Option<String>,
    /// When it was planned.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

impl Obligation {
    /// What finds it again.
    #[must_use]
    pub const fn key(&self) -> ObligationKey {
        ObligationKey {
            tenant: self.tenant,
            id: self.id,
            day: self.day,
        }
    }

    /// The job that attempts to meet it; `trace` is the W3C `traceparent` of the span that enqueues.
    #[must_use]
    pub const fn job(&self, trace: Option<String>) -> Job {
        Job {
            id: self.id,
            kind: self.kind,
            tenant: self.tenant,
            connection: self.connection,
            application: self.application,
            day: self.day,
            priority: self.priority,
            params: JobParams {
                dataset: self.dataset,
                since: self.since,
            },
            trace,
        }
    }
}

/// Which obligations to list; `None` leaves a filter out.
#[derive(Debug, Clone, Copy, Default)]
pub struct ObligationFilter {
    /// Of one tenant.
    pub tenant: Option<TenantId>,
    /// Of one connection.
    pub connection: Option<ConnectionId>,
    /// In one state.
    pub state: Option<ObligationState>,
    /// Of one kind.
    pub kind: Option<JobKind>,
    /// Of this day and later ones.
    pub since: Option<Date>,
}

/// How many obligations of one tenant and kind stand in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObligationCount {
    /// Whose.
    pub tenant: TenantId,
    /// What is to be done.
    pub kind: JobKind,
    /// Where they stand.
    pub state: ObligationState,
    /// How many.
    pub count: u64,
    /// When the earliest of them was due.
    pub earliest_due: Option<Timestamp>,
    /// Attempts beyond the first, all together.
    pub retries: u64,
}

/// What came of trying something again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retried {
    /// It is owed again.
    Owed,
    /// It is neither dead nor cancelled, or not there.
    NotDead,
    /// A token refresh, and another one is owed for the connection already.
    AlreadyOwed,
}

/// The obligations, for the scheduler and the command line.
#[derive(Debug, Clone, Copy)]
pub struct Obligations<'s>(&'s sqlx::PgPool);

impl crate::Store {
    /// The obligations.
    #[must_use]
    pub const fn obligations(&self) -> Obligations<'_> {
        Obligations(&self.pool)
    }
}

/// The UTC day in which `at` lies: an obligation's partition.
#[must_use]
pub fn utc_day(at: Timestamp) -> Date {
    at.to_zoned(jiff::tz::TimeZone::UTC).date()
}

/// Keys as the arrays that statements take.
fn columns(keys: &[ObligationKey]) -> (Vec<uuid::Uuid>, Vec<uuid::Uuid>, Vec<jiff_sqlx::Date>) {
    let tenants = keys.iter().map(|key| key.tenant.uuid()).collect();
    let ids = keys.iter().map(|key| key.id.uuid()).collect();
    let days = keys.iter().map(|key| key.day.into()).collect();
    (tenants, ids, days)
}
