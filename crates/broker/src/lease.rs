//! The right to run a job.

use bulkhead_domain::{ConnectionId, FencingToken, JobId, Priority, TenantId};

/// The right to run a job until it expires by Redis time; the greater token of a job is the newer lease.
///
/// Only a fetch makes one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lease {
    pub(crate) job_id: JobId,
    pub(crate) token: FencingToken,
    pub(crate) shard: u16,
    pub(crate) connection: ConnectionId,
    pub(crate) priority: Priority,
    pub(crate) tenant: TenantId,
    /// What the job's body takes, as the fetch read it.
    pub(crate) body_bytes: u32,
}

impl Lease {
    /// The job that may be run.
    #[must_use]
    pub const fn job_id(&self) -> JobId {
        self.job_id
    }

    /// Its number, which the database fence and every acknowledgement compare.
    #[must_use]
    pub const fn token(&self) -> FencingToken {
        self.token
    }

    /// Where its job lies.
    #[must_use]
    pub const fn shard(&self) -> u16 {
        self.shard
    }

    /// The token as the scripts compare it.
    pub(crate) fn token_digits(&self) -> String {
        format!("{:016}", self.token.get())
    }

    /// The job's priority: how much of a shared budget it may use.
    #[must_use]
    pub const fn priority(&self) -> Priority {
        self.priority
    }

    /// The job's lane.
    #[must_use]
    pub const fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// Whose job it is.
    #[must_use]
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }
}
