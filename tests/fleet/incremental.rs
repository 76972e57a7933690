//! The nights after the first: only what changed, in place.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use jiff::Timestamp;
use serde_json::json;

use crate::support::{TestNight, quick};

#[tokio::test]
async fn a_second_night_fetches_only_what_changed_and_updates_it_in_place() -> Result<()> {
    let night = TestNight::onboarded(quick(2, 600)).await?;
    let _scheduler = night.start("scheduler", "scheduler").await?;
    let _token = night.start("token", "token-1").await?;
    let _sync = night.start("sync", "sync-1").await?;
    night.enqueue_all().await?;
    night.until_all_syncs_are_done().await?;
    night.nothing_lost_nothing_twice().await?;
    let first = stored(&night).await?;
    let (pages, orders) = progress(&night).await?;
    ensure!(orders >= 1_200, "{orders} orders in the first night");

    let seller = night.fleet.amazon.ready.sellers[0].seller_id.clone();
    let arrivals = json!({"seller_id": seller, "count": 40});
    night.fleet.amazon.post("orders/arrive", &arrivals).await?;
    // Eight hours at Amazon: some orders move on, and all that changed is old enough to be shown.
    let later = json!({"ms": 30_000});
    night.fleet.amazon.post("clock/advance", &later).await?;
    night.enqueue_all().await?;
    night.until_all_syncs_are_done().await?;
    night.nothing_lost_nothing_twice().await?;
    newest_is_stored(&night).await?;

    let second = stored(&night).await?;
    ensure!(
        second.len() == first.len() + 40,
        "{} after {}",
        second.len(),
        first.len()
    );
    let moved = first
        .iter()
        .filter(|(id, before)| second[*id].0 > before.0)
        .count();
    ensure!(moved > 0, "no order was updated in place");
    for (id, (updated, seen)) in &first {
        let (updated_now, seen_now) = &second[id];
        ensure!(updated_now >= updated, "{id} went back");
        ensure!(seen_now == seen, "{id} was inserted anew");
    }
    let (pages_now, orders_now) = progress(&night).await?;
    let fetched = orders_now - orders;
    let changed = i64::try_from(moved)? + 40;
    // What changed at the very moment where the first pass ended may be fetched again.
    ensure!(
        fetched >= changed && fetched < orders / 2,
        "{fetched} fetched, {changed} changed"
    );
    ensure!(
        pages_now - pages < pages,
        "{} pages after {pages}",
        pages_now - pages
    );
    Ok(())
}

/// Every order is stored as Amazon last sent it.
async fn newest_is_stored(night: &TestNight) -> Result<()> {
    let stored = stored(night).await?;
    for seller in &night.fleet.amazon.ready.sellers {
        for order in night.fleet.amazon.served(&seller.seller_id).await? {
            let sent: Timestamp = order.last_updated_time.parse()?;
            let (held, _) = &stored[&order.order_id];
            ensure!(
                held.parse::<Timestamp>()? == sent,
                "{}: {held}, sent {sent}",
                order.order_id
            );
        }
    }
    Ok(())
}

/// Of every order: when it last changed, and when it was first stored; in a form that is ordered by time.
async fn stored(night: &TestNight) -> Result<BTreeMap<String, (String, String)>> {
    let query = "select order_id, to_char(last_updated_time at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), \
                 first_seen_at::text from bulkhead.orders";
    let rows: Vec<(String, String, String)> = sqlx::query_as(query).fetch_all(&night.pool).await?;
    Ok(rows
        .into_iter()
        .map(|(id, updated, seen)| (id, (updated, seen)))
        .collect())
}

/// Pages and orders that the passes have brought so far.
async fn progress(night: &TestNight) -> Result<(i64, i64)> {
    let pages = night
        .number("select sum(pages)::bigint from bulkhead.checkpoints")
        .await?;
    let orders = night
        .number("select sum(orders)::bigint from bulkhead.checkpoints")
        .await?;
    Ok((pages, orders))
}
