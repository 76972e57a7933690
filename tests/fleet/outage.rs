//! A store that goes away in the middle of the night: every process waits, says so once, and goes on by itself.

use std::{collections::BTreeMap, fs};

use anyhow::{Context, Result, ensure};
use bulkhead_devstack::fleet::{FleetOptions, Member};
use serde_json::Value;

use crate::support::{TestNight, eventually, quick};

const MEMBERS: [(&str, &str); 4] = [
    ("scheduler", "scheduler"),
    ("token", "token-1"),
    ("sync", "sync-1"),
    ("sync", "sync-2"),
];

const DOWN: &str = "dependency is down";
const BACK: &str = "dependency is back";

/// Enough pages that a night lasts some seconds: a usage plan's bucket begins empty.
fn long() -> FleetOptions {
    quick(3, 1_500)
}

#[tokio::test]
async fn while_redis_hangs_every_process_waits_and_says_so_once() -> Result<()> {
    let night = TestNight::onboarded(long()).await?;
    let _members = in_mid_night(&night).await?;
    night.fleet.redis.stop();
    until_all_have_said(&night, "Redis", DOWN, 1).await?;
    night.fleet.redis.cont();
    goes_on_by_itself(&night, "Redis", 1).await
}

#[tokio::test]
async fn while_redis_is_down_and_when_it_is_back_empty_every_process_waits_and_says_so_once()
-> Result<()> {
    let mut night = TestNight::onboarded(long()).await?;
    let _members = in_mid_night(&night).await?;
    night.fleet.redis.kill();
    until_all_have_said(&night, "Redis", DOWN, 1).await?;
    night.fleet.redis.restart().await?;
    goes_on_by_itself(&night, "Redis", 1).await
}

#[tokio::test]
async fn while_postgres_is_down_every_process_that_needs_it_waits_and_says_so_once() -> Result<()> {
    let mut night = TestNight::onboarded(long()).await?;
    let _members = in_mid_night(&night).await?;
    night.fleet.postgres.kill();
    // A worker without a job does not ask Postgres.
    until_said(&night, "scheduler", "Postgres", DOWN, 1).await?;
    let by_a_worker =
        async || Ok(said(&night, "sync-1", DOWN)?.len() + said(&night, "sync-2", DOWN)?.len() > 0);
    eventually(by_a_worker).await?;
    night.fleet.postgres.restart().await?;
    finishes(&night).await?;
    until_said(&night, "scheduler", "Postgres", BACK, 1).await?;
    for (_, name) in MEMBERS {
        let told = said(&night, name, DOWN)?;
        ensure!(
            told.keys().all(|dependency| dependency == "Postgres"),
            "{name}: {told:?}"
        );
        ensure!(told.values().all(|times| *times == 1), "{name}: {told:?}");
        // Whoever said that it is down says that it is back, with or without another job.
        for dependency in told.keys() {
            until_said(&night, name, dependency, BACK, 1).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_second_outage_is_waited_out_and_said_again() -> Result<()> {
    let mut night = TestNight::onboarded(long()).await?;
    let _members = in_mid_night(&night).await?;
    for times in 1..=2 {
        night.fleet.redis.kill();
        until_all_have_said(&night, "Redis", DOWN, times).await?;
        night.fleet.redis.restart().await?;
        until_all_have_said(&night, "Redis", BACK, times).await?;
    }
    goes_on_by_itself(&night, "Redis", 2).await
}

/// The fleet at work: some pages are stored, others still owed.
async fn in_mid_night(night: &TestNight) -> Result<Vec<Member>> {
    let mut members = Vec::new();
    for (class, name) in MEMBERS {
        members.push(night.start(class, name).await?);
    }
    night.enqueue_all().await?;
    let stored = "select coalesce(sum(pages), 0)::bigint from bulkhead.checkpoints";
    eventually(async || Ok(night.number(stored).await? >= 3)).await?;
    let open =
        "select count(*) from bulkhead.obligations where kind = 'sync' and state = 'enqueued'";
    ensure!(night.number(open).await? > 0, "the night is over already");
    Ok(members)
}

async fn finishes(night: &TestNight) -> Result<()> {
    night.until_all_syncs_are_done().await?;
    night.nothing_lost_nothing_twice().await?;
    let given_up = "select count(*) from bulkhead.obligations where state in ('dead', 'cancelled')";
    ensure!(night.number(given_up).await? == 0, "something was given up");
    Ok(())
}

async fn goes_on_by_itself(night: &TestNight, dependency: &str, times: usize) -> Result<()> {
    finishes(night).await?;
    until_all_have_said(night, dependency, BACK, times).await?;
    let expected = BTreeMap::from([(dependency.to_owned(), times)]);
    for (_, name) in MEMBERS {
        let told = said(night, name, DOWN)?;
        ensure!(
            told == expected,
            "{name} told of {told:?}, not {expected:?}"
        );
    }
    Ok(())
}

async fn until_all_have_said(
    night: &TestNight,
    dependency: &str,
    message: &str,
    times: usize,
) -> Result<()> {
    for (_, name) in MEMBERS {
        until_said(night, name, dependency, message, times).await?;
    }
    Ok(())
}

async fn until_said(
    night: &TestNight,
    name: &str,
    dependency: &str,
    message: &str,
    times: usize,
) -> Result<()> {
    let enough = async || {
        let told = said(night, name, message)?;
        Ok(told.get(dependency).is_some_and(|told| *told >= times))
    };
    eventually(enough)
        .await
        .with_context(|| format!("wait for {name} to say of {dependency}: {message}"))
}

/// How often a process has logged a message, by dependency.
fn said(night: &TestNight, name: &str, message: &str) -> Result<BTreeMap<String, usize>> {
    let log = fs::read_to_string(night.fleet.log(name))?;
    let mut said = BTreeMap::new();
    // The last line may be half written.
    for event in log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
    {
        let text = event.to_string();
        if text.contains(message) {
            let dependency = event["dependency"].as_str();
            let dependency = dependency.with_context(|| format!("no dependency: {text}"))?;
            *said.entry(dependency.to_owned()).or_default() += 1;
        }
    }
    Ok(said)
}
