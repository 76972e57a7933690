//! `bulkhead enqueue sync`

use bulkhead_broker::Enqueued;
use bulkhead_domain::{Dataset, JobId, JobKind, ObligationState, Priority};
use bulkhead_service::StartError;
use bulkhead_store::{Connection, ConnectionState, NewSync, ObligationFilter, Store};
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::{
    choice::choice,
    directory::{self, EVERYTHING},
    forward::Forward,
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
/// The scheduler enqueues it at its next tick. Only active connections are synced. With --connection and without
/// --since, a sync of the dataset that waits in the queue already is moved forward instead: it does the same.
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
    /// Those that waited in the queue already, and run now.
    moved_forward: Vec<OwedJob>,
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
        if let (Some(_), None, [one]) = (&self.whom.connection, since, &active[..])
            && let Some(id) = self.moved_forward(session, &store, one).await?
        {
            return session.show(&Owed {
                jobs: Vec::new(),
                moved_forward: vec![OwedJob::new(id, one)],
                skipped: 0,
                note: None,
            });
        }
        let syncs: Vec<NewSync> = active
            .iter()
            .map(|one| self.sync(one, since, now))
            .collect();
        for batch in syncs.chunks(BATCH) {
            store.obligations().owe(batch, session.actor()).await?;
        }
        let jobs = syncs.iter().zip(&active);
        session.show(&Owed {
            jobs: jobs.map(|(sync, one)| OwedJob::new(sync.id, one)).collect(),
            moved_forward: Vec::new(),
            skipped: connections.len() - active.len(),
            note: forecast(&store, &active, since, now).await?,
        })
    }

    /// The sync of a connection that waits in the queue, if there is one, has been moved forward. Without Redis none is
    /// found: another is owed, which is never wrong.
    async fn moved_forward(
        &self,
        session: &Session,
        store: &Store,
        connection: &Connection,
    ) -> anyhow::Result<Option<JobId>> {
        let filter = ObligationFilter {
            tenant: Some(connection.tenant),
            connection: Some(connection.id),
            state: Some(ObligationState::Enqueued),
            kind: Some(JobKind::Sync),
            since: None,
        };
        let enqueued = store.obligations().list(&filter, EVERYTHING).await?;
        let mut same = enqueued
            .iter()
            .filter(|one| one.dataset == Some(self.dataset) && one.since.is_none())
            .peekable();
        if same.peek().is_none() {
            return Ok(None);
        }
        let Ok(forward) = Forward::new(session, store).await else {
            return Ok(None);
        };
        for one in same {
            if forward.job(one, self.priority.into()).await? == Enqueued::MovedForward {
                return Ok(Some(one.id));
            }
        }
        Ok(None)
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

impl OwedJob {
    fn new(id: JobId, connection: &Connection) -> Self {
        Self {
            id,
            tenant: connection.tenant_name.clone(),
            connection: connection.name.clone(),
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
            [] if !self.moved_forward.is_empty() => String::new(),
            [] => "nothing to sync: no active connection\n".to_owned(),
            [one] => format!(
                "sync of {}/{} owed: {}\n",
                one.tenant, one.connection, one.id
            ),
            many => format!("{} syncs owed; see `bulkhead jobs list`\n", many.len()),
        };
        for one in &self.moved_forward {
            text += &format!(
                "sync of {}/{} waited in the queue and runs now: {}\n",
                one.tenant, one.connection, one.id
            );
        }
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
