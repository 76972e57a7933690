use std::time::Duration;

use super::reader::Reader;

/// `[worker]`
#[derive(Debug, Clone)]
pub struct Worker {
    /// Jobs that one process runs at the same time.
    pub concurrency: usize,
    /// How long running jobs may take to finish after SIGTERM.
    pub drain_timeout: Duration,
    /// Failed attempts after which a job is a dead letter.
    pub max_attempts: u32,
}

impl Worker {
    pub(super) fn read(reader: &mut Reader) -> Worker {
        Worker {
            concurrency: reader.integer("worker.concurrency", 32, 1..=4_096),
            drain_timeout: reader.milliseconds("worker.drain_timeout_ms", 20_000, 0..=600_000),
            max_attempts: reader.integer("worker.max_attempts", 10, 1..=1_000),
        }
    }
}
