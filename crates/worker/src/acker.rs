//! Acknowledges whatever has gathered: one script a shard, no lingering.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bulkhead_broker::{Acknowledged, Acknowledgement, Broker};
use bulkhead_service::Outage;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::running::Running;

/// How many are read from the channel at a time; the broker sends up to 256 as one script.
const BATCH: usize = 256;

/// Between two tries while Redis is away.
const PAUSE: Duration = Duration::from_millis(250);

/// Runs until the channel is closed and empty, or until `abandon` is cancelled while Redis is away.
pub(crate) async fn run(
    broker: Broker,
    running: Arc<Running>,
    mut gathered: UnboundedReceiver<Acknowledgement>,
    abandon: CancellationToken,
) {
    let mut batch = Vec::with_capacity(BATCH);
    while gathered.recv_many(&mut batch, BATCH).await > 0 {
        for (shard, acknowledgements) in by_shard(&mut batch) {
            if !deliver(&broker, shard, &acknowledgements, &abandon).await {
                warn!(
                    count = acknowledgements.len(),
                    "not acknowledged: Redis is away; these jobs run again"
                );
            }
            for acknowledgement in &acknowledgements {
                running.remove(&acknowledgement.lease);
            }
        }
    }
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

/// Repeats until Redis answers; repeating is harmless. False if it was abandoned.
async fn deliver(
    broker: &Broker,
    shard: u16,
    acknowledgements: &[Acknowledgement],
    abandon: &CancellationToken,
) -> bool {
    let outage = Outage::new("Redis (acknowledging)");
    loop {
        match broker.acknowledge(shard, acknowledgements).await {
            Ok(answers) => {
                outage.up();
                report(acknowledgements, &answers);
                return true;
            }
            Err(error) => outage.down(&error),
        }
        tokio::select! {
            () = abandon.cancelled() => return false,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
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
