//! `bulkhead jobs retry`

use bulkhead_broker::Enqueued;
use bulkhead_domain::{JobId, JobKind, ObligationState};
use bulkhead_store::{Obligation, ObligationFilter, Retried, Store};
use serde::Serialize;

use super::jobs_show::REMEDY;
use crate::{
    choice::choice, directory, forward::Forward, name, not_found::NotFound, output::Answer,
    session::Session,
};

/// More than anybody looks through; run it again for the rest.
const MOST: u32 = 10_000;

/// Owes jobs again that were given up or cancelled, due now, with their attempts counted anew
///
/// The scheduler enqueues them at its next tick. A job that waits in the queue for its next attempt runs now instead.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bulkhead jobs retry 6f1c2d7e-3b1a-5a54-9d3e-0c8f7b6a5e4d
  bulkhead jobs retry --dead --tenant acme")]
pub(crate) struct JobsRetry {
    /// The jobs' ids
    #[arg(
        value_name = "ID",
        value_parser = name::job_id,
        required_unless_present = "dead",
        conflicts_with = "dead"
    )]
    ids: Vec<JobId>,

    /// All jobs that were given up
    #[arg(long)]
    dead: bool,

    /// With --dead: only this tenant's, name or id
    #[arg(long, requires = "dead")]
    tenant: Option<String>,

    /// With --dead: only this connection's, TENANT/NAME, name or id
    #[arg(long, requires = "dead")]
    connection: Option<String>,

    /// With --dead: only of this kind
    #[arg(long, requires = "dead", value_parser = choice::<JobKind, _>(JobKind::ALL.map(JobKind::as_str)))]
    kind: Option<JobKind>,
}

#[derive(Debug, Serialize)]
struct RetriedJobs {
    retried: Vec<JobId>,
    /// Those that waited in the queue, and run now.
    moved_forward: Vec<JobId>,
    /// Those that are left as they were.
    unchanged: Vec<Unchanged>,
}

#[derive(Debug, Serialize)]
struct Unchanged {
    id: JobId,
    state: ObligationState,
    reason: &'static str,
}

impl JobsRetry {
    pub(super) async fn run(self, session: &mut Session) -> anyhow::Result<()> {
        let store = session.store().await?;
        let jobs = self.jobs(&store).await?;
        let mut result = RetriedJobs {
            retried: Vec::new(),
            moved_forward: Vec::new(),
            unchanged: Vec::new(),
        };
        let mut waiting = Vec::new();
        for job in &jobs {
            let outcome = store
                .obligations()
                .retry(&job.key(), session.actor())
                .await?;
            match outcome {
                Retried::NotDead if job.state == ObligationState::Enqueued => waiting.push(job),
                outcome => result.add(job, outcome),
            }
        }
        let forwarded = forwarded(session, &store, &waiting, &mut result).await;
        session.show(&result)?;
        forwarded?;
        let met = result
            .unchanged
            .iter()
            .find(|one| one.state == ObligationState::Done);
        match met {
            Some(job) => anyhow::bail!(
                "job {} is done: owe another with `bulkhead enqueue sync`",
                job.id
            ),
            None => Ok(()),
        }
    }

    async fn jobs(&self, store: &Store) -> anyhow::Result<Vec<Obligation>> {
        if !self.dead {
            return found(store, &self.ids).await;
        }
        let tenant = match &self.tenant {
            Some(given) => Some(directory::tenant(store, given).await?.id),
            None => None,
        };
        let connection = match &self.connection {
            Some(given) => Some(directory::connection(store, tenant, given).await?.id),
            None => None,
        };
        let filter = ObligationFilter {
            tenant,
            connection,
            kind: self.kind,
            state: Some(ObligationState::Dead),
            ..ObligationFilter::default()
        };
        Ok(store.obligations().list(&filter, MOST).await?)
    }
}

/// Those that wait in the queue run now.
async fn forwarded(
    session: &Session,
    store: &Store,
    waiting: &[&Obligation],
    result: &mut RetriedJobs,
) -> anyhow::Result<()> {
    if waiting.is_empty() {
        return Ok(());
    }
    let forward = Forward::new(session, store).await?;
    for job in waiting {
        match forward.job(job, job.priority).await? {
            Enqueued::MovedForward | Enqueued::Added => result.moved_forward.push(job.id),
            Enqueued::Exists => result.stays(job, "it runs, or is next in its turn"),
            Enqueued::TenantFull => {
                result.stays(job, "the queue has no more room for jobs of its tenant");
            }
        }
    }
    Ok(())
}

/// Looks all of them up before anything is done to the first.
pub(super) async fn found(store: &Store, ids: &[JobId]) -> anyhow::Result<Vec<Obligation>> {
    let mut jobs = Vec::new();
    for id in ids {
        let job = store.obligations().find(*id).await?;
        jobs.push(job.ok_or_else(|| NotFound::id("job", id, REMEDY))?);
    }
    Ok(jobs)
}

impl RetriedJobs {
    fn add(&mut self, job: &Obligation, outcome: Retried) {
        let reason = match outcome {
            Retried::Owed => return self.retried.push(job.id),
            Retried::NotDead if job.state.is_final() => "it is done",
            Retried::NotDead => "it is owed already",
            Retried::AlreadyOwed => "another token refresh of the connection is owed already",
        };
        self.stays(job, reason);
    }

    fn stays(&mut self, job: &Obligation, reason: &'static str) {
        self.unchanged.push(Unchanged {
            id: job.id,
            state: job.state,
            reason,
        });
    }
}

impl Answer for RetriedJobs {
    fn for_people(&self, _: bool) -> String {
        if self.retried.is_empty() && self.moved_forward.is_empty() && self.unchanged.is_empty() {
            return "no job was given up\n".to_owned();
        }
        let retried = self
            .retried
            .iter()
            .map(|id| format!("{id} is owed again\n"));
        let moved = self
            .moved_forward
            .iter()
            .map(|id| format!("{id} waited in the queue and runs now\n"));
        let unchanged = self
            .unchanged
            .iter()
            .map(|one| format!("{} stays {}: {}\n", one.id, one.state, one.reason));
        retried.chain(moved).chain(unchanged).collect()
    }
}
