//! Work that waits in the queue, asked for now.

use bulkhead_broker::{EnqueueError, Enqueued};
use bulkhead_domain::{ObligationState, Priority};
use bulkhead_store::Obligation;

use crate::queues::Queues;

/// Lets the queued or delayed job of an obligation that is enqueued run at once, with the more urgent of its priority
/// and `priority`. A job that Redis has lost is enqueued again.
///
/// # Errors
/// Redis failed, or is full.
pub async fn forward(
    queues: &Queues,
    owed: &Obligation,
    priority: Priority,
) -> Result<Enqueued, EnqueueError> {
    let mut job = owed.job(None);
    job.priority = job.priority.min(priority);
    let mut answer = Enqueued::Exists;
    if owed.state == ObligationState::Enqueued {
        for queue in queues.of(owed.kind) {
            let answers = queue.enqueue_forward(&[(job.clone(), None)]).await?;
            answer = answers.into_iter().next().unwrap_or(answer);
        }
    }
    Ok(answer)
}
