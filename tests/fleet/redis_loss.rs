//! Redis may lose everything it holds at any moment: nothing is lost, nothing done twice, nobody throttled.

use anyhow::{Context, Result, ensure};

use crate::{
    judge::JudgedNight,
    support::{eventually, quick},
};

/// Keys that hold the boot nonce, of every shard of both classes.
const NONCES: &str = "DEL {sync.0}:boot {sync.1}:boot {sync.2}:boot {sync.3}:boot {token.0}:boot {token.1}:boot \
                      {token.2}:boot {token.3}:boot";

/// Transactions of sync workers that have not ended.
const COMMITTING: &str = "select count(*) from pg_stat_activity where usename = 'bulkhead_sync' and xact_start is not null";

/// Each has one call in flight at most, whose permit may be older than the loss.
const SELLERS: u64 = 4;

/// Waits until somebody has stored `more` pages more.
async fn until_more_pages(night: &JudgedNight, more: i64) -> Result<()> {
    let before = night.pages().await?;
    night.until_pages(before + more).await
}

/// The greatest number of a lease that has entered a job.
async fn newest_token(night: &JudgedNight) -> Result<i64> {
    night
        .number("select coalesce(max(token), 0) from judge.entered")
        .await
}

#[tokio::test]
async fn a_redis_emptied_twice_in_mid_run_loses_nothing_and_its_leases_keep_rising() -> Result<()> {
    let night = JudgedNight::onboarded(quick(4, 900)).await?;
    let scheduler = night.start("scheduler", "scheduler").await?;
    let _token = night.start("token", "token").await?;
    let _workers = [
        night.start("sync", "sync-1").await?,
        night.start("sync", "sync-2").await?,
    ];
    night.enqueue_all().await?;
    for emptied in 1..=2_u32 {
        until_more_pages(&night, 4).await?;
        let before = newest_token(&night).await?;
        night.fleet.redis.flush()?;
        eventually(async || {
            let rebuilt = scheduler
                .metrics()
                .await?
                .sum("bulkhead_redis_rebuilds_total");
            Ok(rebuilt >= f64::from(emptied + 1))
        })
        .await
        .context("wait for the rebuilding")?;
        eventually(async || Ok(newest_token(&night).await? > before)).await?;
    }
    night.until_all_syncs_are_done().await?;
    night.as_if_nothing_had_happened().await
}

#[tokio::test]
async fn a_redis_that_comes_back_empty_in_mid_run_loses_nothing() -> Result<()> {
    let mut night = JudgedNight::onboarded(quick(4, 900)).await?;
    let scheduler = night.start("scheduler", "scheduler").await?;
    let _token = night.start("token", "token").await?;
    let _workers = [
        night.start("sync", "sync-1").await?,
        night.start("sync", "sync-2").await?,
    ];
    night.enqueue_all().await?;
    until_more_pages(&night, 4).await?;
    night.night.fleet.redis.restart_empty().await?;
    eventually(async || {
        Ok(scheduler
            .metrics()
            .await?
            .sum("bulkhead_redis_rebuilds_total")
            >= 2.0)
    })
    .await?;
    night.until_all_syncs_are_done().await?;
    night.as_if_nothing_had_happened().await
}

/// As after a failover to a replica that had not got the last writes.
#[tokio::test]
async fn a_redis_that_comes_back_with_older_data_in_mid_run_loses_nothing_and_repeats_nothing()
-> Result<()> {
    let mut night = JudgedNight::onboarded(quick(4, 900)).await?;
    let scheduler = night.start("scheduler", "scheduler").await?;
    let _token = night.start("token", "token").await?;
    let _workers = [
        night.start("sync", "sync-1").await?,
        night.start("sync", "sync-2").await?,
    ];
    night.enqueue_all().await?;
    until_more_pages(&night, 2).await?;
    let saved = night.fleet.redis.command("SAVE")?;
    ensure!(saved == "+OK", "{saved}");
    until_more_pages(&night, 4).await?;
    night.night.fleet.redis.restart().await?;
    let nonces = NONCES.replace("DEL", "EXISTS");
    eventually(async || {
        let rebuilt = scheduler
            .metrics()
            .await?
            .sum("bulkhead_redis_rebuilds_total");
        Ok(rebuilt >= 2.0)
    })
    .await
    .context("wait until the older data was noticed")?;
    let answer = night.fleet.redis.command(&nonces)?;
    ensure!(answer == ":8", "not every shard has a nonce: {answer}");
    night.until_all_syncs_are_done().await?;
    night.as_if_nothing_had_happened().await
}

#[tokio::test]
async fn nobody_asks_amazon_until_a_redis_that_lost_its_nonce_is_rebuilt() -> Result<()> {
    let night = JudgedNight::onboarded(quick(4, 900)).await?;
    let scheduler = night.start("scheduler", "scheduler").await?;
    let _token = night.start("token", "token").await?;
    let worker = night.start("sync", "sync").await?;
    night.enqueue_all().await?;
    until_more_pages(&night, 4).await?;
    scheduler.process.stop();
    let answer = night.fleet.redis.command(NONCES)?;
    ensure!(answer == ":8", "not every shard had a nonce: {answer}");
    let ended = async || Ok::<_, anyhow::Error>(worker.metrics().await?.sum("bulkhead_jobs_total"));
    let at_the_loss = ended().await?;
    let asked = night.pages_asked_for().await?;
    // Of four jobs at a time, the eighth to end from here was refused a permit.
    eventually(async || Ok(ended().await? >= at_the_loss + 8.0)).await?;
    let asked_since = night.pages_asked_for().await? - asked;
    ensure!(
        asked_since <= SELLERS,
        "Amazon was asked for {asked_since} pages by permits that nobody had"
    );
    let asked = night.fleet.amazon.counts().await?.requests;
    eventually(async || Ok(ended().await? >= at_the_loss + 16.0)).await?;
    let asked_since = night.fleet.amazon.counts().await?.requests - asked;
    ensure!(asked_since == 0, "Amazon was asked {asked_since} times");
    scheduler.process.cont();
    night.until_all_syncs_are_done().await?;
    night.as_if_nothing_had_happened().await
}

#[tokio::test]
async fn with_redis_emptied_and_no_scheduler_nobody_asks_amazon() -> Result<()> {
    let night = JudgedNight::onboarded(quick(4, 900)).await?;
    let scheduler = night.start("scheduler", "scheduler").await?;
    let token = night.start("token", "token").await?;
    let worker = night.start("sync", "sync").await?;
    night.enqueue_all().await?;
    until_more_pages(&night, 4).await?;
    scheduler.process.stop();
    night.fleet.redis.flush()?;
    for member in [&worker, &token] {
        eventually(async || Ok(member.metrics().await?.sum("bulkhead_leases_held") < 0.5)).await?;
    }
    // A handler that is stopped while it commits leaves the commit to the server.
    night.until(COMMITTING, 0).await?;
    // A request that had left when its handler was stopped arrives before this worker is ready.
    let _another = night.start("sync", "another").await?;
    let (asked, pages) = (
        night.fleet.amazon.counts().await?.requests,
        night.pages().await?,
    );
    // A worker that starts now finds nothing that it could do, and nothing that it may do.
    let _one_more = night.start("sync", "one-more").await?;
    ensure!(
        night.fleet.amazon.counts().await?.requests == asked,
        "Amazon was asked"
    );
    ensure!(night.pages().await? == pages, "a page was stored");
    scheduler.process.cont();
    night.until_all_syncs_are_done().await?;
    night.as_if_nothing_had_happened().await
}
