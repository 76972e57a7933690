//! Usage plans that operators have pinned outlive Redis, and Redis is set right where it was not told.

use anyhow::{Context, Result, ensure};
use bulkhead_devstack::fleet::FleetRedis;
use serde_json::Value;

use crate::support::{TestNight, eventually, quick};

/// Of a connection on one shard, of an application on all four, in the two classes that call Amazon.
pub(crate) const EVERYWHERE: u64 = 2 * (1 + 4);

/// How many plans of 0.002/s and a burst of 5 are pinned in a shard, where Amazon is 1,000 times as fast.
const FOLLOWED: &str = concat!(
    r#"EVAL "local n = 0 for _, plan in ipairs(redis.call('HVALS', KEYS[1])) do "#,
    r#"if plan:find(ARGV[1], 1, true) then n = n + 1 end end return n""#
);

const AUDITED: &str =
    "select count(*) from bulkhead.audit_events where action in ('plan.set', 'plan.reset')";

/// How many shards, over both classes, follow a plan as [`pin`] pins it.
pub(crate) fn followed(night: &TestNight) -> Result<u64> {
    let mut sum = 0;
    for class in ["sync", "token"] {
        for shard in 0..4 {
            let plans = format!("{{{class}.{shard}}}:plans");
            let command = format!(r#"{FOLLOWED} 1 {plans} "\"p\":[2,5]""#);
            let answer = on_the_node_of(night, &plans, &command)?;
            let number = answer.trim_start_matches(':').parse::<u64>();
            sum += number.with_context(|| format!("{command}: {answer}"))?;
        }
    }
    Ok(sum)
}

fn on_the_node_of(night: &TestNight, key: &str, command: &str) -> Result<String> {
    let answer = match &night.fleet.redis {
        FleetRedis::Server(server) => server.command(command)?,
        FleetRedis::Cluster(cluster) => cluster.nodes()[cluster.node_of(key)?].command(command)?,
    };
    Ok(answer)
}

/// Whose plan: of the first connection, and of the application.
async fn subjects(night: &TestNight) -> Result<[[String; 3]; 2]> {
    let cli = night.fleet.cli();
    let connections: Value = cli.json(&["connection", "list"]).await?;
    let connection = connections[0]["id"].as_str().context("an id")?;
    let applications: Value = cli.json(&["application", "list"]).await?;
    let application = applications[0]["id"].as_str().context("an id")?;
    let subject = |option: &str, id: &str, operation: &str| {
        [option.to_owned(), id.to_owned(), operation.to_owned()]
    };
    Ok([
        subject("--connection", connection, "searchOrders"),
        subject("--application", application, "getCatalogItem"),
    ])
}

/// Pins both at 0.002/s and a burst of 5.
pub(crate) async fn pin(night: &TestNight) -> Result<()> {
    for subject in subjects(night).await? {
        let mut command = vec!["plans", "set", "--rate", "0.002", "--burst", "5"];
        command.extend(subject.iter().map(String::as_str));
        let said: Value = night.fleet.cli().json(&command).await?;
        ensure!(said["in_redis"] == true, "{said}");
    }
    ensure!(followed(night)? == EVERYWHERE, "Redis was not told");
    Ok(())
}

async fn reset(night: &TestNight, settings: &[&str]) -> Result<()> {
    for subject in subjects(night).await? {
        let mut command = [settings, &["plans", "reset"]].concat();
        command.extend(subject.iter().map(String::as_str));
        let said: Value = night.fleet.cli().json(&command).await?;
        ensure!(said["was_pinned"] == true, "{said}");
        ensure!(said["in_redis"] == settings.is_empty(), "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn pinned_plans_survive_a_redis_that_loses_everything() -> Result<()> {
    let mut night = TestNight::onboarded(quick(2, 20)).await?;
    let scheduler = night.start("scheduler", "scheduler").await?;
    pin(&night).await?;
    for restarted in [false, true] {
        if restarted {
            night.fleet.redis.restart_empty().await?;
        } else {
            night.fleet.redis.flush()?;
        }
        let rebuilt = if restarted { 3.0 } else { 2.0 };
        eventually(async || {
            let metrics = scheduler.metrics().await?;
            Ok(metrics.sum("bulkhead_redis_rebuilds_total") >= rebuilt)
        })
        .await
        .context("wait for the rebuilding")?;
        ensure!(followed(&night)? == EVERYWHERE, "a pin was lost with Redis");
    }
    reset(&night, &[]).await?;
    ensure!(followed(&night)? == 0, "it was reset");
    night.until(AUDITED, 4).await
}

#[tokio::test]
async fn a_pin_that_redis_was_not_told_of_is_in_it_within_seconds_and_one_taken_away_meanwhile_is_gone()
-> Result<()> {
    let night = TestNight::onboarded(quick(2, 20)).await?;
    let _scheduler = night.start("scheduler", "scheduler").await?;
    pin(&night).await?;
    // By hand: two shards have lost what they were told.
    let by_hand = "DEL {sync.0}:plans {sync.1}:plans {sync.1}:pins";
    night.fleet.redis.command(by_hand)?;
    eventually(async || Ok(followed(&night)? == EVERYWHERE)).await?;
    // As if the command had died between the two stores: it cannot reach this Redis.
    reset(&night, &["--set", "redis.url=redis://127.0.0.1:1"]).await?;
    eventually(async || Ok(followed(&night)? == 0)).await
}
