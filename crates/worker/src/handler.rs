//! What a class of workers implements.

use std::future::Future;

use bulkhead_broker::Lease;
use bulkhead_domain::Job;
use tokio_util::sync::CancellationToken;

use crate::outcome::Outcome;

/// Runs the jobs of one class.
///
/// The future is dropped when the lease is lost or the job is cancelled: everything it changes must be in a
/// transaction, so that dropping it rolls back.
pub trait Handler: Send + Sync + 'static {
    /// Runs one attempt.
    fn handle(&self, context: JobContext) -> impl Future<Output = Outcome> + Send;

    /// Told before a job becomes a dead letter, so that Postgres says so too.
    fn give_up(&self, context: &JobContext, reason: &str) -> impl Future<Output = ()> + Send;
}

/// One attempt.
#[derive(Debug, Clone)]
pub struct JobContext {
    /// What to do.
    pub job: Job,
    /// The right to do it.
    pub lease: Lease,
    /// From 1; crashes and snoozes do not count.
    pub attempt: u32,
    /// Workers that died with the job since it last got on.
    pub crashes: u32,
    /// Set when the process drains: snooze at the next good place.
    pub drain: CancellationToken,
}
