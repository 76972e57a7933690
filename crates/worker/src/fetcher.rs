//! Fetches what the handlers have room for: from the shards that have been due the longest, and nothing while none is.

use std::{sync::Arc, time::Duration};

use bulkhead_broker::{
    BootInstant, Broker, FetchError, FetchRequest, Fetched, Leased, RenewError, Renewed,
};
use bulkhead_service::crash_point;
use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::{Semaphore, mpsc::UnboundedSender},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::{
    acker,
    attempt::{AcknowledgeLayer, Delivery},
    contact::Contact,
    gathered::Gathered,
    handler::JobContext,
    options::WorkerOptions,
    running::Running,
    shards::{LONGEST_SLEEP, Shards, Visit},
};

/// Jobs in one fetch, at most.
const BATCH: usize = 128;

/// How long acknowledgements wait for the fetcher's next visit while none of those under way is answered.
const PATIENCE: Duration = Duration::from_millis(50);

/// Visits under way at a time: Redis has the next before it has answered the last.
const VISITS: usize = 4;

/// The only one that fetches, and the only one that takes slots.
pub(crate) struct Fetcher {
    pub(crate) broker: Broker,
    pub(crate) contact: Contact,
    pub(crate) options: Arc<WorkerOptions>,
    pub(crate) running: Arc<Running>,
    /// One for each job that may run; a delivery holds one until its handler has ended.
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) deliveries: UnboundedSender<Delivery>,
    pub(crate) acknowledge: AcknowledgeLayer,
    /// Acknowledgements of the shard that is visited go along.
    pub(crate) gathered: Arc<Gathered>,
    pub(crate) drain: CancellationToken,
    pub(crate) overdue: CancellationToken,
}

impl Fetcher {
    /// Runs until the drain begins; then the channel closes.
    pub(crate) async fn run(self) {
        let mut contact = self.contact.clone();
        let mut shards = Shards::new(&self.broker);
        let mut visits = FuturesUnordered::new();
        let (mut most, mut away) = (VISITS, None);
        let mut last_answer = Instant::now();
        while !self.drain.is_cancelled() {
            if visits.is_empty() {
                last_answer = Instant::now();
            }
            let room = self.room(&shards);
            let is_idle = visits.is_empty() && (room == 0 || !shards.is_due());
            let hangs = last_answer.elapsed() >= PATIENCE;
            // Before the visits begin: they take along what has gathered.
            if is_idle || hangs {
                self.gathered.leave_to_fetcher([]);
            } else {
                self.gathered.leave_to_fetcher(shards.all_due());
            }
            while away.is_none()
                && visits.len() < most
                && let Some(visit) = shards.begin(self.room(&shards).min(BATCH))
            {
                visits.push(self.visit(visit));
            }
            let patience = tokio::time::sleep_until(last_answer + PATIENCE);
            tokio::select! {
                biased;
                () = self.drain.cancelled() => break,
                Some((visit, ended)) = visits.next() => {
                    last_answer = Instant::now();
                    match ended {
                        Ok(brought) => {
                            most = VISITS;
                            contact.answered();
                            shards.answered(&visit, brought.wake);
                            self.deliver_all(brought);
                        }
                        Err(error) => {
                            let is_stale = matches!(error, Away::Fetch(FetchError::Stale { .. }));
                            shards.failed(&visit, is_stale);
                            away = Some(error);
                        }
                    }
                }
                () = patience, if !visits.is_empty() && !hangs => {}
                slot = self.slots.acquire(), if visits.is_empty() && room == 0 => drop(slot),
                () = shards.wait(), if away.is_none() && visits.len() < most && room > 0 => {}
            }
            // A connection that broke has broken for all visits that were under way: that is one failure. What comes
            // next goes alone, until something is answered.
            if visits.is_empty()
                && let Some(error) = away.take()
            {
                most = 1;
                self.gathered.leave_to_fetcher([]);
                let pause = tokio::time::sleep(contact.failed(&error));
                let _ = self.drain.run_until_cancelled(pause).await;
            }
        }
        self.gathered.leave_to_fetcher([]);
        // Not dropped: what they bring must be given back.
        while let Some((_, ended)) = visits.next().await {
            if let Ok(brought) = ended {
                self.deliver_all(brought);
            }
        }
    }

    /// How many jobs there is room for, besides those that visits under way may bring.
    fn room(&self, shards: &Shards) -> usize {
        let slots = self.slots.available_permits();
        slots.saturating_sub(shards.reserved())
    }

    async fn visit(&self, visit: Visit) -> (Visit, Result<Brought, Away>) {
        let brought = self.bring(&visit).await;
        if brought.is_ok() {
            self.gathered.answered(visit.shard);
        }
        (visit, brought)
    }

    async fn bring(&self, visit: &Visit) -> Result<Brought, Away> {
        let asked_at = BootInstant::now();
        let request = FetchRequest {
            worker: &self.options.id,
            shard: visit.shard,
            sequence: visit.sequence,
            max: visit.max,
        };
        let fetched = self.fetch(&request).await?;
        if !fetched.leased.is_empty() {
            crash_point::reach("worker.fetched");
        }
        for id in &fetched.undecodable {
            error!(job.id = %id, "a job that cannot be read is now a dead letter");
        }
        let mut brought = Brought {
            leased: fetched.leased,
            asked_at,
            wake: fetched.next_wake.unwrap_or(LONGEST_SLEEP),
        };
        if visit.is_repeated {
            self.renew(visit.shard, &mut brought).await?;
        }
        Ok(brought)
    }

    /// Fetches, and takes along what can be acknowledged there.
    async fn fetch(&self, request: &FetchRequest<'_>) -> Result<Fetched, FetchError> {
        let shard = request.shard;
        let acknowledgements = self.gathered.take(shard);
        if acknowledgements.is_empty() {
            return self.broker.fetch(request).await;
        }
        crash_point::reach("worker.acknowledging");
        let turn = self
            .broker
            .acknowledge_and_fetch(&acknowledgements, request)
            .await;
        let answers = turn.as_ref().ok().and_then(|it| it.acknowledged.as_ref());
        let Some(answers) = answers else {
            self.gathered.give_back(shard, acknowledgements);
            return Ok(turn?.fetched);
        };
        crash_point::reach("worker.acknowledged");
        acker::report(&acknowledgements, answers);
        for acknowledgement in &acknowledgements {
            self.running.remove(&acknowledgement.lease);
        }
        Ok(turn?.fetched)
    }

    /// Leases that a lost reply held have been running since: they are renewed first, or given back.
    async fn renew(&self, shard: u16, brought: &mut Brought) -> Result<(), Away> {
        brought.asked_at = BootInstant::now();
        let leases: Vec<_> = brought.leased.iter().map(|one| one.lease.clone()).collect();
        let answers = self.broker.renew(shard, &leases).await?;
        let leased = std::mem::take(&mut brought.leased);
        for (one, answer) in leased.into_iter().zip(answers) {
            match answer {
                Renewed::Extended => brought.leased.push(one),
                Renewed::Lost | Renewed::Cancelled => self.acknowledge.release(one.lease),
            }
        }
        Ok(())
    }

    fn deliver_all(&self, brought: Brought) {
        for leased in brought.leased {
            self.deliver(leased, brought.asked_at);
        }
    }

    fn deliver(&self, leased: Leased, asked_at: BootInstant) {
        let visibility = self.broker.visibility_timeout();
        let stops = self.running.add(&leased.lease, asked_at, visibility);
        let slot = Arc::clone(&self.slots).try_acquire_owned();
        let (Ok(slot), false) = (slot, self.drain.is_cancelled()) else {
            self.acknowledge.release(leased.lease);
            return;
        };
        let delivery = Delivery {
            context: JobContext {
                job: leased.job,
                lease: leased.lease,
                attempt: leased.attempt,
                crashes: leased.crashes,
                drain: self.drain.clone(),
            },
            waited: leased.waited,
            stops,
            overdue: self.overdue.clone(),
            slot,
        };
        if let Err(refused) = self.deliveries.send(delivery) {
            self.acknowledge.release(refused.0.context.lease);
        }
    }
}

impl Drop for Fetcher {
    /// However it ends: nothing waits for it any more.
    fn drop(&mut self) {
        self.gathered.leave_to_fetcher([]);
    }
}

/// What a visit brought.
struct Brought {
    leased: Vec<Leased>,
    /// The leases last at least from here.
    asked_at: BootInstant,
    /// When there may be more.
    wake: Duration,
}

/// Redis did not answer; the fetch is repeated with the same sequence number.
#[derive(Debug, thiserror::Error)]
enum Away {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Renew(#[from] RenewError),
}
