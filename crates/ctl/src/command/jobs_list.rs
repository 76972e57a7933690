//! `bulkhead jobs list`

use bulkhead_domain::{JobKind, ObligationState};
use bulkhead_store::ObligationFilter;
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    choice::choice,
    directory,
    job_entry::{self, JobEntry},
    output::Answer,
    queues::Queues,
    session::Session,
    table::{Rows, time},
};

/// Lists jobs: what is owed, runs, is done or was given up, the latest due first
///
/// `state` is what Postgres says is owed; `where` is where Redis has the job now. If Redis cannot be reached, the list
/// is shown without it, and the exit code is 3.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bulkhead jobs list --tenant acme --state enqueued
  bulkhead jobs list --state dead --json | jq -r '.[] | [.id, .last_error] | @tsv'")]
pub(crate) struct JobsList {
    /// Only this tenant's: name or id
    #[arg(long)]
    tenant: Option<String>,

    /// Only this connection's: TENANT/NAME, name or id
    #[arg(long)]
    connection: Option<String>,

    /// Only of this kind
    #[arg(long, value_parser = choice::<JobKind, _>(JobKind::ALL.map(JobKind::as_str)))]
    kind: Option<JobKind>,

    /// Only those in this state
    #[arg(long, value_parser = choice::<ObligationState, _>(ObligationState::ALL.map(ObligationState::as_str)))]
    state: Option<ObligationState>,

    /// How many at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Jobs(Vec<JobEntry>);

impl JobsList {
    pub(super) async fn run(self, session: &mut Session) -> anyhow::Result<()> {
        let store = session.store().await?;
        let tenant = match &self.tenant {
            Some(given) => Some(directory::tenant(&store, given).await?.id),
            None => None,
        };
        let connection = match &self.connection {
            Some(given) => Some(directory::connection(&store, tenant, given).await?),
            None => None,
        };
        let filter = ObligationFilter {
            tenant: tenant.or(connection.as_ref().map(|one| one.tenant)),
            connection: connection.map(|one| one.id),
            state: self.state,
            kind: self.kind,
            since: None,
        };
        let owed = store.obligations().list(&filter, self.limit).await?;
        let mut jobs = Jobs(job_entry::named(&store, owed).await?);
        let located = locate(session, &mut jobs.0).await;
        session.show(&jobs)?;
        located
    }
}

async fn locate(session: &Session, jobs: &mut [JobEntry]) -> anyhow::Result<()> {
    if !jobs.iter().any(JobEntry::may_be_queued) {
        return Ok(());
    }
    let queues = Queues::new(session.broker().await?);
    job_entry::locate(&queues, jobs).await
}

impl Answer for Jobs {
    fn for_people(&self, colour: bool) -> String {
        let heads = [
            "id",
            "kind",
            "connection",
            "state",
            "where",
            "due",
            "attempts",
            "last error",
        ];
        let mut rows = Rows::new(&heads, "no such jobs");
        let now = Timestamp::now();
        for job in &self.0 {
            let dataset = job
                .dataset
                .map(|dataset| format!(" {dataset}"))
                .unwrap_or_default();
            rows.add([
                job.id.to_string(),
                format!("{}{dataset}", job.kind),
                format!("{}/{}", job.tenant, job.connection),
                job.state.to_string(),
                job.place(now),
                time(Some(job.due_at)),
                job.attempts.to_string(),
                shortened(job.last_error.as_deref().unwrap_or("-")),
            ]);
        }
        rows.render(colour)
    }
}

/// The whole is in `jobs show`.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_error_is_shortened_between_characters() {
        assert_eq!(shortened("timeout"), "timeout");
        let long = "ü".repeat(100);
        assert_eq!(shortened(&long), format!("{}…", "ü".repeat(60)));
    }
}
