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
            match abandon.run_until_cancelled(delivery).await {
                Some(Ok(())) => gathered.answered(shard),
                Some(Err(away)) => {
                    gathered.put_off(shard, acknowledgements);
                    let pause = tokio::time::sleep(self.contact.failed(&away));
                    let _ = abandon.run_until_cancelled(pause).await;
                    continue;
                }
                None => {
                    let count = acknowledgements.len();
                    warn!(count, "not acknowledged: Redis is away; the jobs run again");
                }
            }
            crash_point::reach("worker.acknowledged");
            for acknowledgement in &acknowledgements {
                self.running.remove(&acknowledgement.lease);
            }
        }
    }

    /// Sends them together, and one by one if the script fails on one of them: the others are not held up by it.
    ///
    /// # Errors
    /// Redis does not answer; repeating all of them is harmless.
    async fn deliver(
        &mut self,
        shard: u16,
        acknowledgements: &[Acknowledgement],
    ) -> Result<(), AcknowledgeError> {
        match self.send(shard, acknowledgements).await {
            Err(error) if script_failed(&error) => {}
            answered => return answered,
        }
        for one in acknowledgements {
            match self.send(shard, slice::from_ref(one)).await {
                Err(error) if script_failed(&error) => {
                    let job_id = one.lease.job_id();
                    error!(job.id = %job_id, error = %error, "cannot be acknowledged; its lease will expire");
                }
                answered => answered?,
            }
        }
        Ok(())
    }

    async fn send(
        &mut self,
        shard: u16,
        acknowledgements: &[Acknowledgement],
    ) -> Result<(), AcknowledgeError> {
        let answers = self.broker.acknowledge(shard, acknowledgements).await?;
        self.contact.answered();
        report(acknowledgements, &answers);
        Ok(())
    }
}

/// Redis that loads, is read-only, busy or away answers with codes of their own.
fn script_failed(error: &AcknowledgeError) -> bool {
    let AcknowledgeError::Redis(source) = error;
    matches!(source.code(), Some("ERR" | "WRONGTYPE"))
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bulkhead_broker::{BrokerOptions, FetchRequest, Outcome};
    use bulkhead_devstack::RedisCluster;
    use bulkhead_domain::{
        ApplicationId, Class, ConnectionId, Job, JobId, JobKind, JobParams, Priority, TenantId,
        WorkerId,
    };
    use bulkhead_service::Outage;
    use jiff::civil::date;
    use uuid::Uuid;

    use super::*;

    const SHARDS: u16 = 7;

    fn job(shard: u16) -> Job {
        let id = Uuid::from_u128(shard.into());
        Job {
            id: JobId::new(id),
            kind: JobKind::Sync,
            tenant: TenantId::new(Uuid::nil()),
            connection: ConnectionId::new(id),
            application: ApplicationId::new(Uuid::nil()),
            day: date(2026, 11, 24),
            priority: Priority::NIGHT,
            params: JobParams::default(),
            trace: None,
        }
    }

    /// A job of each shard, done.
    async fn ended(broker: &Broker) -> Vec<Acknowledgement> {
        let jobs: Vec<_> = (0..SHARDS).map(job).collect();
        broker.enqueue(&jobs).await.unwrap();
        let worker = WorkerId::new("a".to_owned());
        let mut all = Vec::new();
        for shard in 0..SHARDS {
            let request = FetchRequest {
                worker: &worker,
                shard,
                sequence: 1,
                max: 1,
            };
            let lease = broker.fetch(&request).await.unwrap().leased.remove(0).lease;
            let outcome = Outcome::Complete;
            all.push(Acknowledgement { lease, outcome });
        }
        all
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_node_of_a_cluster_that_is_away_holds_up_no_acknowledgement_of_another() {
        let mut cluster = RedisCluster::start().await.unwrap();
        for node in cluster.nodes() {
            node.command("CONFIG SET cluster-require-full-coverage no")
                .unwrap();
        }
        let mut options = BrokerOptions::new(cluster.url().into());
        options.nodes = cluster.addresses();
        options.shards = SHARDS;
        options.response_timeout = Duration::from_millis(500);
        let broker = Broker::connect(&options, Class::Sync).await.unwrap();
        let ended = ended(&broker).await;
        let away = cluster.node_of("{sync.0}").unwrap();
        let node_of = |shard: u16| cluster.node_of(&format!("{{sync.{shard}}}")).unwrap();
        let lives: Vec<bool> = (0..SHARDS).map(|shard| node_of(shard) != away).collect();
        assert!(lives.contains(&true));
        cluster.kill(away);

        let gathered = Arc::new(Gathered::default());
        let running = Arc::new(Running::default());
        let now = bulkhead_broker::BootInstant::now();
        for one in ended {
            running.add(&one.lease, now, Duration::from_secs(3_600));
            gathered.add(one).unwrap();
        }
        let acker = Acker {
            broker: broker.clone(),
            contact: Contact::new(Outage::new("Redis"), options.response_timeout),
            gathered: Arc::clone(&gathered),
            running: Arc::clone(&running),
            abandon: CancellationToken::new(),
        };
        let acker = tokio::spawn(acker.run());
        let dead = lives.iter().filter(|lives| !**lives).count();
        while running.len() > dead {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for shard in running.by_shard().keys() {
            assert!(!lives[usize::from(*shard)], "shard {shard}");
        }
        cluster.restart(away).await.unwrap();
        gathered.close();
        acker.await.unwrap();
        assert_eq!(running.len(), 0);
    }
}
