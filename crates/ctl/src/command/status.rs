//! `bulkhead status`

mod class;
mod dependency;
mod tenant;
mod waits;

use std::collections::BTreeMap;

use bulkhead_broker::{Broker, Fences, Stats};
use bulkhead_domain::TenantId;
use bulkhead_service::StartError;
use bulkhead_store::{ClosedFence, Migrator, Store};
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use secrecy::ExposeSecret;
use serde::Serialize;

use self::{
    class::{ClassStatus, Classes},
    dependency::{PostgresStatus, RedisStatus},
    tenant::{TenantStatus, Tenants},
    waits::{ClassWaits, WaitStatus, Waits},
};
use crate::{
    directory::EVERYTHING,
    output::Answer,
    queues::Queues,
    session::Session,
    setting_entry::{Names, Settings},
    table::time,
};

/// Shows the fleet at a glance: the stores, the queue of each class, where each tenant stands, how long its jobs waited,
/// and what operators have set: holds, weights and caps
///
/// A wait is that of a job's first start, of this hour and the one before, true to a factor of two; a bar stands for each
/// bucket of waits, each twice as long as the one before.
/// What one store knows is shown also while the other cannot be reached; the exit code is 3 then.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bulkhead status
  watch -n 5 bulkhead status --days 1
  bulkhead status --json | jq '.classes[] | {class, queued, dead}'")]
pub(crate) struct Status {
    /// Count jobs that were first due today or this many days before
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(0..=365))]
    days: u16,
}

#[derive(Debug, Serialize)]
struct FleetStatus {
    at: Timestamp,
    postgres: PostgresStatus,
    redis: RedisStatus,
    /// Null: Redis was not reached.
    classes: Option<Vec<ClassStatus>>,
    /// Null: Postgres was not reached.
    tenants: Option<Vec<TenantStatus>>,
    /// How long jobs waited until they were started; null: Redis was not reached.
    waits: Option<Vec<WaitStatus>>,
    /// Weights, holds and caps that operators have set; null: Postgres was not reached.
    settings: Option<Settings>,
    /// What is stopped; null: Postgres was not reached.
    fences: Option<Vec<FenceStatus>>,
}

#[derive(Debug, Serialize)]
struct FenceStatus {
    scope: &'static str,
    id: String,
    since: Timestamp,
}

/// What Postgres and Redis said.
struct Seen {
    owed: anyhow::Result<tenant::Owed>,
    queued: anyhow::Result<Queued>,
}

struct Queued {
    boot_nonce: Option<String>,
    stats: Vec<Stats>,
    waits: Vec<ClassWaits>,
    bytes: BTreeMap<TenantId, u64>,
}

impl Status {
    pub(super) async fn run(self, session: &mut Session) -> anyhow::Result<()> {
        let now = Timestamp::now();
        let since = day(now, self.days)?;
        // Both at once: one that does not answer takes its five seconds.
        let (owed, queued) = tokio::join!(owed(session, since), queued(session));
        let seen = Seen { owed, queued };
        session.show(&FleetStatus::new(now, &seen))?;
        seen.owed?;
        seen.queued?;
        Ok(())
    }
}

fn day(now: Timestamp, days_before: u16) -> Result<Date, StartError> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let day = today.checked_sub(i64::from(days_before).days());
    day.map_err(|error| StartError::refused(error.to_string()))
}

async fn owed(session: &Session, since: Date) -> anyhow::Result<tenant::Owed> {
    let store: Store = session.store().await?;
    let url = session.config().postgres.url()?.expose_secret();
    let schema_version = Migrator::applied(url).await?;
    tenant::Owed::read(&store, schema_version, since).await
}

async fn queued(session: &Session) -> anyhow::Result<Queued> {
    let broker: Broker = session.broker().await?;
    let boot_nonce = Fences::new(&broker).boot_nonce().await?;
    let mut queued = Queued {
        boot_nonce,
        stats: Vec::new(),
        waits: Vec::new(),
        bytes: BTreeMap::new(),
    };
    for queue in Queues::new(broker).each() {
        queued.stats.push(queue.stats().await?);
        queued.waits.push((queue.class(), queue.waits().await?));
        for (tenant, bytes) in queue.tenant_bytes().await? {
            *queued.bytes.entry(tenant).or_default() += bytes;
        }
    }
    Ok(queued)
}

impl FleetStatus {
    fn new(now: Timestamp, seen: &Seen) -> Self {
        let owed = seen.owed.as_ref().ok();
        let queued = seen.queued.as_ref().ok();
        let stats = queued.map(|queued| queued.stats.as_slice());
        Self {
            at: now,
            postgres: PostgresStatus::new(&seen.owed),
            redis: RedisStatus::new(&seen.queued),
            classes: stats.map(|stats| class::summed(stats, owed, now)),
            tenants: owed.map(|owed| tenant::summed(owed, queued)),
            waits: queued.map(|queued| waits::summed(&queued.waits, owed)),
            settings: owed.map(|owed| {
                let names = Names::new(&owed.tenants, &owed.connections);
                owed.settings.named(&names, stats)
            }),
            fences: owed.map(|owed| owed.fences.iter().map(FenceStatus::from).collect()),
        }
    }
}

impl From<&ClosedFence> for FenceStatus {
    fn from(fence: &ClosedFence) -> Self {
        Self {
            scope: fence.scope.as_str(),
            id: fence.id.to_string(),
            since: fence.since,
        }
    }
}

impl Answer for FleetStatus {
    fn for_people(&self, colour: bool) -> String {
        let mut text = format!("{}{}", self.postgres.for_people(), self.redis.for_people());
        if let Some(classes) = &self.classes {
            text += &format!("\n{}", Classes(classes).render(colour));
        }
        if let Some(tenants) = &self.tenants {
            text += &format!("\n{}", Tenants(tenants).render(colour));
        }
        if let Some(waits) = self.waits.as_ref().filter(|waits| !waits.is_empty()) {
            text += &format!("\n{}", Waits(waits).render(colour));
        }
        let settings = self.settings.as_ref();
        let settings = settings.map(|settings| settings.render(colour));
        if let Some(settings) = settings.filter(|table| !table.is_empty()) {
            text += &format!("\n{settings}");
        }
        for fence in self.fences.iter().flatten() {
            let since = time(Some(fence.since));
            text += &format!("\nSTOPPED  {} {} since {since}", fence.scope, fence.id);
        }
        if self
            .fences
            .as_ref()
            .is_some_and(|fences| !fences.is_empty())
        {
            text.push('\n');
        }
        text
    }
}

/// More rows than a look at the fleet needs.
const MOST: u32 = EVERYTHING;
