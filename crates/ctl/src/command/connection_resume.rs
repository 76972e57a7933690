//! `bulkhead connection resume`

use bulkhead_store::ConnectionState;

use crate::{
    moved::{Moved, MovedEntry},
    queues::Queues,
    scope::Scope,
    session::Session,
};

/// Works for a paused connection, or for all of a tenant, again
///
/// A fresh access token is owed at once. What the pause withdrew stays withdrawn: the next night catches up, or
/// `bulkhead enqueue sync` does now.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bulkhead connection resume --connection acme/shop-eu
  bulkhead connection resume --tenant acme && bulkhead enqueue sync --tenant acme")]
pub(crate) struct ConnectionResume {
    #[command(flatten)]
    scope: Scope,
}

impl ConnectionResume {
    pub(super) async fn run(self, session: &mut Session) -> anyhow::Result<()> {
        let store = session.store().await?;
        let queues = Queues::new(session.broker().await?);
        let connections = self.scope.connections(&store).await?;
        let mut moved = Moved::default();
        for one in &connections {
            // The queue first: once Postgres says active, work is owed that must not be held.
            if matches!(one.state, ConnectionState::Paused | ConnectionState::Active) {
                for queue in queues.each() {
                    queue.resume_lane(one.id).await?;
                }
            }
            let resumed = store
                .connections()
                .resume(one.tenant, one.id, session.actor())
                .await?;
            moved.add(MovedEntry::resumed(one, resumed));
        }
        session.show(&moved)
    }
}
