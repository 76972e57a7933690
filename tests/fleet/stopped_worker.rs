//! A worker that stands still past its lease and goes on afterwards can neither complete nor write.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bulkhead_devstack::fleet::Member;

use crate::{
    judge::{JudgedNight, TAKEN_OVER_WITHIN, until_it_says, until_it_sleeps},
    support::{eventually, quick},
};

const PAGES: i64 = 3;

/// What a worker says that has found out that its job is another's.
const GIVEN_UP: [&str; 3] = [
    "the lease was lost",
    "a newer lease has entered",
    "acknowledgement refused",
];

/// After this the server ends the session that a stopped worker left inside its transaction.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(10);

struct Sleeping {
    night: JudgedNight,
    sleeper: Member,
    _others: [Member; 2],
}

/// A night of one seller with a sync worker that stands still at `point`.
async fn asleep_at(point: &str) -> Result<Sleeping> {
    let night = JudgedNight::onboarded(quick(1, 250)).await?;
    let scheduler = night.start("scheduler", "scheduler").await?;
    let token = night.start("token", "token").await?;
    night.enqueue_all().await?;
    let sleeper = night.start_sleeper("sync", "sleeper", point)?;
    until_it_sleeps(&sleeper).await?;
    Ok(Sleeping {
        night,
        sleeper,
        _others: [scheduler, token],
    })
}

#[tokio::test]
async fn a_worker_stopped_with_a_fetched_page_writes_nothing_once_another_has_the_job() -> Result<()>
{
    let Sleeping {
        night,
        sleeper,
        _others,
    } = asleep_at("sync.page.fetched:2").await?;
    // It has entered the job and stands still with the same page: nothing but the lease tells the sleeper that it is late.
    let heir = night.start_sleeper("sync", "heir", "sync.page.fetched")?;
    until_it_sleeps(&heir).await?;
    let pages = night.pages().await?;
    sleeper.process.cont();
    until_it_says(&sleeper, &GIVEN_UP).await?;
    let written = "select count(*) from judge.entered where token < (select max(token) from judge.entered) \
                   and at > (select min(at) from judge.entered e where token = (select max(token) from judge.entered))";
    ensure!(night.number(written).await? == 0, "the older lease entered");
    ensure!(pages == 1, "{pages} pages before");
    heir.process.cont();
    night.until_all_syncs_are_done().await?;
    night.as_if_nothing_had_happened().await?;
    ensure!(night.pages().await? == PAGES, "not {PAGES} pages");
    Ok(())
}

#[tokio::test]
async fn a_worker_stopped_inside_its_transaction_neither_commits_nor_holds_up_the_next_for_long()
-> Result<()> {
    let Sleeping {
        night,
        sleeper,
        _others,
    } = asleep_at("sync.page.stored:2").await?;
    let stopped = Instant::now();
    let _heir = night.start("sync", "heir").await?;
    night.until_all_syncs_are_done().await?;
    let took = stopped.elapsed();
    ensure!(
        took < TAKEN_OVER_WITHIN + IDLE_IN_TRANSACTION,
        "taken over after {took:?}"
    );
    let changes = "select sum(c)::bigint from (select count(*) as c from judge.entered union all select count(*) from judge.pages \
                   union all select count(*) from judge.done where kind = 'sync') as counts";
    let before = night.number(changes).await?;
    sleeper.process.cont();
    until_it_says(&sleeper, &GIVEN_UP).await?;
    ensure!(
        night.number(changes).await? == before,
        "the stopped worker wrote"
    );
    night.as_if_nothing_had_happened().await?;
    ensure!(night.pages().await? == PAGES, "not {PAGES} pages");
    Ok(())
}

#[tokio::test]
async fn a_worker_that_goes_on_while_the_next_waits_for_its_transaction_repeats_no_page()
-> Result<()> {
    let Sleeping {
        night,
        sleeper,
        _others,
    } = asleep_at("sync.page.stored:2").await?;
    let _heir = night.start("sync", "heir").await?;
    let waits = "select count(*) from pg_stat_activity where usename = 'bulkhead_sync' and wait_event_type = 'Lock'";
    night.until(waits, 1).await?;
    sleeper.process.cont();
    until_it_says(&sleeper, &GIVEN_UP).await?;
    night.until_all_syncs_are_done().await?;
    night.as_if_nothing_had_happened().await?;
    ensure!(night.pages().await? == PAGES, "not {PAGES} pages");
    eventually(async || Ok(night.jobs_in_redis("sync")? == 0)).await
}
