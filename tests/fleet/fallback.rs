//! The Orders API v0: a fallback that brings the same data, within its own plans.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use bulkhead_devstack::fleet::FleetOptions;

use crate::support::{TestNight, quick};

#[tokio::test]
async fn the_fallback_stores_the_same_orders_items_and_sealed_data_within_every_plan() -> Result<()>
{
    let fallback = synced(&["--dataset", "orders_v0"]).await?;
    let usual = synced(&[]).await?;
    let (of_fallback, of_usual) = (stored(&fallback).await?, stored(&usual).await?);
    ensure!(!of_usual.is_empty(), "nothing to compare");
    for (order, usual) in &of_usual {
        let fallback = of_fallback.get(order);
        ensure!(
            fallback == Some(usual),
            "{order}: {fallback:?}, not {usual:?}"
        );
    }
    ensure!(of_fallback.len() == of_usual.len());
    let operations: serde_json::Value = fallback.fleet.amazon.get("counts").await?;
    let operations = &operations["by_operation"];
    ensure!(
        operations["orders/2026-01-01/searchOrders"].is_null(),
        "{operations}"
    );
    ensure!(
        operations["orders/v0/getOrders"].as_u64() >= Some(3),
        "{operations}"
    );
    Ok(())
}

/// A fleet whose sellers' orders were synced by `bulkhead enqueue sync --all`, with nothing lost, repeated, throttled.
async fn synced(arguments: &[&str]) -> Result<TestNight> {
    // Slow enough that no order moves on between the two fleets' nights unless both see it.
    let options = FleetOptions {
        time_scale: 1_000.0,
        ..quick(2, 30)
    };
    let night = TestNight::onboarded(options).await?;
    let _scheduler = night.start("scheduler", "scheduler").await?;
    let _token = night.start("token", "token-1").await?;
    let _sync = night.start("sync", "sync-1").await?;
    let arguments = [&["enqueue", "sync", "--all"], arguments].concat();
    night.fleet.cli().run(&arguments).await?;
    night.until_all_syncs_are_done().await?;
    night.nothing_lost_nothing_twice().await?;
    Ok(night)
}

/// Of every order: its items, and whether buyers' data are sealed beside it.
async fn stored(night: &TestNight) -> Result<BTreeMap<String, (Vec<String>, bool)>> {
    let query = "select o.order_id, \
                    array(select i.order_item_id from bulkhead.order_items i where i.tenant_id = o.tenant_id \
                        and i.connection_id = o.connection_id and i.order_id = o.order_id order by 1), \
                    exists (select from bulkhead.order_pii p where p.tenant_id = o.tenant_id \
                        and p.connection_id = o.connection_id and p.order_id = o.order_id) \
                 from bulkhead.orders o";
    let rows: Vec<(String, Vec<String>, bool)> =
        sqlx::query_as(query).fetch_all(&night.pool).await?;
    Ok(rows
        .into_iter()
        .map(|(order, items, pii)| (order, (items, pii)))
        .collect())
}
