//! Work that waits in the queue, asked for now.

use bulkhead_broker::Enqueued;
use bulkhead_domain::{ObligationState, Priority};
use bulkhead_store::{Obligation, Store};

use crate::{queues::Queues, session::Session};

/// Moves jobs forward, and says so in the audit log.
pub(crate) struct Forward<'s> {
    store: &'s Store,
    queues: Queues,
    actor: &'s str,
}

impl<'s> Forward<'s> {
    /// # Errors
    /// Redis cannot be reached.
    pub(crate) async fn new(session: &'s Session, store: &'s Store) -> anyhow::Result<Self> {
        Ok(Self {
            store,
            queues: Queues::new(session.broker().await?),
            actor: session.actor(),
        })
    }

    /// Lets the queued or delayed job of an obligation that is enqueued run at once, with the more urgent of its
    /// priority and `priority`. A job that Redis has lost is enqueued again.
    ///
    /// # Errors
    /// Postgres failed, and the job is where it was; or Redis failed, or is full.
    pub(crate) async fn job(
        &self,
        owed: &Obligation,
        priority: Priority,
    ) -> anyhow::Result<Enqueued> {
        if owed.state != ObligationState::Enqueued {
            return Ok(Enqueued::Exists);
        }
        let mut job = owed.job(None);
        job.priority = job.priority.min(priority);
        let obligations = self.store.obligations();
        obligations
            .note_forward(&owed.key(), job.priority, self.actor)
            .await?;
        let mut answer = Enqueued::Exists;
        for queue in self.queues.of(owed.kind) {
            let answers = queue.enqueue_forward(&[(job.clone(), None)]).await?;
            answer = answers.into_iter().next().unwrap_or(answer);
        }
        Ok(answer)
    }
}
