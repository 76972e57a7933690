//! The night's judge: what is stored against what the simulated Amazon says that it served and has.

use std::collections::HashMap;

use anyhow::{Context, Result};
use bulkhead_devstack::fleet::{AmazonCounts, AmazonOrder, Fleet, Onboarded};
use sqlx::PgPool;

/// What was found.
#[derive(Debug)]
pub(crate) struct Audit {
    /// Counted from the rows.
    pub(crate) totals: Totals,
    /// Of the simulator.
    pub(crate) counts: AmazonCounts,
    /// Orders and items that were served, or had to be, and are not stored as they were served last.
    pub(crate) lost: u64,
    /// Orders that are stored twice, or that nobody served to this connection.
    pub(crate) duplicated: u64,
}

/// What is stored.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Totals {
    pub(crate) orders: i64,
    pub(crate) order_items: i64,
    pub(crate) pages: i64,
    stored_twice: i64,
}

#[derive(Debug, sqlx::FromRow)]
struct StoredOrder {
    order_id: String,
    last_updated_us: i64,
    items: Vec<String>,
}

impl Audit {
    pub(crate) async fn of(fleet: &Fleet, pool: &PgPool, onboarded: &Onboarded) -> Result<Self> {
        let totals: Totals = sqlx::query_as(include_str!("../../../../queries/demo/totals.sql"))
            .fetch_one(pool)
            .await?;
        let mut audit = Self {
            counts: fleet.amazon.counts().await?,
            lost: 0,
            duplicated: totals.stored_twice.unsigned_abs(),
            totals,
        };
        for tenant in &onboarded.tenants {
            for seller in &tenant.sellers {
                audit.judge(fleet, pool, &seller.seller_id).await?;
            }
        }
        Ok(audit)
    }

    async fn judge(&mut self, fleet: &Fleet, pool: &PgPool, seller_id: &str) -> Result<()> {
        let served = fleet.amazon.served(seller_id).await?;
        let existing = fleet.amazon.orders(seller_id).await?;
        let query = include_str!("../../../../queries/demo/stored_orders.sql");
        let stored: Vec<StoredOrder> = sqlx::query_as(query)
            .bind(seller_id)
            .fetch_all(pool)
            .await?;
        let query = include_str!("../../../../queries/demo/watermark.sql");
        let watermark: Option<i64> = sqlx::query_scalar(query)
            .bind(seller_id)
            .fetch_one(pool)
            .await?;

        let stored: HashMap<&str, &StoredOrder> = stored
            .iter()
            .map(|order| (order.order_id.as_str(), order))
            .collect();
        for order in &served {
            self.lost += missing(order, stored.get(order.order_id.as_str()).copied())?;
        }
        // Served or not: what changed before the end of the completed pass must be here.
        let complete_until = watermark.unwrap_or(i64::MIN);
        for order in &existing {
            let changed = micros(&order.last_updated_time)?;
            if changed < complete_until && !stored.contains_key(order.order_id.as_str()) {
                self.lost += 1;
            }
        }
        let served: HashMap<&str, &AmazonOrder> = served
            .iter()
            .map(|order| (order.order_id.as_str(), order))
            .collect();
        self.duplicated += stored
            .keys()
            .filter(|id| !served.contains_key(**id))
            .count() as u64;
        Ok(())
    }
}

/// How much of a served order is missing: the order, a newer version of it, items.
fn missing(served: &AmazonOrder, stored: Option<&StoredOrder>) -> Result<u64> {
    let Some(stored) = stored else {
        return Ok(1);
    };
    let stale = stored.last_updated_us < micros(&served.last_updated_time)?;
    let items = served
        .items
        .iter()
        .filter(|item| !stored.items.contains(item))
        .count() as u64;
    Ok(u64::from(stale) + items)
}

fn micros(time: &str) -> Result<i64> {
    let time: jiff::Timestamp = time
        .parse()
        .with_context(|| format!("read the time {time}"))?;
    Ok(time.as_microsecond())
}
