//! Orders and their items, without anything that tells who the buyer is.
//!
//! Amounts are decimal text, as Amazon sends them, and `numeric` in Postgres: never a float.

use bulkhead_domain::Dataset;
use jiff::Timestamp;
use jiff_sqlx::Timestamp as SqlTimestamp;
use serde_json::Value;

use crate::{answer::within, error::StoreError, session::JobTx};

/// An order to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderRow {
    /// Amazon's id.
    pub order_id: String,
    /// When it was placed.
    pub created_time: Timestamp,
    /// When it last changed: the newer row wins.
    pub last_updated_time: Timestamp,
    /// Where it was placed.
    pub marketplace_id: Option<String>,
    /// `UNSHIPPED`, `SHIPPED`, …
    pub fulfillment_status: Option<String>,
    /// `AMAZON` or `MERCHANT`.
    pub fulfilled_by: Option<String>,
    /// Grand total, decimal.
    pub total_amount: Option<String>,
    /// Its currency.
    pub total_currency: Option<String>,
    /// As Amazon sent it, buyer PII taken out.
    pub document: Value,
}

/// An item to be stored, after its order.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderItemRow {
    /// Its order.
    pub order_id: String,
    /// Amazon's id.
    pub order_item_id: String,
    /// When its order last changed: the newer row wins.
    pub last_updated_time: Timestamp,
    /// Amazon's number of the product.
    pub asin: Option<String>,
    /// The seller's number of the product.
    pub seller_sku: Option<String>,
    /// The product's title.
    pub title: Option<String>,
    /// Pieces ordered.
    pub quantity_ordered: i32,
    /// Pieces sent.
    pub quantity_fulfilled: Option<i32>,
    /// Total, decimal.
    pub total_amount: Option<String>,
    /// Its currency.
    pub total_currency: Option<String>,
    /// As Amazon sent it, buyer PII taken out.
    pub document: Value,
}

impl JobTx {
    /// Stores orders of the entered job's connection, at most 1,000 at a time and none twice; rows that are newer
    /// already stay. Returns how many were written. For sync.
    ///
    /// # Errors
    /// As any statement.
    pub async fn upsert_orders(
        &mut self,
        dataset: Dataset,
        rows: &[OrderRow],
    ) -> Result<u64, StoreError> {
        let (tenant, connection) = (self.tenant(), self.connection());
        let upsert = sqlx::query_file!(
            "queries/orders/upsert.sql",
            tenant,
            connection,
            dataset.as_str(),
            column(rows, |row| row.order_id.as_str()) as _,
            column(rows, |row| SqlTimestamp::from(row.created_time)) as _,
            column(rows, |row| SqlTimestamp::from(row.last_updated_time)) as _,
            column(rows, |row| row.marketplace_id.as_deref()) as _,
            column(rows, |row| row.fulfillment_status.as_deref()) as _,
            column(rows, |row| row.fulfilled_by.as_deref()) as _,
            column(rows, |row| row.total_amount.as_deref()) as _,
            column(rows, |row| row.total_currency.as_deref()) as _,
            column(rows, |row| sqlx::types::Json(&row.document)) as _
        );
        let written = within("store orders", upsert.execute(self.sql())).await?;
        Ok(written.rows_affected())
    }

    /// Stores items of orders that are stored, at most 1,000 at a time and none twice; rows that are newer already
    /// stay. Returns how many were written. For sync.
    ///
    /// # Errors
    /// As any statement.
    pub async fn upsert_order_items(&mut self, rows: &[OrderItemRow]) -> Result<u64, StoreError> {
        let (tenant, connection) = (self.tenant(), self.connection());
        let upsert = sqlx::query_file!(
            "queries/order_items/upsert.sql",
            tenant,
            connection,
            column(rows, |row| row.order_id.as_str()) as _,
            column(rows, |row| row.order_item_id.as_str()) as _,
            column(rows, |row| SqlTimestamp::from(row.last_updated_time)) as _,
            column(rows, |row| row.asin.as_deref()) as _,
            column(rows, |row| row.seller_sku.as_deref()) as _,
            column(rows, |row| row.title.as_deref()) as _,
            column(rows, |row| row.quantity_ordered) as _,
            column(rows, |row| row.quantity_fulfilled) as _,
            column(rows, |row| row.total_amount.as_deref()) as _,
            column(rows, |row| row.total_currency.as_deref()) as _,
            column(rows, |row| sqlx::types::Json(&row.document)) as _
        );
        let written = within("store order items", upsert.execute(self.sql())).await?;
        Ok(written.rows_affected())
    }
}

/// One column of `rows`, as `unnest` takes it.
pub(crate) fn column<'r, R, V>(rows: &'r [R], value: impl Fn(&'r R) -> V) -> Vec<V> {
    rows.iter().map(value).collect()
}
