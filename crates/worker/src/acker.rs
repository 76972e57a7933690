//! Acknowledges whatever has gathered: one script a shard, no lingering.

use std::{slice, sync::Arc};

use bulkhead_broker::{AcknowledgeError, Acknowledged, Acknowledgement, Broker};
use bulkhead_service::crash_point;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{contact::Contact, gathered::Gathered, running::Running};

/// The one that acknowledges, but for what the fetcher takes along.
pub(crate) struct Acker {
    pub(crate) broker: Broker,
    pub(crate) contact: Contact,
    pub(crate) gathered: Arc<Gathered>,
    pub(crate) running: Arc<Running>,
    /// Cancelled when nothing waits for Redis any more.
    pub(crate) abandon: CancellationToken,
}

impl Acker {
    /// Runs until nothing more can gather. A lease counts as held, and is renewed, until Redis has answered.
    pub(crate) async fn run(mut self) {
        let abandon = self.abandon.clone();
        let gathered = Arc::clone(&self.gathered);
        while let Some((shard, acknowledgements)) = gathered.next().await {
            crash_point::reach("worker.acknowledging");
            let delivery = self.deliver(shard, &acknowledgements);
            if abandon.run_until_cancelled(delivery).await.is_none() {
                let count = acknowledgements.len();
                warn!(count, "not acknowledged: Redis is away; the jobs run again");
            }
            crash_point::reach("worker.acknowledged");
            for acknowledgement in &acknowledgements {
                self.running.remove(&acknowledgement.lease);
            }
        }
    }

    /// Sends them together, and one by one if the script fails on one of them: the others are not held up by it.
    async fn deliver(&mut self, shard: u16, acknowledgements: &[Acknowledgement]) {
        if self.send(shard, acknowledgements).await.is_ok() {
            return;
        }
        for one in acknowledgements {
            if let Err(refusal) = self.send(shard, slice::from_ref(one)).await {
                let job_id = one.lease.job_id();
                error!(job.id = %job_id, error = %refusal, "cannot be acknowledged; its lease will expire");
            }
        }
    }

    /// Repeats until Redis answers; repeating is harmless.
    ///
    /// # Errors
    /// The script itself failed: it would fail again.
    async fn send(
        &mut self,
        shard: u16,
        acknowledgements: &[Acknowledgement],
    ) -> Result<(), AcknowledgeError> {
        loop {
            match self.broker.acknowledge(shard, acknowledgements).await {
                Ok(answers) => {
                    self.contact.answered();
                    report(acknowledgements, &answers);
                    return Ok(());
                }
                Err(error) if script_failed(&error) => return Err(error),
                Err(error) => tokio::time::sleep(self.contact.failed(&error)).await,
            }
        }
    }
}

/// Redis that loads, is read-only, busy or away answers with codes of their own.
fn script_failed(error: &AcknowledgeError) -> bool {
    let AcknowledgeError::Redis(source) = error;
    source.code() == Some("ERR")
}

/// A refusal is news: this worker ran a job that another one has, or that is gone.
pub(crate) fn report(acknowledgements: &[Acknowledgement], answers: &[Acknowledged]) {
    for (acknowledgement, answer) in acknowledgements.iter().zip(answers) {
        if matches!(answer, Acknowledged::Fenced | Acknowledged::NotLeased) {
            let lease = &acknowledgement.lease;
            metrics::counter!("bulkhead_acknowledgements_refused_total").increment(1);
            info!(job.id = %lease.job_id(), lease.token = %lease.token(), answer = ?answer, "acknowledgement refused");
        }
    }
}
