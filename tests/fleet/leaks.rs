//! A night in which much goes wrong leaves no secret and no buyer's data anywhere but sealed.

mod canary;
mod places;

use anyhow::{Context, Result};
use bulkhead_devstack::Signal;
use bulkhead_devstack::fleet::{MemberOptions, Seller};
use serde_json::json;

use self::canary::Canaries;
use crate::{
    collector::Collector,
    support::{TestNight, eventually, quick},
};

const SEARCH: &str = "searchOrders";

#[tokio::test]
async fn no_secret_and_no_buyers_data_are_anywhere_but_sealed_after_a_night_of_failures()
-> Result<()> {
    let night = TestNight::onboarded(quick(6, 120)).await?;
    let collector = Collector::start().await?;
    let talkative = MemberOptions::default()
        .set("telemetry.level", "trace")
        .set("telemetry.otlp_endpoint", &collector.endpoint)
        .set("worker.max_attempts", "4")
        .set("worker.drain_timeout_ms", "100");
    night.make_amazon_fail().await?;
    night.enqueue_all().await?;
    night.enqueue_fallback().await?;
    let _scheduler = night
        .start_with("scheduler", "scheduler", &talkative)
        .await?;
    let token = night.start_with("token", "token-1", &talkative).await?;
    let first = night.start_with("sync", "sync-1", &talkative).await?;
    // A job hangs at Amazon: the worker is told to end, and another goes on.
    night.until_hit("timeout").await?;
    first.process.terminate();
    let second = night.start_with("sync", "sync-2", &talkative).await?;
    let open = "select count(*) from bulkhead.obligations where kind = 'sync' and state in ('owed', 'enqueued')";
    night.until(open, 0).await?;
    for fault in [
        "500",
        "503html",
        "reset",
        "truncate",
        "revoke",
        "expire_tokens",
    ] {
        night.until_hit(fault).await?;
    }
    for (state, at_least) in [("dead", 1), ("cancelled", 1), ("done", 6)] {
        let jobs = night.jobs(state).await?;
        anyhow::ensure!(jobs.len() >= at_least, "{} jobs are {state}", jobs.len());
    }

    let canaries = Canaries::of(&night).await?;
    let mut places = places::of_files(&night)?;
    places.push(places::redis(&night)?);
    places.push(places::postgres(&night)?);
    places.extend(places::command_line(&night).await?);
    // What a crash leaves behind.
    for crashing in [&second, &token] {
        crashing.process.signal(Signal::SIGABRT);
    }
    places.extend(places::crashed(&night, &[&second, &token]).await?);
    for export in collector.exports() {
        places.push(("an exported trace".to_owned(), export.to_vec()));
    }
    anyhow::ensure!(places.len() > 20, "{} places", places.len());
    for (name, content) in &places {
        anyhow::ensure!(!content.is_empty(), "{name} is empty");
        let found = canaries.found_in(content);
        anyhow::ensure!(found.is_empty(), "{name} holds {found:?}");
    }
    Ok(())
}

impl TestNight {
    /// Every seller has a trouble of its own; one has none.
    async fn make_amazon_fail(&self) -> Result<()> {
        let sellers = &self.fleet.amazon.ready.sellers;
        let faults = [
            // Until it is given up.
            json!({ "kind": "500", "operation": SEARCH, "seller_id": sellers[0].seller_id }),
            json!({ "kind": "503html", "operation": SEARCH, "count": 1, "seller_id": sellers[1].seller_id }),
            json!({ "kind": "timeout", "operation": SEARCH, "count": 1, "seller_id": sellers[2].seller_id }),
            json!({ "kind": "reset", "operation": SEARCH, "count": 1, "seller_id": sellers[1].seller_id }),
            json!({ "kind": "truncate", "operation": SEARCH, "count": 2, "seller_id": sellers[2].seller_id }),
            json!({ "kind": "truncate", "operation": "lwa/oauth2/token", "count": 2 }),
            json!({ "kind": "503html", "operation": "lwa/oauth2/token", "count": 2 }),
            json!({ "kind": "500", "operation": "createRestrictedDataToken", "count": 2 }),
            json!({ "kind": "truncate", "operation": "createRestrictedDataToken", "count": 1 }),
            // 403, and a refresh token that is refused for good.
            json!({ "kind": "revoke", "operation": SEARCH, "count": 1, "seller_id": sellers[3].seller_id }),
            // 403, and a token that has to be fetched anew.
            json!({ "kind": "expire_tokens", "operation": SEARCH, "count": 1, "seller_id": sellers[4].seller_id }),
        ];
        for fault in &faults {
            self.fleet.amazon.post("faults", fault).await?;
        }
        Ok(())
    }

    /// A sync over the old API too, which needs restricted data tokens.
    async fn enqueue_fallback(&self) -> Result<()> {
        let fallback = ["enqueue", "sync", "--all", "--dataset", "orders_v0"];
        self.fleet.cli().run(&fallback).await?;
        Ok(())
    }

    /// Waits until a fault of this kind has met a request.
    async fn until_hit(&self, kind: &str) -> Result<()> {
        let hit = async || {
            let counts: serde_json::Value = self.fleet.amazon.get("counts").await?;
            let faults = counts["by_fault"]
                .as_array()
                .context("faults are counted")?;
            Ok(faults.iter().any(|fault| fault["kind"] == kind))
        };
        eventually(hit)
            .await
            .with_context(|| format!("wait for a request that meets {kind}"))
    }

    async fn jobs(&self, state: &str) -> Result<Vec<String>> {
        let query = "select id::text from bulkhead.obligations where state = $1";
        let ids = sqlx::query_scalar(query).bind(state);
        Ok(ids.fetch_all(&self.pool).await?)
    }
}

/// Where a seller's orders are, by region.
fn endpoint<'n>(night: &'n TestNight, seller: &Seller) -> &'n str {
    let endpoints = &night.fleet.amazon.ready.endpoints;
    match seller.region.as_str() {
        "eu" => &endpoints.eu,
        "fe" => &endpoints.fe,
        _ => &endpoints.na,
    }
}
