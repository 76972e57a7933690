//! The nights of the tenants: planned once, each connection at its own place, made up for when nobody was there.

use std::{
    collections::BTreeSet,
    process::Output,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, Result, ensure};
use bulkhead_devstack::fleet::{Fleet, MemberOptions, Night};
use serde::Deserialize;
use sqlx::PgPool;

use crate::support::{TestNight, eventually, quick};

/// What `tick` prints.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct Tick {
    planned: u64,
    enqueued: u64,
    owed_again: u64,
    dead: u64,
    settings: u64,
}

const SYNCS: &str = "select count(*) from bulkhead.obligations where kind = 'sync'";

/// Moves the tenants' nights so that they have begun an hour ago, planned by nobody.
const NIGHT_MISSED: &str = "update bulkhead.schedules set window_ms = 1000, planned_until = now() - interval '2 hours', \
                            starts_at = ((now() - interval '1 hour') at time zone time_zone)::time";

/// A fleet whose tenants' night of an hour is in six hours: nothing of it is due.
async fn scheduled(sellers: u32, orders: u32) -> Result<TestNight> {
    let fleet = Fleet::start(quick(sellers, orders)).await?;
    let pool = PgPool::connect(&fleet.admin_url()).await?;
    let time: String = sqlx::query_scalar(
        "select to_char(now() at time zone 'UTC' + interval '6 hours', 'HH24:MI:SS')",
    )
    .fetch_one(&pool)
    .await?;
    let window = "1h".to_owned();
    fleet.onboard(&Night::At { time, window }).await?;
    Ok(TestNight { fleet, pool })
}

#[tokio::test]
async fn a_tick_plans_each_connections_sync_at_its_own_place_in_the_window() -> Result<()> {
    let night = scheduled(12, 10).await?;
    let tick = tick(&night).await?;
    // The onboarding owed a token refresh of each connection.
    let expected = Tick {
        planned: 12,
        enqueued: 12,
        owed_again: 0,
        dead: 0,
        settings: 0,
    };
    ensure!(tick == expected, "{tick:?}");
    let outside = "select count(*) from bulkhead.obligations o join bulkhead.schedules s using (tenant_id) \
                   where o.kind = 'sync' and not o.due_at between now() + interval '5 hours 58 minutes' and now() + interval '7 hours'";
    ensure!(night.number(outside).await? == 0, "due outside the window");
    let places = "select count(distinct due_at) from bulkhead.obligations where kind = 'sync'";
    ensure!(night.number(places).await? == 12, "two at the same place");
    // By chance, all of 12 within a sixth of the window: once in millions of fleets.
    let span = "select extract(epoch from max(due_at) - min(due_at))::bigint from bulkhead.obligations where kind = 'sync'";
    ensure!(
        night.number(span).await? > 600,
        "all within ten minutes of an hour"
    );
    Ok(())
}

#[tokio::test]
async fn a_second_tick_finds_nothing_to_do_and_two_at_once_do_it_once() -> Result<()> {
    let night = scheduled(8, 10).await?;
    let both = tokio::try_join!(tick(&night), tick(&night), tick(&night))?;
    let ticks = [&both.0, &both.1, &both.2];
    ensure!(
        ticks.iter().map(|tick| tick.planned).sum::<u64>() == 8,
        "{both:?}"
    );
    ensure!(
        ticks.iter().map(|tick| tick.enqueued).sum::<u64>() == 8,
        "{both:?}"
    );
    ensure!(night.number(SYNCS).await? == 8);
    let again = tick(&night).await?;
    ensure!(
        again
            == Tick {
                planned: 0,
                enqueued: 0,
                owed_again: 0,
                dead: 0,
                settings: 0
            },
        "{again:?}"
    );
    Ok(())
}

#[tokio::test]
async fn schedulers_that_all_find_a_new_redis_rebuild_it_once() -> Result<()> {
    let night = scheduled(8, 10).await?;
    let said = tokio::try_join!(
        passed(&night),
        passed(&night),
        passed(&night),
        passed(&night)
    )?;
    let said = [said.0, said.1, said.2, said.3].map(|(_, said)| said);
    let rebuilt = said
        .iter()
        .map(|said| said.matches("rebuilt Redis").count());
    ensure!(rebuilt.sum::<usize>() == 1, "{said:#?}");
    Ok(())
}

#[tokio::test]
async fn a_scheduler_that_stopped_in_mid_rebuild_is_not_waited_for_long() -> Result<()> {
    let night = scheduled(4, 10).await?;
    let taken = "begin; select pg_advisory_xact_lock(hashtextextended('bulkhead.rebuild', 0))";
    let mut stopped = night.pool.acquire().await?;
    sqlx::raw_sql("set idle_in_transaction_session_timeout = '1s'")
        .execute(&mut *stopped)
        .await?;
    sqlx::raw_sql(taken).execute(&mut *stopped).await?;
    let (tick, said) = passed(&night).await?;
    ensure!(tick.enqueued == 4, "{tick:?}");
    ensure!(said.contains("rebuilt Redis"), "{said}");
    let lost = sqlx::raw_sql("select 1").execute(&mut *stopped).await;
    ensure!(lost.is_err(), "its turn was not taken away");
    Ok(())
}

#[tokio::test]
async fn two_schedulers_at_once_run_every_nights_sync_once() -> Result<()> {
    let night = scheduled(6, 120).await?;
    sqlx::raw_sql(NIGHT_MISSED).execute(&night.pool).await?;
    let _one = night.start("scheduler", "scheduler-1").await?;
    let _two = night.start("scheduler", "scheduler-2").await?;
    let _token = night.start("token", "token-1").await?;
    let sync = night.start("sync", "sync-1").await?;
    night
        .until(
            "select count(*) from bulkhead.obligations where kind = 'sync' and state = 'done'",
            6,
        )
        .await?;
    night.nothing_lost_nothing_twice().await?;
    // Each connection's 120 orders are two pages; no pass was run a second time.
    let pages = "select sum(pages)::bigint from bulkhead.checkpoints";
    ensure!(night.number(pages).await? == 12);
    // A page is counted after its commit.
    let counted =
        async || Ok::<_, anyhow::Error>(sync.metrics().await?.sum("bulkhead_pages_total"));
    eventually(async || Ok(counted().await? >= 12.0)).await?;
    let done = counted().await?;
    ensure!((done - 12.0).abs() < f64::EPSILON, "{done} pages");
    Ok(())
}

#[tokio::test]
async fn a_night_that_no_scheduler_saw_is_made_up_for() -> Result<()> {
    let night = scheduled(3, 120).await?;
    sqlx::raw_sql(NIGHT_MISSED).execute(&night.pool).await?;
    let _token = night.start("token", "token-1").await?;
    let _sync = night.start("sync", "sync-1").await?;
    let first = tick(&night).await?;
    ensure!(first.planned >= 3, "{first:?}");
    let past = "select count(*) from bulkhead.obligations where kind = 'sync' and due_at < now()";
    ensure!(
        night.number(past).await? == 3,
        "the missed night and only that"
    );
    ensure!(
        first.enqueued == 6,
        "three refreshes, three syncs: {first:?}"
    );
    night.until("select count(*) from bulkhead.obligations where kind = 'sync' and due_at < now() and state = 'done'", 3).await?;
    night.nothing_lost_nothing_twice().await
}

#[tokio::test]
async fn a_connection_added_after_the_night_was_planned_gets_its_share_of_it() -> Result<()> {
    let night = scheduled(1, 10).await?;
    tick(&night).await?;
    ensure!(night.number(SYNCS).await? == 1);
    let seller = night.fleet.amazon.ready.sellers[0].clone();
    // The same seller again in another region's name: another authorization.
    let mut other = seller.clone();
    other.seller_id = format!("{}X", seller.seller_id);
    night.fleet.add_connection("harbor-supply", &other).await?;
    tick(&night).await?;
    ensure!(
        night.number(SYNCS).await? == 2,
        "the new connection has no share"
    );
    let nights =
        "select count(distinct due_at::date) from bulkhead.obligations where kind = 'sync'";
    ensure!(night.number(nights).await? <= 2);
    Ok(())
}

#[tokio::test]
async fn a_paused_connection_gets_no_night_until_it_is_resumed() -> Result<()> {
    let night = scheduled(2, 10).await?;
    let paused = night.fleet.amazon.ready.sellers[0].seller_id.clone();
    let cli = night.fleet.cli();
    cli.run(&["connection", "pause", "--connection", &paused])
        .await?;
    let planned = tick(&night).await?.planned;
    ensure!(planned == 1, "{planned} planned with one of two paused");
    cli.run(&["connection", "resume", "--connection", &paused])
        .await?;
    tick(&night).await?;
    let connections: Vec<String> = sqlx::query_scalar(
        "select distinct c.seller_id from bulkhead.obligations o join bulkhead.connections c \
         on c.tenant_id = o.tenant_id and c.id = o.connection_id where o.kind = 'sync'",
    )
    .fetch_all(&night.pool)
    .await?;
    let connections: BTreeSet<String> = connections.into_iter().collect();
    ensure!(
        connections.len() == 2,
        "resumed, and has no share: {connections:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_job_that_vanished_from_redis_is_owed_again_and_only_that_one() -> Result<()> {
    let night = TestNight::onboarded(quick(4, 120)).await?;
    tick(&night).await?;
    night.enqueue_all().await?;
    ensure!(tick(&night).await?.enqueued == 4);
    // An operator's slip: every job of one shard is gone, the others and the boot nonce stay.
    let gone = i64::from(shards_with_jobs(&night)?);
    let enqueued =
        "select count(*) from bulkhead.obligations where kind = 'sync' and state = 'enqueued'";
    ensure!(night.number(enqueued).await? == 4);
    // Young ones may still be between the stores.
    ensure!(
        tick(&night).await?.owed_again == 0,
        "too young to be missed"
    );
    settle(&night).await?;
    let found = tick(&night).await?;
    ensure!(
        i64::try_from(found.owed_again)? == gone,
        "{gone} were gone, {found:?}"
    );
    let owed = "select count(*) from bulkhead.obligations where kind = 'sync' and state = 'owed'";
    ensure!(night.number(owed).await? == gone);
    ensure!(i64::try_from(tick(&night).await?.enqueued)? == gone);
    let _token = night.start("token", "token-1").await?;
    let _sync = night.start("sync", "sync-1").await?;
    let _scheduler = night.start("scheduler", "scheduler").await?;
    night.until_all_syncs_are_done().await?;
    night.nothing_lost_nothing_twice().await
}

#[tokio::test]
async fn a_full_tenants_syncs_stay_owed_and_others_are_enqueued() -> Result<()> {
    let night = TestNight::onboarded(quick(8, 10)).await?;
    tick(&night).await?;
    let full: uuid::Uuid =
        sqlx::query_scalar("select tenant_id from bulkhead.connections order by 1 limit 1")
            .fetch_one(&night.pool)
            .await?;
    let of = format!("from bulkhead.obligations where kind = 'sync' and tenant_id = '{full}'");
    take_bytes(&night, full, "HSET", "1073741824")?;
    night.enqueue_all().await?;
    let owed = count(&night, &format!("select count(*) {of} and state = 'owed'")).await?;
    ensure!((1..8).contains(&owed), "{owed} are of the tenant");
    ensure!(i64::try_from(tick(&night).await?.enqueued)? == 8 - owed);
    let refused = format!("select count(*) {of} and state = 'owed'");
    ensure!(count(&night, &refused).await? == owed, "stay owed");
    take_bytes(&night, full, "HDEL", "")?;
    // Half a minute passes.
    let unclaimed = "update bulkhead.obligations set claimed_until = null where state = 'owed'";
    sqlx::raw_sql(unclaimed).execute(&night.pool).await?;
    ensure!(i64::try_from(tick(&night).await?.enqueued)? == owed);
    Ok(())
}

/// Sets or removes what a tenant's sync jobs take, in every shard.
fn take_bytes(night: &TestNight, tenant: uuid::Uuid, what: &str, bytes: &str) -> Result<()> {
    let hex = tenant.simple();
    for shard in 0..4 {
        let script = format!(
            "local id = string.gsub('{hex}', '..', function(h) return string.char(tonumber(h, 16)) end) return redis.call('{what}', '{{sync.{shard}}}:bytes', id, '{bytes}')"
        );
        let answer = night.fleet.redis.command(&format!("EVAL \"{script}\" 0"))?;
        ensure!(answer.starts_with(':'), "{answer}");
    }
    Ok(())
}

async fn count(night: &TestNight, query: &str) -> Result<i64> {
    let count = sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(&night.pool);
    Ok(count.await?)
}

/// Removes the sync jobs of the first shard that has any, all keys of it; says how many there were.
fn shards_with_jobs(night: &TestNight) -> Result<u8> {
    for shard in 0..4 {
        let count = night
            .fleet
            .redis
            .command(&format!("HLEN {{sync.{shard}}}:jobs"))?;
        let count: u8 = count.trim_start_matches(':').parse()?;
        if count == 0 {
            continue;
        }
        let script = format!(
            "for _, k in ipairs(redis.call('KEYS', '{{sync.{shard}}}:*')) do if k ~= '{{sync.{shard}}}:boot' then redis.call('DEL', k) end end"
        );
        let answer = night.fleet.redis.command(&format!("EVAL \"{script}\" 0"))?;
        ensure!(answer == "$-1", "{answer}");
        return Ok(count);
    }
    anyhow::bail!("no shard has jobs")
}

/// Two minutes pass for what is enqueued.
async fn settle(night: &TestNight) -> Result<()> {
    let earlier = "update bulkhead.obligations set enqueued_at = enqueued_at - interval '2 minutes' where state = 'enqueued'";
    sqlx::raw_sql(earlier).execute(&night.pool).await?;
    Ok(())
}

/// One pass, as cron would run it.
async fn tick(night: &TestNight) -> Result<Tick> {
    Ok(passed(night).await?.0)
}

/// What a pass did, and its log.
async fn passed(night: &TestNight) -> Result<(Tick, String)> {
    // Each writes its port to a file of its own.
    static TICKS: AtomicU32 = AtomicU32::new(0);
    let name = format!("tick-{}", TICKS.fetch_add(1, Ordering::Relaxed));
    let options = MemberOptions::default();
    let mut command = night.fleet.member_command("scheduler", &name, &options)?;
    command.arg("tick");
    let output: Output = tokio::task::spawn_blocking(move || command.output()).await??;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{}: {stderr}", output.status);
    let tick = serde_json::from_slice(&output.stdout).context("read what tick printed")?;
    Ok((tick, stderr))
}
