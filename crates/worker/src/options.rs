//! How one worker process runs.

use std::time::Duration;

use bulkhead_domain::{Backoff, WorkerId};

/// How one worker process runs.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// The name on its leases; no other living worker has it.
    pub id: WorkerId,
    /// How many jobs run at a time.
    pub concurrency: usize,
    /// How long running jobs may go on after the drain began, before they are cancelled and given back.
    pub drain_timeout: Duration,
    /// After this many failed attempts a job becomes a dead letter.
    pub max_attempts: u32,
    /// When a failed attempt runs again.
    pub backoff: Backoff,
}
