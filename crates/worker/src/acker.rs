//! Acknowledges whatever has gathered: one script a shard, no lingering.

use std::{collections::HashMap, slice, sync::Arc};

use bulkhead_broker::{AcknowledgeError, Acknowledged, Acknowledgement, Broker};
use bulkhead_service::crash_point;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{contact::Contact, running::Running};

/// How many are read from the channel at a time; the broker sends up to 256 as one script.
const BATCH: usize = 256;

/// The only one that acknowledges.
pub(crate) struct Acker {
    pub(crate) broker: Broker,
    pub(crate) contact: Contact,
    pub(crate) running: Arc<Running>,
    /// Cancelled when nothing waits for Redis any more.
    pub(crate) abandon: CancellationToken,
}

impl Acker {
    /// Runs until the channel is closed and empty. A lease counts as held, and is renewed, until Redis has answered.
    pub(crate) async fn run(mut self, mut gathered: UnboundedReceiver<Acknowledgement>) {
        let abandon = self.abandon.clone();
        let mut batch = Vec::with_capacity(BATCH);
        while gathered.recv_many(&mut batch, BATCH).await > 0 {
            crash_point::reach("worker.acknowledging");
            for (shard, acknowledgements) in by_shard(&mut batch) {
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

fn by_shard(batch: &mut Vec<Acknowledgement>) -> HashMap<u16, Vec<Acknowledgement>> {
    let mut shards: HashMap<u16, Vec<Acknowledgement>> = HashMap::new();
    for acknowledgement in batch.drain(..) {
        shards
            .entry(acknowledgement.lease.shard())
            .or_default()
            .push(acknowledgement);
    }
    shards
}

/// A refusal is news: this worker ran a job that another one has, or that is gone.
fn report(acknowledgements: &[Acknowledgement], answers: &[Acknowledged]) {
    for (acknowledgement, answer) in acknowledgements.iter().zip(answers) {
        if matches!(answer, Acknowledged::Fenced | Acknowledged::NotLeased) {
            let lease = &acknowledgement.lease;
            metrics::counter!("bulkhead_acknowledgements_refused_total").increment(1);
            info!(job.id = %lease.job_id(), lease.token = %lease.token(), answer = ?answer, "acknowledgement refused");
        }
    }
}
