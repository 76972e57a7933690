//! What is stopped. Closing and opening fences is containment's.

use std::{fmt, str::FromStr};

use bulkhead_domain::job::UnknownName;
use jiff::Timestamp;
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    answer::{count, limit, within},
    connect::Store,
    error::StoreError,
};

/// What a fence stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FenceScope {
    /// An application, of every tenant.
    Application,
    /// A tenant.
    Tenant,
    /// A connection.
    Connection,
}

impl FenceScope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Application, Self::Tenant, Self::Connection];

    /// The scope as it stands in Postgres.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Tenant => "tenant",
            Self::Connection => "connection",
        }
    }
}

impl fmt::Display for FenceScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for FenceScope {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|scope| scope.as_str() == name);
        known.ok_or_else(|| UnknownName {
            what: "fence scope",
            name: name.to_owned(),
        })
    }
}

/// A fence that is not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClosedFence {
    /// What it stops.
    pub scope: FenceScope,
    /// Which of them.
    pub id: Uuid,
    /// Raised by every change.
    pub epoch: u64,
    /// Since when.
    pub since: Timestamp,
}

/// A scope that has ever been fenced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence {
    /// What it stops.
    pub scope: FenceScope,
    /// Which of them.
    pub id: Uuid,
    /// Raised by every change.
    pub epoch: u64,
    /// Whether it stops it now.
    pub closed: bool,
}

/// The fences, for the scheduler, containment and the command line.
#[derive(Debug, Clone, Copy)]
pub struct Fences<'s>(&'s PgPool);

impl Store {
    /// The fences.
    #[must_use]
    pub const fn fences(&self) -> Fences<'_> {
        Fences(&self.pool)
    }
}

impl Fences<'_> {
    /// Every closed fence, up to `rows`: the tombstones that Redis must have.
    ///
    /// # Errors
    /// As any statement.
    pub async fn closed(&self, rows: u32) -> Result<Vec<ClosedFence>, StoreError> {
        const DOING: &str = "read closed fences";
        let list = sqlx::query_file!("queries/fences/closed.sql", limit(rows));
        let found = within(DOING, list.fetch_all(self.0)).await?;
        found
            .into_iter()
            .map(|row| {
                Ok(ClosedFence {
                    scope: row.scope.parse().map_err(StoreError::unreadable(DOING))?,
                    id: row.id,
                    epoch: count(row.epoch),
                    since: row.changed_at.to_jiff(),
                })
            })
            .collect()
    }

    /// Every scope that has ever been fenced, up to `rows`, those that are stopped first; all of one moment.
    ///
    /// # Errors
    /// As any statement.
    pub async fn all(&self, rows: u32) -> Result<Vec<Fence>, StoreError> {
        const DOING: &str = "read fences";
        let list = sqlx::query_file!("queries/fences/all.sql", limit(rows));
        let found = within(DOING, list.fetch_all(self.0)).await?;
        found
            .into_iter()
            .map(|row| {
                Ok(Fence {
                    scope: row.scope.parse().map_err(StoreError::unreadable(DOING))?,
                    id: row.id,
                    epoch: count(row.epoch),
                    closed: row.closed,
                })
            })
            .collect()
    }
}
