//! Fetches what the handlers have room for: from the shard that has been due the longest, and nothing while none is.

use std::{future::Future, sync::Arc, time::Duration};

use bulkhead_broker::{
    BootInstant, Broker, FetchError, FetchRequest, Fetched, Leased, RenewError, Renewed, WakeMark,
    Wakes,
};
use bulkhead_service::crash_point;
use futures_util::FutureExt;
use jiff::Timestamp;
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
};

/// Jobs in one fetch, at most.
const BATCH: usize = 64;

/// The longest time that a shard is not looked at: bounds the harm of a lost wake-up.
const LONGEST_SLEEP: Duration = Duration::from_secs(2);

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
    pub(crate) async fn run(mut self) {
        let mut shards = Shards::new(&self.broker);
        let mut brought = Brought::default();
        loop {
            // What one visit brought is delivered while Redis is busy with the next, if there is one.
            if self.room_beside(&brought) == 0 || !shards.is_due() {
                self.deliver_all(&mut brought);
            }
            let Some(room) = self.room(&brought).await else {
                break;
            };
            if !shards.is_due() {
                self.gathered.leave_to_fetcher([]);
            }
            if self.before_drain(shards.wait()).await.is_none() {
                break;
            }
            self.gathered.leave_to_fetcher(shards.all_due());
            let Some(shard) = shards.due() else { continue };
            // Not dropped when the drain begins: what it brings must be given back.
            let visit = self.visit(shard, room);
            let (visited, ()) = tokio::join!(visit, async { self.deliver_all(&mut brought) });
            match visited {
                Ok(more) => {
                    brought = more;
                    self.contact.answered();
                }
                Err(away) => {
                    shard.failed();
                    self.gathered.leave_to_fetcher([]);
                    let pause = tokio::time::sleep(self.contact.failed(&away));
                    let _ = self.before_drain(pause).await;
                }
            }
        }
        self.deliver_all(&mut brought);
    }

    /// How many jobs there is room for besides what was brought, once there is any; `None` when the drain began.
    async fn room(&self, brought: &Brought) -> Option<usize> {
        if self.slots.available_permits() == 0 {
            self.gathered.leave_to_fetcher([]);
        }
        let slot = self.before_drain(self.slots.acquire()).await?.ok()?;
        drop(slot);
        Some(self.room_beside(brought).clamp(1, BATCH))
    }

    fn room_beside(&self, brought: &Brought) -> usize {
        let slots = self.slots.available_permits();
        slots.saturating_sub(brought.leased.len())
    }

    async fn before_drain<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        self.drain.run_until_cancelled(future).await
    }

    async fn visit(&self, shard: &mut Shard, max: usize) -> Result<Brought, Away> {
        let repeated = std::mem::replace(&mut shard.unanswered, true);
        let asked_at = BootInstant::now();
        let request = FetchRequest {
            worker: &self.options.id,
            shard: shard.number,
            sequence: shard.sequence,
            max,
        };
        let fetched = self.fetch(&request).await;
        if let Err(FetchError::Stale { .. }) = fetched {
            shard.sequence = first_sequence();
        }
        let fetched = fetched?;
        if !fetched.leased.is_empty() {
            crash_point::reach("worker.fetched");
        }
        for id in &fetched.undecodable {
            error!(job.id = %id, "a job that cannot be read is now a dead letter");
        }
        let brought = if repeated {
            self.renewed(shard.number, fetched.leased).await?
        } else {
            let leased = fetched.leased;
            Brought { leased, asked_at }
        };
        self.gathered.answered(shard.number);
        let wake = fetched.next_wake.unwrap_or(LONGEST_SLEEP);
        shard.answered(wake.min(LONGEST_SLEEP));
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
    async fn renewed(&self, shard: u16, leased: Vec<Leased>) -> Result<Brought, Away> {
        let asked_at = BootInstant::now();
        let leases: Vec<_> = leased.iter().map(|one| one.lease.clone()).collect();
        let answers = self.broker.renew(shard, &leases).await?;
        let mut brought = Brought::default();
        for (one, answer) in leased.into_iter().zip(answers) {
            match answer {
                Renewed::Extended => brought.leased.push(one),
                Renewed::Lost | Renewed::Cancelled => self.acknowledge.release(one.lease),
            }
        }
        brought.asked_at = asked_at;
        Ok(brought)
    }

    fn deliver_all(&self, brought: &mut Brought) {
        for leased in brought.leased.drain(..) {
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

/// What a visit brought, before it is delivered.
struct Brought {
    leased: Vec<Leased>,
    /// The leases last at least from here.
    asked_at: BootInstant,
}

impl Default for Brought {
    fn default() -> Self {
        Self {
            leased: Vec::new(),
            asked_at: BootInstant::now(),
        }
    }
}

/// Redis did not answer; the fetch is repeated with the same sequence number.
#[derive(Debug, thiserror::Error)]
enum Away {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Renew(#[from] RenewError),
}

/// When to look where.
struct Shards {
    wakes: Wakes,
    /// Up to here the wake-ups are in `shards`.
    mark: WakeMark,
    shards: Vec<Shard>,
}

struct Shard {
    number: u16,
    /// Makes a repeated fetch the same fetch.
    sequence: u64,
    /// The last fetch may have been carried out without this process knowing what it brought.
    unanswered: bool,
    /// When there may be something to fetch.
    due: Instant,
    /// In a row.
    failures: u32,
}

impl Shards {
    fn new(broker: &Broker) -> Self {
        let wakes = broker.wakes();
        let sequence = first_sequence();
        let due = Instant::now();
        let shards = (0..broker.shards()).map(|number| Shard {
            number,
            sequence,
            unanswered: false,
            due,
            failures: 0,
        });
        Self {
            mark: wakes.mark(),
            wakes,
            shards: shards.collect(),
        }
    }

    /// Waits until a shard is due or has woken.
    async fn wait(&mut self) {
        let next = self.shards.iter().map(|shard| shard.due).min();
        let sleep = next.map_or(LONGEST_SLEEP, |due| due.duration_since(Instant::now()));
        if !sleep.is_zero() {
            let _woken = self.wakes.wait(&self.mark, sleep).await;
        }
        self.note_woken();
    }

    fn note_woken(&mut self) {
        // Marked before it is asked who woke: a wake-up in between is seen twice, and none is missed.
        let mark = self.wakes.mark();
        let woken = self.wakes.wait(&self.mark, LONGEST_SLEEP).now_or_never();
        let Some(woken) = woken else { return };
        self.mark = mark;
        let now = Instant::now();
        for number in woken {
            if let Some(shard) = self.shards.get_mut(usize::from(number)) {
                shard.due = shard.due.min(now);
            }
        }
    }

    fn is_due(&self) -> bool {
        let now = Instant::now();
        self.shards.iter().any(|shard| shard.due <= now)
    }

    /// The shards that are due now: they are visited one after the other, unless there is no more room.
    fn all_due(&self) -> impl Iterator<Item = u16> {
        let now = Instant::now();
        let due = self.shards.iter().filter(move |shard| shard.due <= now);
        due.map(|shard| shard.number)
    }

    /// The shard that has been due the longest: an idle worker goes straight to the one that woke, a busy one goes
    /// round.
    fn due(&mut self) -> Option<&mut Shard> {
        let now = Instant::now();
        let first = self.shards.iter_mut().min_by_key(|shard| shard.due)?;
        (first.due <= now).then_some(first)
    }
}

impl Shard {
    fn answered(&mut self, wake: Duration) {
        self.sequence += 1;
        self.unanswered = false;
        self.failures = 0;
        self.due = Instant::now() + wake;
    }

    /// It may be this shard's node of a cluster alone that is away: after the second try the others have their turn.
    fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
        if self.failures > 1 {
            self.due = Instant::now() + LONGEST_SLEEP;
        }
    }
}

/// Greater than what an earlier process of the same name used.
fn first_sequence() -> u64 {
    u64::try_from(Timestamp::now().as_microsecond()).unwrap_or(0)
}
