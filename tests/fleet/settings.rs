//! What operators set on the queues outlives Redis, and Redis is set right where it was not told.

use anyhow::{Context, Result, ensure};
use bulkhead_devstack::fleet::Member;
use serde_json::{Value, json};

use crate::{
    judge::{JudgedNight, until_it_has_crashed},
    support::{TestNight, eventually, quick},
};

/// Of the four sellers two are the first tenant's, and one each of two others.
const HELD: &str = "harbor-supply";
const WEIGHED: &str = "alder-home";

const ORDERS_OF_THE_HELD: &str = "select count(*) from bulkhead.orders o join bulkhead.tenants t on t.id = o.tenant_id \
                                  where t.name = 'harbor-supply'";
const SYNCS_OF_THE_HELD: &str = "select count(*) from bulkhead.obligations o join bulkhead.tenants t on t.id = o.tenant_id \
                                 where t.name = 'harbor-supply' and o.kind = 'sync' and o.state = 'enqueued'";
const OPEN_SYNCS_OF_THE_OTHERS: &str = "select count(*) from bulkhead.obligations o join bulkhead.tenants t on t.id = o.tenant_id \
                                        where t.name <> 'harbor-supply' and o.kind = 'sync' and o.state <> 'done'";
const CAP_BELOW_THE_SHARDS: &str = "insert into bulkhead.queue_caps (tenant_id, scope, class, max_in_flight) \
                                    select id, 'tenant', 'sync', 1 from bulkhead.tenants where name = 'birch-toys'";
const QUEUED_SYNCS: &str =
    "select count(*) from bulkhead.obligations where kind = 'sync' and state = 'enqueued'";
const TOKENS_UNDER_WAY: &str =
    "select count(*) from bulkhead.obligations where kind = 'token_refresh' and state = 'enqueued'";

/// The sum of what each shard of `sync` answers.
fn on_every_shard(night: &TestNight, command: &str, key: &str) -> Result<u64> {
    let mut sum = 0;
    for shard in 0..4 {
        let command = format!("{command} {{sync.{shard}}}:{key}");
        let answer = night.fleet.redis.command(&command)?;
        let number = answer.trim_start_matches(':').parse::<u64>();
        sum += number.with_context(|| format!("{command}: {answer}"))?;
    }
    Ok(sum)
}

/// Holds of one tenant, one weight, one cap of one connection and one default: on all four shards.
fn is_as_set(night: &TestNight) -> Result<bool> {
    Ok(on_every_shard(night, "SCARD", "held")? == 4
        && on_every_shard(night, "HLEN", "weights")? == 4
        && on_every_shard(night, "HLEN", "caps")? == 5)
}

async fn set_everything(night: &TestNight) -> Result<()> {
    let connections: Value = night
        .cli(&["connection", "list", "--tenant", WEIGHED])
        .await?;
    let id = connections[0]["id"].as_str().context("an id")?;
    for command in [
        &["tenant", "pause", HELD, "--class", "sync"][..],
        &["tenant", "weight", WEIGHED, "3", "--class", "sync"],
        &["cap", "set", "--connection", id, "1", "--class", "sync"],
        &["cap", "set", "--every-connection", "2", "--class", "sync"],
    ] {
        night.fleet.cli().run(command).await?;
    }
    ensure!(is_as_set(night)?, "Redis was not told");
    Ok(())
}

async fn until_rebuilt(scheduler: &Member, times: f64) -> Result<()> {
    let rebuilt = eventually(async || {
        let metrics = scheduler.metrics().await?;
        Ok(metrics.sum("bulkhead_redis_rebuilds_total") >= times)
    });
    rebuilt.await.context("wait for the rebuilding")
}

impl TestNight {
    async fn cli(&self, arguments: &[&str]) -> Result<Value> {
        self.fleet.cli().json(arguments).await
    }

    async fn enqueue_tenant(&self, tenant: &str) -> Result<()> {
        let command = ["enqueue", "sync", "--tenant", tenant];
        self.fleet.cli().run(&command).await?;
        Ok(())
    }
}

#[tokio::test]
async fn a_held_tenant_a_weight_and_caps_survive_a_redis_that_loses_everything() -> Result<()> {
    let mut night = TestNight::onboarded(quick(4, 300)).await?;
    let scheduler = night.start("scheduler", "scheduler").await?;
    let _token = night.start("token", "token").await?;
    let _sync = night.start("sync", "sync").await?;
    set_everything(&night).await?;
    night.enqueue_all().await?;
    for (lost, restarted) in [(1.0, false), (2.0, true)] {
        night.until(OPEN_SYNCS_OF_THE_OTHERS, 0).await?;
        if restarted {
            night.fleet.redis.restart_empty().await?;
        } else {
            night.fleet.redis.flush()?;
        }
        until_rebuilt(&scheduler, lost + 1.0).await?;
        ensure!(is_as_set(&night)?, "a setting was lost with Redis");
        // The same worker does what comes later, of others.
        night.enqueue_tenant(WEIGHED).await?;
        night.until(OPEN_SYNCS_OF_THE_OTHERS, 0).await?;
        night.until(SYNCS_OF_THE_HELD, 2).await?;
        let waiting = night
            .cli(&["jobs", "list", "--tenant", HELD, "--kind", "sync"])
            .await?;
        for job in waiting.as_array().context("jobs")? {
            ensure!(job["queue"]["state"] == "paused", "{job}");
        }
        let stored = night.number(ORDERS_OF_THE_HELD).await?;
        ensure!(stored == 0, "{stored} orders of a held tenant were stored");
    }
    night.fleet.cli().run(&["tenant", "resume", HELD]).await?;
    night.until_all_syncs_are_done().await?;
    night.nothing_lost_nothing_twice().await
}

#[tokio::test]
async fn a_held_class_survives_a_redis_that_loses_everything_and_finishes_when_it_is_let_go()
-> Result<()> {
    let mut night = TestNight::onboarded(quick(4, 100)).await?;
    let scheduler = night.start("scheduler", "scheduler").await?;
    let _token = night.start("token", "token").await?;
    let _sync = night.start("sync", "sync").await?;
    night.fleet.cli().run(&["class", "pause", "sync"]).await?;
    night.enqueue_all().await?;
    night.until(QUEUED_SYNCS, 4).await?;
    night.fleet.redis.flush()?;
    until_rebuilt(&scheduler, 2.0).await?;
    night.fleet.redis.restart_empty().await?;
    until_rebuilt(&scheduler, 3.0).await?;
    night.until(QUEUED_SYNCS, 4).await?;
    // The other class goes on meanwhile.
    night.until(TOKENS_UNDER_WAY, 0).await?;
    ensure!(
        on_every_shard(&night, "HLEN", "jobs")? == 4,
        "jobs were lost"
    );
    ensure!(on_every_shard(&night, "ZCARD", "leases")? == 0, "jobs run");
    let status = night.cli(&["status"]).await?;
    ensure!(status["classes"][0]["held"] == true, "{status}");
    night.fleet.cli().run(&["class", "resume", "sync"]).await?;
    night.until_all_syncs_are_done().await?;
    night.nothing_lost_nothing_twice().await
}

#[tokio::test]
async fn what_redis_was_not_told_or_was_told_by_somebody_else_is_set_right_within_seconds()
-> Result<()> {
    let night = TestNight::onboarded(quick(4, 20)).await?;
    let _scheduler = night.start("scheduler", "scheduler").await?;
    set_everything(&night).await?;
    // As if the command had died between the two stores: it cannot reach this Redis.
    let nowhere = "redis.url=redis://127.0.0.1:1";
    let command = ["--set", nowhere, "class", "pause", "token"];
    let said = night.cli(&command).await?;
    ensure!(said["in_redis"] == false, "{said}");
    let holds =
        async || Ok::<_, anyhow::Error>(night.cli(&["status"]).await?["settings"]["holds"].clone());
    eventually(async || {
        let holds = holds().await?;
        let holds = holds.as_array().context("holds")?;
        Ok(holds.len() == 2 && holds.iter().all(|hold| hold["in_redis"] == true))
    })
    .await?;
    // By hand: everything taken away on two shards, and something else put on a third.
    for command in [
        "DEL {sync.0}:held {sync.0}:weights {sync.1}:held {sync.1}:weights {sync.2}:weights",
        "SADD {sync.2}:held *",
        "HSET {sync.2}:weights 0123456789abcdef heavy",
    ] {
        night.fleet.redis.command(command)?;
    }
    for shard in 0..4 {
        night
            .fleet
            .redis
            .command(&format!("HDEL {{sync.{shard}}}:caps c"))?;
    }
    eventually(async || is_as_set(&night)).await?;
    night.fleet.cli().run(&["tenant", "resume", HELD]).await?;
    night
        .fleet
        .cli()
        .run(&["tenant", "weight", WEIGHED, "1"])
        .await?;
    ensure!(on_every_shard(&night, "EXISTS", "held")? == 0, "held");
    ensure!(on_every_shard(&night, "EXISTS", "weights")? == 0, "weighed");
    // A cap from when there were fewer shards holds as well as it can be split, and stops nothing else.
    sqlx::raw_sql(CAP_BELOW_THE_SHARDS)
        .execute(&night.pool)
        .await?;
    eventually(async || Ok(on_every_shard(&night, "HLEN", "caps")? == 9)).await
}

#[tokio::test]
async fn settings_are_in_redis_before_any_permit_is_granted() -> Result<()> {
    let night = JudgedNight::onboarded(quick(4, 20)).await?;
    set_everything(&night).await?;
    night.fleet.redis.flush()?;
    let doomed = night.start_doomed("scheduler", "doomed", "scheduler.rebuild.settled")?;
    until_it_has_crashed(&doomed).await?;
    ensure!(is_as_set(&night)?, "not settled");
    ensure!(
        on_every_shard(&night, "EXISTS", "boot")? == 0,
        "a nonce was established"
    );
    // Whoever comes next does it again, and goes on.
    let _scheduler = night.start("scheduler", "scheduler").await?;
    eventually(async || Ok(on_every_shard(&night, "EXISTS", "boot")? == 4)).await?;
    ensure!(is_as_set(&night)?, "a setting was lost");
    let status = night.cli(&["status"]).await?;
    ensure!(
        status["settings"]["weights"][0]["weight"] == json!(3.0),
        "{status}"
    );
    Ok(())
}
