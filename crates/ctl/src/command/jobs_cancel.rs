//! `bulkhead jobs cancel`

use anyhow::Context;
use bulkhead_broker::JobFilter;
use bulkhead_domain::{ConnectionId, JobId, JobKind};
use bulkhead_store::Store;
use serde::Serialize;

use super::jobs_retry::found;
use crate::{
    choice::choice,
    directory::{self, EVERYTHING},
    name,
    output::Answer,
    queues::Queues,
    session::Session,
};

/// Withdraws jobs that have not ended
///
/// A job that runs can write nothing more, and its worker is told. The connection stays active: its nights go on, and
/// its next sync owes it an access token again. To stop a connection, pause it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bulkhead jobs cancel 6f1c2d7e-3b1a-5a54-9d3e-0c8f7b6a5e4d
  bulkhead jobs cancel --tenant acme --reason 'wrong --since'
  bulkhead jobs cancel --tenant acme --kind sync")]
pub(crate) struct JobsCancel {
    /// The jobs' ids
    #[arg(value_name = "ID", value_parser = name::job_id, required_unless_present_any = ["connection", "tenant", "kind"], conflicts_with_all = ["connection", "tenant", "kind"])]
    ids: Vec<JobId>,

    /// All of this connection: TENANT/NAME, name or id
    #[arg(long, conflicts_with = "tenant")]
    connection: Option<String>,

    /// All of this tenant: name or id
    #[arg(long)]
    tenant: Option<String>,

    /// All of this kind, or of --tenant or --connection those of this kind
    #[arg(long, value_parser = choice::<JobKind, _>(JobKind::ALL.map(JobKind::as_str)))]
    kind: Option<JobKind>,

    /// Why, for the audit log
    #[arg(long, default_value = "cancelled by an operator")]
    reason: String,
}

#[derive(Debug, Serialize)]
struct Cancelled {
    /// How many had not ended.
    cancelled: u64,
    /// Those of the given ids that had ended.
    unchanged: Vec<JobId>,
}

impl JobsCancel {
    pub(super) async fn run(self, session: &mut Session) -> anyhow::Result<()> {
        let store = session.store().await?;
        // Postgres first and by itself: it alone refuses every worker, also while Redis is down.
        let (cancelled, filters) = if self.ids.is_empty() {
            self.cancel_scope(&store, session.actor()).await?
        } else {
            self.cancel_ids(&store, session.actor()).await?
        };
        session.show(&cancelled)?;
        withdraw(session, &filters)
            .await
            .context("cancelled in Postgres, which refuses their workers; the queue is not told yet: run this again")
    }

    async fn cancel_ids(
        &self,
        store: &Store,
        actor: &str,
    ) -> anyhow::Result<(Cancelled, Vec<JobFilter>)> {
        let mut result = Cancelled {
            cancelled: 0,
            unchanged: Vec::new(),
        };
        let mut filters = Vec::new();
        for job in found(store, &self.ids).await? {
            if store
                .obligations()
                .cancel(&job.key(), &self.reason, actor)
                .await?
            {
                result.cancelled += 1;
            } else {
                result.unchanged.push(job.id);
            }
            filters.push(JobFilter {
                id: Some(job.id),
                kind: Some(job.kind),
                connection: Some(job.connection),
                ..JobFilter::default()
            });
        }
        Ok((result, filters))
    }

    async fn cancel_scope(
        &self,
        store: &Store,
        actor: &str,
    ) -> anyhow::Result<(Cancelled, Vec<JobFilter>)> {
        let mut result = Cancelled {
            cancelled: 0,
            unchanged: Vec::new(),
        };
        let connections = match (&self.connection, &self.tenant) {
            (Some(given), _) => vec![directory::connection(store, None, given).await?],
            (None, Some(given)) => {
                let tenant = directory::tenant(store, given).await?;
                store
                    .connections()
                    .list(Some(tenant.id), EVERYTHING)
                    .await?
            }
            (None, None) => store.connections().list(None, EVERYTHING).await?,
        };
        for one in &connections {
            result.cancelled += store
                .obligations()
                .cancel_connection(one.tenant, one.id, self.kind, &self.reason, actor)
                .await?;
        }
        Ok((
            result,
            connections
                .iter()
                .map(|one| of_connection(one.id, self.kind))
                .collect(),
        ))
    }
}

fn of_connection(connection: ConnectionId, kind: Option<JobKind>) -> JobFilter {
    JobFilter {
        kind,
        connection: Some(connection),
        ..JobFilter::default()
    }
}

async fn withdraw(session: &Session, filters: &[JobFilter]) -> anyhow::Result<()> {
    let queues = Queues::new(session.broker().await?);
    for filter in filters {
        for queue in queues.each() {
            if filter.kind.is_none_or(|kind| kind.class() == queue.class()) {
                queue.cancel(filter).await?;
            }
        }
    }
    Ok(())
}

impl Answer for Cancelled {
    fn for_people(&self, _: bool) -> String {
        let plural = if self.cancelled == 1 { "" } else { "s" };
        let mut text = format!("{} job{plural} cancelled\n", self.cancelled);
        for id in &self.unchanged {
            text += &format!("{id} had ended already\n");
        }
        text
    }
}
