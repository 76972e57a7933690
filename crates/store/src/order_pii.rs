//! Who the buyer is, sealed, and the wrapped keys, apart. Sync workers put both in and get neither out.

use jiff::{Timestamp, civil::Date};
use jiff_sqlx::{Date as SqlDate, Timestamp as SqlTimestamp, ToSqlx};

use crate::{
    answer::{count, within},
    error::StoreError,
    order::column,
    session::JobTx,
};

/// An order's buyer PII, to be stored after the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderPiiRow {
    /// Its order.
    pub order_id: String,
    /// The last UTC day on which it may exist: its partition.
    pub destroy_day: Date,
    /// The UTC day on which it came: says, with `dek_id`, which key.
    pub ingest_day: Date,
    /// When its order last changed: the newer row wins.
    pub last_updated_time: Timestamp,
    /// Under which key it is sealed.
    pub dek_id: i64,
    /// The sealed PII.
    pub sealed: Vec<u8>,
}

/// A wrapped key that this process has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PiiKey {
    /// The UTC day whose PII it seals.
    pub ingest_day: Date,
    /// Its id.
    pub dek_id: i64,
    /// Which key wraps it.
    pub kek_id: String,
    /// The version of that.
    pub kek_version: i32,
    /// The wrapped key.
    pub wrapped: Vec<u8>,
}

impl JobTx {
    /// Stores sealed PII with the key it is sealed under, in one transaction, so that neither is ever without the
    /// other; at most 1,000 rows at a time and none twice. A key that is there already stays. Returns how many rows
    /// were written. For sync.
    ///
    /// # Errors
    /// As any statement.
    pub async fn upsert_order_pii(
        &mut self,
        key: &PiiKey,
        rows: &[OrderPiiRow],
    ) -> Result<u64, StoreError> {
        self.insert_pii_key(key).await?;
        let (tenant, connection) = (self.tenant(), self.connection());
        let upsert = sqlx::query_file_scalar!(
            "queries/order_pii/upsert.sql",
            tenant,
            connection,
            column(rows, |row| row.order_id.as_str()) as _,
            column(rows, |row| SqlDate::from(row.destroy_day)) as _,
            column(rows, |row| SqlDate::from(row.ingest_day)) as _,
            column(rows, |row| SqlTimestamp::from(row.last_updated_time)) as _,
            column(rows, |row| row.dek_id) as _,
            column(rows, |row| row.sealed.as_slice()) as _
        );
        within("store sealed PII", upsert.fetch_one(self.sql()))
            .await
            .map(count)
    }

    async fn insert_pii_key(&mut self, key: &PiiKey) -> Result<(), StoreError> {
        let tenant = self.tenant();
        let insert = sqlx::query_file!(
            "queries/pii_keys/insert.sql",
            tenant,
            key.ingest_day.to_sqlx() as _,
            key.dek_id,
            key.kek_id,
            key.kek_version,
            key.wrapped
        );
        within("store a wrapped PII key", insert.execute(self.sql())).await?;
        Ok(())
    }
}
