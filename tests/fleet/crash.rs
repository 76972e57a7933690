//! A process killed anywhere loses nothing and repeats nothing.

use std::time::Instant;

use anyhow::{Result, ensure};
use bulkhead_devstack::fleet::FleetOptions;

use crate::{
    judge::{JudgedNight, TAKEN_OVER_WITHIN, until_it_has_crashed},
    support::{eventually, quick},
};

/// One seller of three pages: the workers that are killed have nothing else to do.
const ORDERS: u32 = 250;
const PAGES: i64 = 3;

/// What is fetched from Amazon and not stored when a worker dies there is fetched again.
async fn sync_workers_killed_at(point: &str, fetched_in_vain: u64) -> Result<()> {
    let night = JudgedNight::onboarded(quick(1, ORDERS)).await?;
    let _scheduler = night.start("scheduler", "scheduler").await?;
    let _token = night.start("token", "token").await?;
    let [first, second, last] = [1, 2, PAGES].map(|page| format!("{point}:{page}"));
    for (n, crashes) in [
        vec![&first],
        vec![&second],
        vec![&last],
        vec![&first, &first],
    ]
    .iter()
    .enumerate()
    {
        night.begin_anew().await?;
        let asked_before = night.pages_asked_for().await?;
        night.enqueue_all().await?;
        for (m, crash) in crashes.iter().enumerate() {
            let doomed = night.start_doomed("sync", &format!("doomed-{n}-{m}"), crash)?;
            until_it_has_crashed(&doomed).await?;
        }
        let crashed = Instant::now();
        let _heir = night.start("sync", &format!("heir-{n}")).await?;
        night.until_all_syncs_are_done().await?;
        eventually(async || Ok(night.jobs_in_redis("sync")? == 0)).await?;
        let took = crashed.elapsed();
        ensure!(
            took < TAKEN_OVER_WITHIN,
            "{crashes:?}: taken over after {took:?}"
        );
        night.as_if_nothing_had_happened().await?;
        ensure!(
            night.pages().await? == PAGES,
            "{crashes:?}: not {PAGES} pages"
        );
        let asked = night.pages_asked_for().await? - asked_before;
        let expected = u64::try_from(PAGES)? + fetched_in_vain * u64::try_from(crashes.len())?;
        ensure!(
            asked == expected,
            "{crashes:?}: Amazon was asked for {asked} pages, not {expected}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_sync_worker_killed_with_a_fetched_page_loses_and_repeats_nothing() -> Result<()> {
    sync_workers_killed_at("sync.page.fetched", 1).await
}

#[tokio::test]
async fn a_sync_worker_killed_with_a_page_stored_but_not_committed_loses_and_repeats_nothing()
-> Result<()> {
    sync_workers_killed_at("sync.page.stored", 1).await
}

#[tokio::test]
async fn a_sync_worker_killed_after_committing_a_page_does_not_fetch_it_again() -> Result<()> {
    sync_workers_killed_at("sync.page.committed", 0).await
}

#[tokio::test]
async fn a_sync_worker_killed_between_fetching_a_job_and_being_rid_of_it_repeats_no_page()
-> Result<()> {
    let night = JudgedNight::onboarded(quick(1, ORDERS)).await?;
    let _scheduler = night.start("scheduler", "scheduler").await?;
    let _token = night.start("token", "token").await?;
    for point in [
        "worker.fetched",
        "worker.acknowledging",
        "worker.acknowledged",
    ] {
        night.begin_anew().await?;
        let asked_before = night.pages_asked_for().await?;
        night.enqueue_all().await?;
        let doomed = night.start_doomed("sync", point, point)?;
        until_it_has_crashed(&doomed).await?;
        let _heir = night.start("sync", &format!("{point}-heir")).await?;
        night.until_all_syncs_are_done().await?;
        night.as_if_nothing_had_happened().await?;
        let asked = night.pages_asked_for().await? - asked_before;
        ensure!(
            asked == u64::try_from(PAGES)?,
            "{point}: Amazon was asked for {asked} pages"
        );
        eventually(async || Ok(night.jobs_in_redis("sync")? == 0)).await?;
    }
    Ok(())
}

/// What was asked of Amazon and not stored when a worker dies there is asked for again.
async fn token_workers_killed_at(point: &str, refreshed_in_vain: u64) -> Result<()> {
    // At this pace a token lives for 36 s: none is refreshed beside those that are asked for here.
    let options = FleetOptions {
        time_scale: 100.0,
        ..quick(1, 0)
    };
    let night = JudgedNight::onboarded(options).await?;
    let _scheduler = night.start("scheduler", "scheduler").await?;
    for (n, crashes) in [1, 2].into_iter().enumerate() {
        night.begin_anew().await?;
        let refreshes_before = night.fleet.amazon.counts().await?.token_refreshes.total;
        let due = "update bulkhead.obligations set due_at = now() where kind = 'token_refresh' and state = 'owed'";
        sqlx::raw_sql(due).execute(&night.pool).await?;
        for m in 0..crashes {
            let doomed = night.start_doomed("token", &format!("doomed-{n}-{m}"), point)?;
            // The job of a refresh that was committed is only taken from Redis: nobody crashes there again.
            let in_vain = m > 0 && point == "token.committed";
            if !in_vain {
                until_it_has_crashed(&doomed).await?;
            }
        }
        let crashed = Instant::now();
        let heir = night.start("token", &format!("heir-{n}")).await?;
        night
            .until("select count(*) from judge.generations", 1)
            .await?;
        eventually(async || Ok(night.jobs_in_redis("token")? == 0)).await?;
        let took = crashed.elapsed();
        ensure!(took < TAKEN_OVER_WITHIN, "taken over after {took:?}");
        night.nothing_was_done_twice().await?;
        let done = night.number("select count(*) from judge.done").await?;
        ensure!(done == 1, "{done} refreshes were done");
        let live = night
            .number("select count(*) from bulkhead.live_token_refreshes")
            .await?;
        ensure!(live == 1, "{live} refreshes are owed");
        let refreshes = night.fleet.amazon.counts().await?.token_refreshes.total - refreshes_before;
        let expected = 1 + refreshed_in_vain * crashes;
        ensure!(
            refreshes == expected,
            "{refreshes} refreshes, not {expected}"
        );
        drop(heir);
    }
    Ok(())
}

#[tokio::test]
async fn a_token_worker_killed_before_it_asks_amazon_refreshes_once() -> Result<()> {
    token_workers_killed_at("token.before_call", 0).await
}

#[tokio::test]
async fn a_token_worker_killed_with_a_fresh_token_asks_for_one_more_and_owes_one_refresh()
-> Result<()> {
    token_workers_killed_at("token.refreshed", 1).await
}

#[tokio::test]
async fn a_token_worker_killed_with_a_token_stored_but_not_committed_asks_for_one_more()
-> Result<()> {
    token_workers_killed_at("token.stored", 1).await
}

#[tokio::test]
async fn a_token_worker_killed_after_committing_a_token_does_not_refresh_again() -> Result<()> {
    token_workers_killed_at("token.committed", 0).await
}

#[tokio::test]
async fn a_scheduler_killed_between_the_two_stores_enqueues_everything_once() -> Result<()> {
    let night = JudgedNight::onboarded(quick(2, 150)).await?;
    {
        // Until Redis is as it was left by a fleet that has run before.
        let _first = night.start("scheduler", "first").await?;
        let _token = night.start("token", "first-token").await?;
        night
            .until("select count(*) from judge.generations", 2)
            .await?;
    }
    let _token = night.start("token", "token").await?;
    let _sync = night.start("sync", "sync").await?;
    for point in ["scheduler.claimed", "scheduler.enqueued"] {
        night.begin_anew().await?;
        night.enqueue_all().await?;
        for n in 0..2 {
            let doomed = night.start_doomed("scheduler", &format!("{point}-{n}"), point)?;
            until_it_has_crashed(&doomed).await?;
            night.let_claims_run_out().await?;
        }
        let _heir = night.start("scheduler", &format!("{point}-heir")).await?;
        night.until_all_syncs_are_done().await?;
        night.as_if_nothing_had_happened().await?;
        let done = night
            .number("select count(*) from judge.done where kind = 'sync'")
            .await?;
        ensure!(done == 2, "{point}: {done} syncs were done");
    }
    Ok(())
}

#[tokio::test]
async fn a_scheduler_killed_while_it_rebuilds_redis_leaves_it_closed_or_complete() -> Result<()> {
    let night = JudgedNight::onboarded(quick(2, 400)).await?;
    let _token = night.start("token", "token").await?;
    let _sync = night.start("sync", "sync").await?;
    for point in ["fenced", "owed", "established"].map(|step| format!("scheduler.rebuild.{step}")) {
        night.begin_anew().await?;
        {
            let _scheduler = night.start("scheduler", &format!("{point}-before")).await?;
            night.enqueue_all().await?;
            night.until_pages(1).await?;
        }
        night.fleet.redis.flush()?;
        for n in 0..2 {
            let doomed = night.start_doomed("scheduler", &format!("{point}-{n}"), &point)?;
            let established = n > 0 && point.ends_with("established");
            if !established {
                until_it_has_crashed(&doomed).await?;
            }
        }
        night.let_claims_run_out().await?;
        let _heir = night.start("scheduler", &format!("{point}-heir")).await?;
        night.until_all_syncs_are_done().await?;
        night.as_if_nothing_had_happened().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_job_that_moves_on_between_crashes_is_not_taken_for_their_cause() -> Result<()> {
    let night = JudgedNight::onboarded(quick(1, 1_000)).await?;
    let _scheduler = night.start("scheduler", "scheduler").await?;
    let _token = night.start("token", "token").await?;
    night.enqueue_all().await?;
    for n in 0..4 {
        let doomed = night.start_doomed("sync", &format!("doomed-{n}"), "sync.page.committed:2")?;
        until_it_has_crashed(&doomed).await?;
    }
    let _heir = night.start("sync", "heir").await?;
    night.until_all_syncs_are_done().await?;
    night.as_if_nothing_had_happened().await?;
    ensure!(night.pages().await? == 10, "not 10 pages");
    Ok(())
}

#[tokio::test]
async fn three_sync_workers_killed_one_after_the_other_lose_nothing_and_give_nothing_up()
-> Result<()> {
    let night = JudgedNight::onboarded(quick(3, 2_000)).await?;
    let _scheduler = night.start("scheduler", "scheduler").await?;
    let _token = night.start("token", "token").await?;
    night.enqueue_all().await?;
    let mut workers = Vec::new();
    for n in 0..3 {
        workers.push(night.start("sync", &format!("sync-{n}")).await?);
    }
    for worker in &workers {
        // A job that gets nowhere between three deaths is rightly taken for their cause.
        let stuck = "select count(*) from bulkhead.obligations o where kind = 'sync' and state <> 'done' and 2 > (select \
                     count(*) from judge.pages p where p.connection_id = o.connection_id and p.at > (select \
                     coalesce(max(page), 0) from judge.kills))";
        night.until(stuck, 0).await?;
        worker.process.kill();
        let killed = "insert into judge.kills select coalesce(max(at), 0) from judge.pages";
        sqlx::raw_sql(killed).execute(&night.pool).await?;
    }
    let _heir = night.start("sync", "heir").await?;
    night.until_all_syncs_are_done().await?;
    night.as_if_nothing_had_happened().await
}
