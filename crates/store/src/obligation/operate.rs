//! What the command line does with obligations: look, withdraw, try again.

use std::collections::BTreeMap;

use bulkhead_domain::{ConnectionId, JobId, JobKind, Priority, TenantId};
use jiff::{Timestamp, civil::Date};
use jiff_sqlx::{Timestamp as SqlTimestamp, ToSqlx};
use serde_json::json;
use sqlx::PgConnection;

use super::{
    NewSync, Obligation, ObligationCount, ObligationFilter, ObligationKey, Obligations, Retried,
    row::ObligationRow, schedule::insert_syncs,
};
use crate::{
    answer::{count, limit, within},
    audit::{self, NewAuditEvent},
    error::StoreError,
};

impl Obligations<'_> {
    /// Up to `rows` obligations, latest due first.
    ///
    /// # Errors
    /// As any statement.
    pub async fn list(
        &self,
        filter: &ObligationFilter,
        rows: u32,
    ) -> Result<Vec<Obligation>, StoreError> {
        const DOING: &str = "list obligations";
        let list = sqlx::query_file_as!(
            ObligationRow,
            "queries/obligations/list.sql",
            filter.tenant.map(TenantId::uuid),
            filter.connection.map(ConnectionId::uuid),
            filter.state.map(bulkhead_domain::ObligationState::as_str),
            filter.kind.map(JobKind::as_str),
            filter.since.map(ToSqlx::to_sqlx) as _,
            limit(rows)
        );
        let rows = within(DOING, list.fetch_all(self.0)).await?;
        ObligationRow::read_all(rows, DOING)
    }

    /// The obligation of this id, of whichever tenant and day.
    ///
    /// # Errors
    /// As any statement.
    pub async fn find(&self, id: JobId) -> Result<Option<Obligation>, StoreError> {
        const DOING: &str = "find an obligation";
        let find = sqlx::query_file_as!(ObligationRow, "queries/obligations/find.sql", id.uuid());
        let row = within(DOING, find.fetch_optional(self.0)).await?;
        row.map(|row| row.read(DOING)).transpose()
    }

    /// Withdraws an obligation that has not ended; a job of it that runs cannot enter any more. Returns whether it had
    /// not ended.
    ///
    /// # Errors
    /// As any statement.
    pub async fn cancel(
        &self,
        key: &ObligationKey,
        reason: &str,
        actor: &str,
    ) -> Result<bool, StoreError> {
        const DOING: &str = "cancel an obligation";
        let mut transaction = within(DOING, self.0.begin()).await?;
        let cancel = sqlx::query_file!(
            "queries/obligations/cancel.sql",
            key.tenant.uuid(),
            key.id.uuid(),
            key.day.to_sqlx() as _,
            reason
        );
        let cancelled = within(DOING, cancel.execute(&mut *transaction)).await?;
        if cancelled.rows_affected() == 0 {
            return Ok(false);
        }
        let resource = resource(key);
        let event = event(
            key,
            actor,
            "job.cancel",
            &resource,
            json!({ "reason": reason }),
        );
        audit::append(&mut transaction, &event).await?;
        within(DOING, transaction.commit()).await?;
        Ok(true)
    }

    /// Withdraws everything that has not ended of a connection, or what is of one kind; the connection stays active.
    /// Returns how many.
    ///
    /// # Errors
    /// As any statement.
    pub async fn cancel_connection(
        &self,
        tenant: TenantId,
        connection: ConnectionId,
        kind: Option<JobKind>,
        reason: &str,
        actor: &str,
    ) -> Result<u64, StoreError> {
        const DOING: &str = "cancel a connection's obligations";
        let mut transaction = within(DOING, self.0.begin()).await?;
        let cancelled =
            cancel_connection(&mut transaction, tenant, connection, kind, reason).await?;
        let event = NewAuditEvent {
            tenant: Some(tenant),
            actor,
            action: "connection.cancel_jobs",
            resource: &format!("connection/{connection}"),
            details: json!({ "reason": reason, "kind": kind.map(JobKind::as_str), "obligations_cancelled": cancelled }),
        };
        audit::append(&mut transaction, &event).await?;
        within(DOING, transaction.commit()).await?;
        Ok(cancelled)
    }

    /// Owes an obligation that is dead or cancelled again, due now, its attempts counted anew.
    ///
    /// # Errors
    /// As any statement.
    pub async fn retry(&self, key: &ObligationKey, actor: &str) -> Result<Retried, StoreError> {
        const DOING: &str = "retry an obligation";
        let mut transaction = within(DOING, self.0.begin()).await?;
        let retry = sqlx::query_file!(
            "queries/obligations/retry.sql",
            key.tenant.uuid(),
            key.id.uuid(),
            key.day.to_sqlx() as _
        );
        match within(DOING, retry.execute(&mut *transaction)).await {
            Ok(retried) if retried.rows_affected() == 0 => return Ok(Retried::NotDead),
            Ok(_) => {}
            Err(StoreError::Statement { source, .. }) if is_taken(&source) => {
                return Ok(Retried::AlreadyOwed);
            }
            Err(error) => return Err(error),
        }
        let resource = resource(key);
        let event = event(key, actor, "job.retry", &resource, json!({}));
        audit::append(&mut transaction, &event).await?;
        within(DOING, transaction.commit()).await?;
        Ok(Retried::Owed)
    }

    /// Notes in the audit log that somebody asks for an obligation's job, which waits in the queue, to run now. Note it
    /// before the queue is told: what was asked is known then, also if the queue's answer is lost.
    ///
    /// # Errors
    /// As any statement; then leave the queue as it is.
    pub async fn note_forward(
        &self,
        key: &ObligationKey,
        priority: Priority,
        actor: &str,
    ) -> Result<(), StoreError> {
        let resource = resource(key);
        let details = json!({ "priority": priority.get() });
        let event = event(key, actor, "job.forward", &resource, details);
        let mut session = within("note that a job is moved forward", self.0.acquire()).await?;
        audit::append(&mut session, &event).await
    }

    /// Owes `syncs` that somebody asks for, as [`Obligations::plan`] does, with an audit event for each tenant.
    /// Returns how many are new.
    ///
    /// # Errors
    /// As any statement; all or none.
    pub async fn owe(&self, syncs: &[NewSync], actor: &str) -> Result<u64, StoreError> {
        const DOING: &str = "owe syncs";
        let mut transaction = within(DOING, self.0.begin()).await?;
        let owed = insert_syncs(&mut transaction, syncs).await?;
        let mut per_tenant: BTreeMap<TenantId, usize> = BTreeMap::new();
        for sync in syncs {
            *per_tenant.entry(sync.tenant).or_default() += 1;
        }
        for (tenant, asked) in per_tenant {
            let event = NewAuditEvent {
                tenant: Some(tenant),
                actor,
                action: "sync.enqueue",
                resource: &format!("tenant/{tenant}"),
                details: json!({ "syncs": asked }),
            };
            audit::append(&mut transaction, &event).await?;
        }
        within(DOING, transaction.commit()).await?;
        Ok(owed)
    }

    /// When each tenant's latest sync was done, of those that were owed since day `since`.
    ///
    /// # Errors
    /// As any statement.
    pub async fn last_done(&self, since: Date) -> Result<Vec<(TenantId, Timestamp)>, StoreError> {
        let last = sqlx::query_file!("queries/obligations/last_done.sql", since.to_sqlx() as _);
        let rows = within("find the latest syncs", last.fetch_all(self.0)).await?;
        Ok(rows
            .into_iter()
            .map(|row| (TenantId::new(row.tenant_id), row.finished_at.to_jiff()))
            .collect())
    }

    /// Counts by tenant, kind and state since day `since`.
    ///
    /// # Errors
    /// As any statement.
    pub async fn count(&self, since: Date) -> Result<Vec<ObligationCount>, StoreError> {
        const DOING: &str = "count obligations";
        let counting = sqlx::query_file!("queries/obligations/count.sql", since.to_sqlx() as _);
        let rows = within(DOING, counting.fetch_all(self.0)).await?;
        rows.into_iter()
            .map(|row| {
                Ok(ObligationCount {
                    tenant: TenantId::new(row.tenant_id),
                    kind: row.kind.parse().map_err(StoreError::unreadable(DOING))?,
                    state: row.state.parse().map_err(StoreError::unreadable(DOING))?,
                    count: count(row.count),
                    earliest_due: row.earliest_due.map(SqlTimestamp::to_jiff),
                    retries: count(row.retries),
                })
            })
            .collect()
    }
}

/// Withdraws everything that has not ended of a connection, or what is of one kind, in the transaction that is open in `session`.
pub(crate) async fn cancel_connection(
    session: &mut PgConnection,
    tenant: TenantId,
    connection: ConnectionId,
    kind: Option<JobKind>,
    reason: &str,
) -> Result<u64, StoreError> {
    let cancel = sqlx::query_file!(
        "queries/obligations/cancel_connection.sql",
        tenant.uuid(),
        connection.uuid(),
        reason,
        kind.map(JobKind::as_str)
    );
    let cancelled = within("cancel a connection's obligations", cancel.execute(session)).await?;
    Ok(cancelled.rows_affected())
}

fn resource(key: &ObligationKey) -> String {
    format!("job/{}", key.id)
}

fn event<'a>(
    key: &ObligationKey,
    actor: &'a str,
    action: &'a str,
    resource: &'a str,
    details: serde_json::Value,
) -> NewAuditEvent<'a> {
    NewAuditEvent {
        tenant: Some(key.tenant),
        actor,
        action,
        resource,
        details,
    }
}

/// Whether a unique key is taken: the one live token refresh of a connection.
fn is_taken(error: &sqlx::Error) -> bool {
    crate::error::code(error).as_deref() == Some("23505")
}
