//! How far a dataset of a connection is.

use bulkhead_domain::{ConnectionId, Dataset, TenantId};
use jiff::Timestamp;
use jiff_sqlx::{Timestamp as SqlTimestamp, ToSqlx};
use sqlx::PgPool;

use crate::{
    answer::{count, limit, within},
    connect::Store,
    error::StoreError,
    session::JobTx,
};

/// Where a connection's dataset stands, as a job has read it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Everything that changed before this is stored.
    pub watermark: Option<Timestamp>,
    /// The running pass asks for changes from here; `None` between passes.
    pub pass_after: Option<Timestamp>,
    /// The running pass asks for changes before this.
    pub pass_before: Option<Timestamp>,
    /// Amazon's token of the running pass's next page; `None`: its first.
    pub page_token: Option<String>,
    /// Pages since the beginning.
    pub pages: u64,
    version: i64,
}

/// What a page adds to the counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Pages.
    pub pages: u32,
    /// Orders in them.
    pub orders: u32,
    /// Items of these orders.
    pub order_items: u32,
}

/// Why a checkpoint was not moved.
#[derive(Debug, thiserror::Error)]
pub enum AdvanceError {
    /// Another job has moved it since it was read: drop this transaction, read it again.
    #[error("the checkpoint has moved since it was read")]
    Moved,
    /// As any statement.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl JobTx {
    /// Where the entered job's connection stands in `dataset`; the default if it has never been synced. For sync.
    ///
    /// # Errors
    /// As any statement.
    pub async fn checkpoint(&mut self, dataset: Dataset) -> Result<Checkpoint, StoreError> {
        let (tenant, connection) = (self.tenant(), self.connection());
        let find = sqlx::query_file!(
            "queries/checkpoints/entered.sql",
            tenant,
            connection,
            dataset.as_str()
        );
        let found = within("read a checkpoint", find.fetch_optional(self.sql())).await?;
        Ok(found.map_or_else(Checkpoint::default, |row| Checkpoint {
            watermark: row.watermark.map(SqlTimestamp::to_jiff),
            pass_after: row.pass_after.map(SqlTimestamp::to_jiff),
            pass_before: row.pass_before.map(SqlTimestamp::to_jiff),
            page_token: row.page_token,
            pages: count(row.pages),
            version: row.version,
        }))
    }

    /// Moves the checkpoint to `to`, which is what [`JobTx::checkpoint`] gave, changed; `progress` is added to the
    /// counts. On success `to` can be moved on from again. For sync.
    ///
    /// # Errors
    /// [`AdvanceError::Moved`] unless it still stands where it was read.
    pub async fn advance_checkpoint(
        &mut self,
        dataset: Dataset,
        to: &mut Checkpoint,
        progress: Progress,
    ) -> Result<(), AdvanceError> {
        let (tenant, connection) = (self.tenant(), self.connection());
        let advance = sqlx::query_file_scalar!(
            "queries/checkpoints/advance.sql",
            tenant,
            connection,
            dataset.as_str(),
            to.version,
            to.watermark.map(ToSqlx::to_sqlx) as _,
            to.pass_after.map(ToSqlx::to_sqlx) as _,
            to.pass_before.map(ToSqlx::to_sqlx) as _,
            to.page_token,
            i64::from(progress.pages),
            i64::from(progress.orders),
            i64::from(progress.order_items)
        );
        let moved = within("advance a checkpoint", advance.fetch_optional(self.sql())).await?;
        to.version = moved.ok_or(AdvanceError::Moved)?;
        to.pages += u64::from(progress.pages);
        Ok(())
    }
}

/// How far a connection is, as operators see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointProgress {
    /// Whose.
    pub tenant: TenantId,
    /// Through which authorization.
    pub connection: ConnectionId,
    /// Of what.
    pub dataset: Dataset,
    /// Everything that changed before this is stored.
    pub watermark: Option<Timestamp>,
    /// A pass is running, up to here.
    pub pass_before: Option<Timestamp>,
    /// Pages since the beginning.
    pub pages: u64,
    /// Orders on them; an order that changed counts again.
    pub orders: u64,
    /// Items of these orders.
    pub order_items: u64,
    /// When it last moved.
    pub updated_at: Timestamp,
}

/// The checkpoints, for the command line.
#[derive(Debug, Clone, Copy)]
pub struct Checkpoints<'s>(&'s PgPool);

impl Store {
    /// The checkpoints.
    #[must_use]
    pub const fn checkpoints(&self) -> Checkpoints<'_> {
        Checkpoints(&self.pool)
    }
}

impl Checkpoints<'_> {
    /// How far the connections are, of one tenant if given, up to `rows`.
    ///
    /// # Errors
    /// As any statement.
    pub async fn list(
        &self,
        tenant: Option<TenantId>,
        rows: u32,
    ) -> Result<Vec<CheckpointProgress>, StoreError> {
        const DOING: &str = "list checkpoints";
        let list = sqlx::query_file!(
            "queries/checkpoints/list.sql",
            tenant.map(TenantId::uuid),
            limit(rows)
        );
        let found = within(DOING, list.fetch_all(self.0)).await?;
        found
            .into_iter()
            .map(|row| {
                Ok(CheckpointProgress {
                    tenant: TenantId::new(row.tenant_id),
                    connection: ConnectionId::new(row.connection_id),
                    dataset: row.dataset.parse().map_err(StoreError::unreadable(DOING))?,
                    watermark: row.watermark.map(SqlTimestamp::to_jiff),
                    pass_before: row.pass_before.map(SqlTimestamp::to_jiff),
                    pages: count(row.pages),
                    orders: count(row.orders),
                    order_items: count(row.order_items),
                    updated_at: row.updated_at.to_jiff(),
                })
            })
            .collect()
    }
}
