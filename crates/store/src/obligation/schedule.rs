//! What the scheduler does with obligations: plan, claim, enqueue, take back.
//!
//! `now` is the scheduler's clock, so that a test can move it.

use std::time::Duration;

use bulkhead_domain::{Dataset, TenantId};
use jiff::Timestamp;
use jiff_sqlx::{Date as SqlDate, Timestamp as SqlTimestamp, ToSqlx};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{NewSync, Obligation, ObligationKey, Obligations, columns, row::ObligationRow};
use crate::{
    answer::{count, limit, within},
    error::StoreError,
};

impl Obligations<'_> {
    /// Owes `syncs`, best 500 to 1,000 at a time, and returns how many are new: those whose id is there already stay
    /// as they are, whatever their state. The command line may do it too.
    ///
    /// # Errors
    /// As any statement; all or none.
    pub async fn plan(&self, syncs: &[NewSync]) -> Result<u64, StoreError> {
        let mut session = within("plan syncs", self.0.acquire()).await?;
        insert_syncs(&mut session, syncs).await
    }

    /// Claims up to `rows` obligations that are due at `now`, soonest first, for `lease`: within that time no other
    /// scheduler gets them. Obligations of the tenants `except` are left alone. Enqueue their jobs, then
    /// [`Obligations::mark_enqueued`].
    ///
    /// # Errors
    /// As any statement.
    pub async fn claim_due(
        &self,
        now: Timestamp,
        rows: u32,
        lease: Duration,
        except: &[TenantId],
    ) -> Result<Vec<Obligation>, StoreError> {
        const DOING: &str = "claim due obligations";
        let except: Vec<Uuid> = except.iter().map(|tenant| tenant.uuid()).collect();
        let until = now.saturating_add(lease).unwrap_or(Timestamp::MAX);
        let claim = sqlx::query_file_as!(
            ObligationRow,
            "queries/obligations/claim_due.sql",
            now.to_sqlx() as _,
            limit(rows),
            until.to_sqlx() as _,
            &except
        );
        let rows = within(DOING, claim.fetch_all(self.0)).await?;
        ObligationRow::read_all(rows, DOING)
    }

    /// When the next obligation is due, or was.
    ///
    /// # Errors
    /// As any statement.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let next = sqlx::query_file!("queries/obligations/next_due.sql");
        let row = within("find the next due time", next.fetch_one(self.0)).await?;
        Ok(row.due_at.map(SqlTimestamp::to_jiff))
    }

    /// Notes that their jobs are in Redis. Those that have ended meanwhile stay ended.
    ///
    /// # Errors
    /// As any statement.
    pub async fn mark_enqueued(
        &self,
        keys: &[ObligationKey],
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let (tenants, ids, days) = columns(keys);
        let mark = sqlx::query_file!(
            "queries/obligations/mark_enqueued.sql",
            &tenants,
            &ids,
            &days as _,
            now.to_sqlx() as _
        );
        let marked = within("mark obligations as enqueued", mark.execute(self.0)).await?;
        Ok(marked.rows_affected())
    }

    /// Their jobs are not in Redis any more: owes them again, due as before.
    ///
    /// # Errors
    /// As any statement.
    pub async fn owe_again(&self, keys: &[ObligationKey]) -> Result<u64, StoreError> {
        let (tenants, ids, days) = columns(keys);
        let owe = sqlx::query_file!(
            "queries/obligations/owe_again.sql",
            &tenants,
            &ids,
            &days as _
        );
        let owed = within("owe lost jobs again", owe.execute(self.0)).await?;
        Ok(owed.rows_affected())
    }

    /// Redis was lost: owes up to `rows` obligations that were enqueued before `before` again, due as before. Returns
    /// how many; call again until it is 0.
    ///
    /// # Errors
    /// As any statement.
    pub async fn owe_all_again(&self, before: Timestamp, rows: u32) -> Result<u64, StoreError> {
        let owe = sqlx::query_file!(
            "queries/obligations/owe_all_again.sql",
            before.to_sqlx() as _,
            limit(rows)
        );
        let owed = within("owe everything enqueued again", owe.execute(self.0)).await?;
        Ok(owed.rows_affected())
    }

    /// Gives up obligations whose jobs lie in the dead letters without a worker's word about it.
    ///
    /// # Errors
    /// As any statement.
    pub async fn mark_dead(&self, keys: &[ObligationKey], reason: &str) -> Result<u64, StoreError> {
        let (tenants, ids, days) = columns(keys);
        let mark = sqlx::query_file!(
            "queries/obligations/mark_dead.sql",
            &tenants,
            &ids,
            &days as _,
            reason
        );
        let marked = within("mark obligations as dead", mark.execute(self.0)).await?;
        Ok(marked.rows_affected())
    }

    /// Up to `rows` obligations that were enqueued before `before` and have not ended, oldest first: ask Redis whether
    /// their jobs are there.
    ///
    /// # Errors
    /// As any statement.
    pub async fn enqueued_before(
        &self,
        before: Timestamp,
        rows: u32,
    ) -> Result<Vec<Obligation>, StoreError> {
        const DOING: &str = "find obligations enqueued long ago";
        let find = sqlx::query_file_as!(
            ObligationRow,
            "queries/obligations/enqueued_before.sql",
            before.to_sqlx() as _,
            limit(rows)
        );
        let rows = within(DOING, find.fetch_all(self.0)).await?;
        ObligationRow::read_all(rows, DOING)
    }

    /// The greatest fencing token that a job which may still run has entered with; 0 for none. After a loss of Redis
    /// every new token must be greater.
    ///
    /// # Errors
    /// As any statement.
    pub async fn max_fencing_token(&self) -> Result<u64, StoreError> {
        let max = sqlx::query_file_scalar!("queries/obligations/max_fencing_token.sql");
        within("find the greatest fencing token", max.fetch_one(self.0))
            .await
            .map(count)
    }

    /// Makes the partitions of the coming days; returns how many were missing. Once a day is enough.
    ///
    /// # Errors
    /// As any statement.
    pub async fn maintain_partitions(&self) -> Result<u32, StoreError> {
        let maintain = sqlx::query_file_scalar!("queries/partitions/maintain.sql");
        let made = within("maintain partitions", maintain.fetch_one(self.0)).await?;
        Ok(u32::try_from(made).unwrap_or_default())
    }
}

/// Owes `syncs` in the transaction that is open in `session`; returns how many are new.
pub(super) async fn insert_syncs(
    session: &mut PgConnection,
    syncs: &[NewSync],
) -> Result<u64, StoreError> {
    let tenants: Vec<Uuid> = syncs.iter().map(|sync| sync.tenant.uuid()).collect();
    let ids: Vec<Uuid> = syncs.iter().map(|sync| sync.id.uuid()).collect();
    let days: Vec<SqlDate> = syncs.iter().map(|sync| sync.day().into()).collect();
    let connections: Vec<Uuid> = syncs.iter().map(|sync| sync.connection.uuid()).collect();
    let applications: Vec<Uuid> = syncs.iter().map(|sync| sync.application.uuid()).collect();
    let datasets = syncs.iter().map(|sync| sync.dataset);
    let datasets: Vec<String> = datasets.map(Dataset::as_str).map(str::to_owned).collect();
    let since: Vec<Option<SqlTimestamp>> = syncs
        .iter()
        .map(|sync| sync.since.map(Into::into))
        .collect();
    let priorities: Vec<i16> = syncs
        .iter()
        .map(|sync| sync.priority.get().into())
        .collect();
    let due: Vec<SqlTimestamp> = syncs.iter().map(|sync| sync.due_at.into()).collect();
    let deadlines: Vec<Option<SqlTimestamp>> = syncs
        .iter()
        .map(|sync| sync.deadline.map(Into::into))
        .collect();
    let plan = sqlx::query_file!(
        "queries/obligations/plan.sql",
        &tenants,
        &ids,
        &days as _,
        &connections,
        &applications,
        &datasets,
        &since as _,
        &priorities,
        &due as _,
        &deadlines as _
    );
    let planned = within("plan syncs", plan.execute(session)).await?;
    Ok(planned.rows_affected())
}
