//! `bulkhead jobs show`

use bulkhead_broker::Incident;
use bulkhead_domain::JobId;
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    job_entry::{self, JobEntry, QueueEntry},
    name,
    not_found::NotFound,
    output::Answer,
    queues::Queues,
    session::Session,
    table::{printable, time},
};

/// How to find the right id.
pub(super) const REMEDY: &str = "`bulkhead jobs list` shows ids";

/// Shows all that is known of a job: what is owed, where it is, and what happened to it
///
/// If Redis cannot be reached, it is shown without what Redis knows, and the exit code is 3.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  bulkhead jobs show 6f1c2d7e-3b1a-5a54-9d3e-0c8f7b6a5e4d")]
pub(crate) struct JobsShow {
    /// The job's id
    #[arg(value_parser = name::job_id)]
    id: JobId,
}

#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    job: JobEntry,
    history: Vec<HistoryEntry>,
}

#[derive(Debug, Serialize)]
struct HistoryEntry {
    at: Timestamp,
    event: String,
    worker: String,
    reason: String,
}

impl JobsShow {
    pub(super) async fn run(self, session: &mut Session) -> anyhow::Result<()> {
        let store = session.store().await?;
        let owed = store.obligations().find(self.id).await?;
        let owed = owed.ok_or_else(|| NotFound::id("job", &self.id, REMEDY))?;
        let job = job_entry::named(&store, vec![owed]).await?.pop();
        let job = job.ok_or_else(|| NotFound::id("job", &self.id, REMEDY))?;
        let mut shown = Shown {
            job,
            history: Vec::new(),
        };
        let located = locate(session, &mut shown).await;
        session.show(&shown)?;
        located
    }
}

async fn locate(session: &Session, shown: &mut Shown) -> anyhow::Result<()> {
    let queues = Queues::new(session.broker().await?);
    if let Some(entry) = queues.job(shown.job.kind, shown.job.id).await? {
        shown.job.queue = Some(QueueEntry::from(&entry));
        shown.history = entry.history.iter().map(HistoryEntry::from).collect();
    }
    Ok(())
}

impl From<&Incident> for HistoryEntry {
    fn from(incident: &Incident) -> Self {
        Self {
            at: incident.at,
            event: format!("{:?}", incident.event).to_lowercase(),
            worker: incident.worker.clone(),
            reason: incident.reason.clone(),
        }
    }
}

impl Answer for Shown {
    fn for_people(&self, _: bool) -> String {
        let job = &self.job;
        let dataset = job
            .dataset
            .map(|dataset| format!(" {dataset}"))
            .unwrap_or_default();
        let reason = job.queue.as_ref().and_then(|queue| queue.reason.clone());
        let lines = [
            ("job", job.id.to_string()),
            ("kind", format!("{}{dataset}", job.kind)),
            ("connection", format!("{}/{}", job.tenant, job.connection)),
            ("state", job.state.to_string()),
            ("where", job.place(Timestamp::now())),
            ("reason", reason.unwrap_or_else(|| "-".to_owned())),
            ("priority", job.priority.to_string()),
            ("since", time(job.since)),
            ("due", time(Some(job.due_at))),
            ("deadline", time(job.deadline)),
            ("enqueued", time(job.enqueued_at)),
            ("finished", time(job.finished_at)),
            ("attempts", job.attempts.to_string()),
            (
                "last error",
                job.last_error.clone().unwrap_or_else(|| "-".to_owned()),
            ),
        ];
        let facts = lines
            .iter()
            .map(|(name, value)| format!("{name:<12}{}\n", printable(value)));
        let history = self.history.iter().map(|one| {
            let line = format!(
                "{}  {}  {}  {}",
                time(Some(one.at)),
                one.event,
                one.worker,
                one.reason
            );
            format!("            {}\n", printable(&line))
        });
        facts.chain(history).collect()
    }
}
