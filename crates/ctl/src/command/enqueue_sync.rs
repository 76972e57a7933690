//! `bulkhead enqueue sync`

use bulkhead_domain::{Dataset, JobId, Priority};
use bulkhead_service::StartError;
use bulkhead_store::{Connection, ConnectionState, NewSync, Store};
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::{
    choice::choice,
    directory::{self, EVERYTHING},
    output::Answer,
    session::Session,
    since::{Since, since},
    sync_forecast::{Expected, SyncForecast},
    whom::Whom,
};

/// Statements take so many rows at once.
const BATCH: usize = 1_000;

/// Owes a sync of a connection, of a tenant's connections or of all connections, due now
///
/// The scheduler enqueues it at its next tick. Only active connections are synced.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bulkhead enqueue sync --connection acme/shop-eu --priority
  bulkhead enqueue sync --tenant acme --since 7d
  bulkhead enqueue sync --all --since 2026-11-01 --priority=backfill")]
pub(crate) struct EnqueueSync {
    #[command(flatten)]
    whom: Whom,

    /// What to bring up to date
    #[arg(long, default_value = "orders", value_parser = choice::<Dataset, _>(Dataset::ALL.map(Dataset::as_str)))]
    dataset: Dataset,

    /// From when, instead of from where the last sync ended: a time, a date, or a duration before now
    #[arg(long, value_name = "TIME|DATE|DURATION", value_parser = since)]
    since: Option<Since>,

    /// Before or after the nights' work; without a value: urgent
    #[arg(
        long, value_name = "WHEN", num_args = 0..=1, require_equals = true,
        default_value = "night", default_missing_value = "urgent"
    )]
    priority: Urgency,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Urgency {
    /// Before everything else of the connection
    Urgent,
    /// As the nights' work
    Night,
    /// After everything else of the connection
    Backfill,
}

#[derive(Debug, Serialize)]
struct Owed {
    jobs: Vec<OwedJob>,
    /// Connections that are not active: nothing is owed for them.
    skipped: usize,
    /// How long it will take, if that is long.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Debug, Serialize)]
struct OwedJob {
    id: JobId,
    tenant: String,
    connection: String,
}

impl EnqueueSync {
    pub(super) async fn run(self, session: &mut Session) -> anyhow::Result<()> {
        let now = Timestamp::now();
        let since = self.since.map(|since| since.before(now)).transpose();
        let since = since.map_err(StartError::refused)?;
        let store = session.store().await?;
        let connections = self.whom.connections(&store).await?;
        let is_active = |one: &&Connection| one.state == ConnectionState::Active;
        let active: Vec<&Connection> = connections.iter().filter(is_active).collect();
        if let (Some(_), [], [only]) = (&self.whom.connection, &active[..], &connections[..]) {
            anyhow::bail!(
                "{} is {}: nothing is owed",
                directory::path(only),
                only.state
            );
        }
        let syncs: Vec<NewSync> = active
            .iter()
            .map(|one| self.sync(one, since, now))
            .collect();
        for batch in syncs.chunks(BATCH) {
            store.obligations().owe(batch, session.actor()).await?;
        }
        let jobs = syncs.iter().zip(&active).map(|(sync, one)| OwedJob {
            id: sync.id,
            tenant: one.tenant_name.clone(),
            connection: one.name.clone(),
        });
        session.show(&Owed {
            jobs: jobs.collect(),
            skipped: connections.len() - active.len(),
            note: forecast(&store, &active, since, now).await?,
        })
    }

    fn sync(&self, connection: &Connection, since: Option<Timestamp>, now: Timestamp) -> NewSync {
        NewSync {
            tenant: connection.tenant,
            // Not deterministic: whoever asks twice wants it twice.
            id: JobId::new(Uuid::new_v4()),
            connection: connection.id,
            application: connection.application,
            dataset: self.dataset,
            since,
            priority: self.priority.into(),
            due_at: now,
            deadline: None,
        }
    }
}

/// How long it will take, in one line. Without a time to begin from it is a night's work, which is soon done.
async fn forecast(
    store: &Store,
    active: &[&Connection],
    since: Option<Timestamp>,
    now: Timestamp,
) -> anyhow::Result<Option<String>> {
    if since.is_none() {
        return Ok(None);
    }
    let progress = store.checkpoints().list(None, EVERYTHING).await?;
    let expected = Expected::of(active, &progress, since, None, now);
    Ok(SyncForecast::new(&expected, |_, operation| operation.plan).note())
}

impl From<Urgency> for Priority {
    fn from(urgency: Urgency) -> Self {
        match urgency {
            Urgency::Urgent => Self::URGENT,
            Urgency::Night => Self::NIGHT,
            Urgency::Backfill => Self::BACKFILL,
        }
    }
}

impl Answer for Owed {
    fn for_people(&self, _: bool) -> String {
        let mut text = match self.jobs.as_slice() {
            [] => "nothing to sync: no active connection\n".to_owned(),
            [one] => format!(
                "sync of {}/{} owed: {}\n",
                one.tenant, one.connection, one.id
            ),
            many => format!("{} syncs owed; see `bulkhead jobs list`\n", many.len()),
        };
        if self.skipped > 0 {
            text += &format!(
                "{} connections are not active and were skipped\n",
                self.skipped
            );
        }
        if let Some(note) = &self.note {
            text += &format!("{note}\n");
        }
        text
    }
}
