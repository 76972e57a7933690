//! What happened, written in the transaction in which it happened.

use bulkhead_domain::TenantId;
use jiff::civil::Date;
use jiff_sqlx::{Date as SqlDate, Timestamp, ToSqlx};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    answer::{limit, within},
    connect::Store,
    error::StoreError,
    session::JobTx,
};

/// An event to be.
#[derive(Debug, Clone)]
pub struct NewAuditEvent<'a> {
    /// Whom it concerns; `None`: the fleet.
    pub tenant: Option<TenantId>,
    /// Who did it: a person, or a process.
    pub actor: &'a str,
    /// `connection.pause`, …
    pub action: &'a str,
    /// `connection/<id>`, …
    pub resource: &'a str,
    /// An object with what else matters; never a secret, never buyer PII.
    pub details: serde_json::Value,
}

/// An event.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEvent {
    /// Its id.
    pub id: Uuid,
    /// Its partition.
    pub day: Date,
    /// Whom it concerns; `None`: the fleet.
    pub tenant: Option<TenantId>,
    /// When, by Postgres' clock.
    pub at: jiff::Timestamp,
    /// Who says so.
    pub actor: String,
    /// The login that wrote it.
    pub recorded_by: String,
    /// What was done.
    pub action: String,
    /// To what.
    pub resource: String,
    /// What else matters.
    pub details: serde_json::Value,
}

/// The audit log.
#[derive(Debug, Clone, Copy)]
pub struct AuditLog<'s>(&'s PgPool);

impl Store {
    /// The audit log.
    #[must_use]
    pub const fn audit(&self) -> AuditLog<'_> {
        AuditLog(&self.pool)
    }
}

impl AuditLog<'_> {
    /// Appends an event that belongs to no other change.
    ///
    /// # Errors
    /// As any statement.
    pub async fn append(&self, event: &NewAuditEvent<'_>) -> Result<(), StoreError> {
        let mut session = within("append to the audit log", self.0.acquire()).await?;
        append(&mut session, event).await
    }

    /// Up to `rows` events, newest first; of one tenant, since a day. For the command line.
    ///
    /// # Errors
    /// As any statement.
    pub async fn list(
        &self,
        tenant: Option<TenantId>,
        since: Option<Date>,
        rows: u32,
    ) -> Result<Vec<AuditEvent>, StoreError> {
        let list = sqlx::query_file_as!(
            AuditRow,
            "queries/audit_events/list.sql",
            tenant.map(TenantId::uuid),
            since.map(ToSqlx::to_sqlx) as _,
            limit(rows)
        );
        let found = within("read the audit log", list.fetch_all(self.0)).await?;
        Ok(found.into_iter().map(AuditEvent::from).collect())
    }
}

impl JobTx {
    /// Appends an event of the entered job's tenant.
    ///
    /// # Errors
    /// As any statement; refused if `event` concerns another tenant.
    pub async fn append_audit(&mut self, event: &NewAuditEvent<'_>) -> Result<(), StoreError> {
        append(self.sql(), event).await
    }
}

/// Appends an event to the transaction that is open in `session`.
pub(crate) async fn append(
    session: &mut PgConnection,
    event: &NewAuditEvent<'_>,
) -> Result<(), StoreError> {
    let insert = sqlx::query_file!(
        "queries/audit_events/insert.sql",
        event.tenant.map(TenantId::uuid),
        event.actor,
        event.action,
        event.resource,
        event.details
    );
    within("append to the audit log", insert.execute(session)).await?;
    Ok(())
}

struct AuditRow {
    day: SqlDate,
    id: Uuid,
    tenant_id: Option<Uuid>,
    at: Timestamp,
    actor: String,
    recorded_by: String,
    action: String,
    resource: String,
    details: serde_json::Value,
}

impl From<AuditRow> for AuditEvent {
    fn from(row: AuditRow) -> Self {
        Self {
            id: row.id,
            day: row.day.to_jiff(),
            tenant: row.tenant_id.map(TenantId::new),
            at: row.at.to_jiff(),
            actor: row.actor,
            recorded_by: row.recorded_by,
            action: row.action,
            resource: row.resource,
            details: row.details,
        }
    }
}
