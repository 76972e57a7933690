//! A night that is judged: Postgres itself notes which lease entered which job, which pages were stored and what was
//! done, and the simulated Amazon notes what it was asked.

use std::{ops::Deref, os::unix::process::ExitStatusExt as _, time::Duration};

use anyhow::{Context, Result, ensure};
use bulkhead_devstack::fleet::{FleetOptions, Member, MemberOptions};
use serde_json::Value;

use crate::support::{TestNight, eventually};

/// SIGKILL, as an exit status names it.
const SIGKILL: i32 = 9;

/// How long after a crash the work may go on at the latest: a lease of two seconds, and time for a loaded machine.
pub(crate) const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(12);

/// Of each class, by default.
const SHARDS: u16 = 4;

/// The operation that fetches a page.
const SEARCH: &str = "orders/2026-01-01/searchOrders";

/// A [`TestNight`] with a judge in its database.
pub(crate) struct JudgedNight {
    pub(crate) night: TestNight,
}

impl Deref for JudgedNight {
    type Target = TestNight;

    fn deref(&self) -> &TestNight {
        &self.night
    }
}

impl JudgedNight {
    /// Onboarded, judged, and no process of the fleet runs yet.
    pub(crate) async fn onboarded(options: FleetOptions) -> Result<Self> {
        let night = TestNight::onboarded(options).await?;
        sqlx::raw_sql(include_str!("judge.sql"))
            .execute(&night.pool)
            .await?;
        Ok(Self { night })
    }

    /// Forgets what was synced, so that the next sync fetches and stores all of it again, and is judged alone.
    pub(crate) async fn begin_anew(&self) -> Result<()> {
        // What no process writes now is truncated; a token worker may be at its judge's tables, which are emptied row
        // by row, so that neither waits for the other.
        let forget = "truncate bulkhead.orders, bulkhead.order_items, bulkhead.order_pii, bulkhead.checkpoints; \
                      delete from judge.entered; delete from judge.done; delete from judge.pages; \
                      delete from judge.generations";
        sqlx::raw_sql(forget).execute(&self.pool).await?;
        Ok(())
    }

    /// A process that will kill itself at `point`.
    pub(crate) fn start_doomed(&self, class: &str, name: &str, point: &str) -> Result<Member> {
        let options = MemberOptions::default().set("testing.crash_at", point);
        // It may be gone before it says that it is ready.
        self.fleet.spawn_member(class, name, &options)
    }

    /// A process that will stop itself at `point`.
    pub(crate) fn start_sleeper(&self, class: &str, name: &str, point: &str) -> Result<Member> {
        let options = MemberOptions::default().set("testing.stop_at", point);
        self.fleet.spawn_member(class, name, &options)
    }

    /// Pages that were stored since [`Self::begin_anew`].
    pub(crate) async fn pages(&self) -> Result<i64> {
        self.number("select count(*) from judge.pages").await
    }

    /// Waits until at least `pages` have been stored.
    pub(crate) async fn until_pages(&self, pages: i64) -> Result<()> {
        let reached = eventually(async || Ok(self.pages().await? >= pages));
        reached
            .await
            .with_context(|| format!("wait for {pages} pages"))
    }

    /// Fails unless every page was stored once, every obligation done once, and no older lease came after a newer one.
    pub(crate) async fn nothing_was_done_twice(&self) -> Result<()> {
        let claims = [
            (
                "pages were stored twice",
                "select count(*) - count(distinct (connection_id, coalesce(page_token, ''))) from judge.pages",
            ),
            (
                "obligations were done twice",
                "select count(*) - count(distinct job) from judge.done",
            ),
            (
                "older leases entered after newer ones",
                "select count(*) from judge.entered later where exists (select from judge.entered earlier \
                 where earlier.job = later.job and earlier.at < later.at and earlier.token >= later.token)",
            ),
            (
                "obligations were given up",
                "select count(*) from bulkhead.obligations where state in ('dead', 'cancelled')",
            ),
        ];
        for (what, query) in claims {
            let count = self.number(query).await?;
            ensure!(count == 0, "{count} {what}");
        }
        Ok(())
    }

    /// Everything at once: what a night must look like, whatever happened in it.
    pub(crate) async fn as_if_nothing_had_happened(&self) -> Result<()> {
        self.nothing_lost_nothing_twice().await?;
        self.nothing_was_done_twice().await
    }

    /// Jobs of a class that Redis knows.
    pub(crate) fn jobs_in_redis(&self, class: &str) -> Result<u64> {
        let mut jobs = 0;
        for shard in 0..SHARDS {
            let answer = self
                .fleet
                .redis
                .command(&format!("HLEN {{{class}.{shard}}}:jobs"))?;
            jobs += answer
                .trim_start_matches(':')
                .parse::<u64>()
                .context(answer.clone())?;
        }
        Ok(jobs)
    }

    /// Moves the time on to when a dead scheduler's claims have run out; fails if that would take too long.
    pub(crate) async fn let_claims_run_out(&self) -> Result<()> {
        let long = self
            .number("select count(*) from bulkhead.obligations where claimed_until > now() + interval '30 s'")
            .await?;
        ensure!(
            long == 0,
            "{long} obligations are claimed for longer than 30 s"
        );
        let run_out =
            "update bulkhead.obligations set claimed_until = now() where claimed_until > now()";
        sqlx::raw_sql(run_out).execute(&self.pool).await?;
        Ok(())
    }

    /// How often Amazon was asked for a page.
    pub(crate) async fn pages_asked_for(&self) -> Result<u64> {
        let counts: Value = self.fleet.amazon.get("counts").await?;
        Ok(counts["by_operation"][SEARCH].as_u64().unwrap_or_default())
    }
}

/// Waits until the process has killed itself.
pub(crate) async fn until_it_has_crashed(doomed: &Member) -> Result<()> {
    let name = doomed.process.name();
    let status = doomed.process.wait(Duration::from_secs(60)).await;
    let status = status.with_context(|| format!("{name} never reached its crash point"))?;
    ensure!(
        status.signal() == Some(SIGKILL),
        "{name} ended with {status}: {}",
        doomed.process.log_tail()
    );
    Ok(())
}

/// Waits until the process has stopped itself.
pub(crate) async fn until_it_sleeps(sleeper: &Member) -> Result<()> {
    let path = format!("/proc/{}/stat", sleeper.process.pid());
    let stopped = eventually(async || {
        let stat = std::fs::read_to_string(&path).context("the process has ended")?;
        // The name before it, in parentheses, may hold anything.
        let state = stat
            .rsplit(") ")
            .next()
            .and_then(|rest| rest.chars().next());
        Ok(state == Some('T'))
    });
    stopped
        .await
        .with_context(|| format!("{} never stopped itself", sleeper.process.name()))
}

/// Waits until a process has logged one of these.
pub(crate) async fn until_it_says(member: &Member, any_of: &[&str]) -> Result<()> {
    let log = member.process.log().context("no log")?;
    let said = eventually(async || {
        let text = std::fs::read_to_string(log)?;
        Ok(any_of.iter().any(|words| text.contains(words)))
    });
    said.await.with_context(|| {
        format!(
            "{} never said any of {any_of:?}: {}",
            member.process.name(),
            member.process.log_tail()
        )
    })
}
