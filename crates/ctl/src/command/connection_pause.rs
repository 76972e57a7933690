//! `bulkhead connection pause`

use anyhow::Context;
use bulkhead_broker::JobFilter;
use bulkhead_domain::ConnectionId;
use bulkhead_store::ConnectionState;

use crate::{
    moved::{Moved, MovedEntry},
    queues::Queues,
    scope::Scope,
    session::Session,
};

/// Stops working for a connection, or for all of a tenant, until it is resumed
///
/// What is owed is withdrawn; a job that runs can write nothing more. In an incident this is not containment: a request
/// to Amazon that is under way is not taken back.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bulkhead connection pause --connection acme/shop-eu --reason 'seller asked, ticket 4711'
  bulkhead connection pause --tenant acme")]
pub(crate) struct ConnectionPause {
    #[command(flatten)]
    scope: Scope,

    /// Why, for the audit log
    #[arg(long, default_value = "paused by an operator")]
    reason: String,
}

impl ConnectionPause {
    pub(super) async fn run(self, session: &mut Session) -> anyhow::Result<()> {
        let store = session.store().await?;
        let connections = self.scope.connections(&store).await?;
        let mut moved = Moved::default();
        let mut held = Vec::new();
        // Postgres first and by itself: it alone refuses every worker, also while Redis is down.
        for one in &connections {
            let paused = store
                .connections()
                .pause(one.tenant, one.id, &self.reason, session.actor())
                .await?;
            moved.add(MovedEntry::paused(one, paused));
            // Not those that wait for the seller: their lanes would stay held when they are authorized again.
            if paused || one.state == ConnectionState::Paused {
                held.push(one.id);
            }
        }
        session.show(&moved)?;
        hold(session, &held)
            .await
            .context("paused in Postgres, which refuses their jobs; the queue is not told yet: run this again")
    }
}

/// Keeps their jobs in the queue from taking workers' time.
async fn hold(session: &Session, connections: &[ConnectionId]) -> anyhow::Result<()> {
    let queues = Queues::new(session.broker().await?);
    for &one in connections {
        for queue in queues.each() {
            queue.pause_lane(one).await?;
            let its_jobs = JobFilter {
                connection: Some(one),
                ..JobFilter::default()
            };
            queue.cancel(&its_jobs).await?;
        }
    }
    Ok(())
}
