//! Fetches what the handlers have room for, shard after shard, and sleeps on the wake-up when there is nothing.

use std::{sync::Arc, time::Duration};

use bulkhead_broker::{
    Acknowledgement, BootInstant, Broker, FetchRequest, Leased, Outcome as LeaseOutcome,
};
use bulkhead_service::Outage;
use tokio::sync::mpsc::{Sender, UnboundedSender};
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::{attempt::Delivery, handler::JobContext, options::WorkerOptions, running::Running};

/// Jobs in one fetch, at most.
pub(crate) const BATCH: usize = 64;

/// The longest sleep without a wake-up: bounds the harm of a lost one.
const LONGEST_SLEEP: Duration = Duration::from_secs(2);

/// Between two tries while Redis is away.
const PAUSE: Duration = Duration::from_millis(250);

pub(crate) struct Fetcher {
    pub(crate) broker: Broker,
    pub(crate) options: Arc<WorkerOptions>,
    pub(crate) running: Arc<Running>,
    pub(crate) deliveries: Sender<Delivery>,
    pub(crate) acknowledge: UnboundedSender<Acknowledgement>,
    pub(crate) drain: CancellationToken,
    pub(crate) overdue: CancellationToken,
}

impl Fetcher {
    /// Runs until the drain begins; then the channel closes.
    pub(crate) async fn run(self) {
        let drain = self.drain.clone();
        let wakes = self.broker.wakes();
        let mut rounds = Rounds {
            sequences: vec![0; usize::from(self.broker.shards())],
            next: 0,
            outage: Outage::new("Redis (fetching)"),
        };
        while !drain.is_cancelled() {
            let mark = wakes.mark();
            // Not cancelled in the middle of a fetch: what it brings must be given back.
            let round = self.round(&mut rounds).await;
            let sleep = match round {
                Round::Full => continue,
                Round::Drained => return,
                Round::Empty(wake) => wake.min(LONGEST_SLEEP),
                Round::Away => {
                    pause(&drain, PAUSE).await;
                    continue;
                }
            };
            tokio::select! {
                () = drain.cancelled() => {}
                _ = wakes.wait(&mark, sleep) => {}
            }
        }
    }

    /// Visits every shard once, beginning where the last round left off.
    async fn round(&self, rounds: &mut Rounds) -> Round {
        let shards = self.broker.shards();
        let mut wake = LONGEST_SLEEP;
        let mut found = false;
        for _ in 0..shards {
            let Some(room) = self.room().await else {
                return Round::Drained;
            };
            let shard = rounds.next;
            let sequence = rounds.sequences[usize::from(shard)];
            let asked_at = BootInstant::now();
            let request = FetchRequest {
                worker: &self.options.id,
                shard,
                sequence,
                max: room.min(BATCH),
            };
            let fetched = match self.broker.fetch(&request).await {
                Ok(fetched) => fetched,
                Err(error) => {
                    rounds.outage.down(&error);
                    return Round::Away;
                }
            };
            rounds.outage.up();
            rounds.sequences[usize::from(shard)] += 1;
            rounds.next = (shard + 1) % shards;
            wake = wake.min(fetched.next_wake.unwrap_or(LONGEST_SLEEP));
            for id in &fetched.undecodable {
                error!(job.id = %id, "a job that cannot be read is now a dead letter");
            }
            found |= !fetched.leased.is_empty();
            for leased in fetched.leased {
                self.deliver(leased, asked_at);
            }
        }
        if found {
            Round::Full
        } else {
            Round::Empty(wake)
        }
    }

    /// How many jobs the channel has room for, once it has any; `None` when the drain began.
    async fn room(&self) -> Option<usize> {
        tokio::select! {
            biased;
            () = self.drain.cancelled() => None,
            // This is the only sender, so the room that is seen here is there until it is used.
            slot = self.deliveries.reserve() => {
                drop(slot.ok()?);
                Some(self.deliveries.capacity())
            }
        }
    }

    fn deliver(&self, leased: Leased, asked_at: BootInstant) {
        let Leased {
            job,
            lease,
            attempt,
            ..
        } = leased;
        let visibility = self.broker.visibility_timeout();
        let stop = self.running.add(&lease, asked_at, visibility);
        let delivery = Delivery {
            context: JobContext {
                job,
                lease,
                attempt,
                drain: self.drain.clone(),
            },
            stop,
            overdue: self.overdue.clone(),
        };
        if let Err(refused) = self.deliveries.try_send(delivery) {
            self.give_back(refused.into_inner());
        }
    }

    fn give_back(&self, delivery: Delivery) {
        let _closed = self.acknowledge.send(Acknowledgement {
            lease: delivery.context.lease,
            outcome: LeaseOutcome::Release,
        });
    }
}

/// Where the next fetch goes.
struct Rounds {
    /// Per shard: the number that makes a repeated fetch the same fetch.
    sequences: Vec<u64>,
    next: u16,
    outage: Outage,
}

/// What one visit of every shard came to.
enum Round {
    Full,
    /// Nothing now; the earliest parked or delayed job wakes after this long.
    Empty(Duration),
    Away,
    Drained,
}

async fn pause(drain: &CancellationToken, time: Duration) {
    tokio::select! {
        () = drain.cancelled() => {}
        () = tokio::time::sleep(time) => {}
    }
}
