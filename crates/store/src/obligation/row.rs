//! A row of `obligations`, as its queries return it.

use bulkhead_domain::{ApplicationId, ConnectionId, JobId, Priority, TenantId};
use jiff_sqlx::{Date, Timestamp};
use uuid::Uuid;

use super::Obligation;
use crate::{answer::count, error::StoreError};

pub(super) struct ObligationRow {
    pub(super) tenant_id: Uuid,
    pub(super) id: Uuid,
    pub(super) day: Date,
    pub(super) kind: String,
    pub(super) connection_id: Uuid,
    pub(super) application_id: Uuid,
    pub(super) dataset: Option<String>,
    pub(super) since: Option<Timestamp>,
    pub(super) priority: i16,
    pub(super) due_at: Timestamp,
    pub(super) deadline: Option<Timestamp>,
    pub(super) state: String,
    pub(super) attempts: i32,
    pub(super) fencing_token: i64,
    pub(super) enqueued_at: Option<Timestamp>,
    pub(super) last_error: Option<String>,
    pub(super) created_at: Timestamp,
    pub(super) finished_at: Option<Timestamp>,
}

impl ObligationRow {
    pub(super) fn read(self, doing: &'static str) -> Result<Obligation, StoreError> {
        let dataset = self.dataset.map(|name| name.parse()).transpose();
        Ok(Obligation {
            tenant: TenantId::new(self.tenant_id),
            id: JobId::new(self.id),
            day: self.day.to_jiff(),
            kind: self.kind.parse().map_err(StoreError::unreadable(doing))?,
            connection: ConnectionId::new(self.connection_id),
            application: ApplicationId::new(self.application_id),
            dataset: dataset.map_err(StoreError::unreadable(doing))?,
            since: self.since.map(Timestamp::to_jiff),
            priority: Priority::new(u8::try_from(self.priority).unwrap_or_default()),
            due_at: self.due_at.to_jiff(),
            deadline: self.deadline.map(Timestamp::to_jiff),
            state: self.state.parse().map_err(StoreError::unreadable(doing))?,
            attempts: u32::try_from(self.attempts).unwrap_or_default(),
            fencing_token: count(self.fencing_token),
            enqueued_at: self.enqueued_at.map(Timestamp::to_jiff),
            last_error: self.last_error,
            created_at: self.created_at.to_jiff(),
            finished_at: self.finished_at.map(Timestamp::to_jiff),
        })
    }

    pub(super) fn read_all(
        rows: Vec<Self>,
        doing: &'static str,
    ) -> Result<Vec<Obligation>, StoreError> {
        rows.into_iter().map(|row| row.read(doing)).collect()
    }
}
