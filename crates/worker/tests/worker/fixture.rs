//! A private Redis or a cluster, workers on it, and a handler that does what the test says.

use std::{
    io::Write,
    sync::{Arc, Condvar, Mutex, OnceLock},
    time::Duration,
};

use bulkhead_broker::{Broker, BrokerClock, BrokerOptions, Counts, JobState, Stats, TestClock};
use bulkhead_devstack::{RedisCluster, RedisOptions, RedisServer};
use bulkhead_domain::{
    ApplicationId, Backoff, Class, ConnectionId, Job, JobId, JobKind, JobParams, Priority,
    TenantId, WorkerId,
};
use bulkhead_worker::{Handler, JobContext, Outcome, Queue, RunError, WorkerOptions, run};
use jiff::{Timestamp, civil::date};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) const VISIBILITY: Duration = Duration::from_secs(1);

/// How long a test waits for what must come.
const LONG: Duration = Duration::from_secs(20);

pub(crate) struct Fixture<R = RedisServer> {
    pub(crate) redis: R,
    pub(crate) options: BrokerOptions,
    pub(crate) broker: Broker,
    events: UnboundedReceiver<Event>,
    handler: Script,
}

pub(crate) struct Worker {
    pub(crate) drain: CancellationToken,
    pub(crate) ended: JoinHandle<Result<(), RunError>>,
}

impl Fixture {
    /// Redis's own clock; leases of a second.
    pub(crate) async fn start() -> Self {
        Self::with(RedisOptions::default(), |_| ()).await
    }

    /// Leases that never expire: Redis's time stands still.
    pub(crate) async fn frozen() -> Self {
        Self::with(RedisOptions::default(), |options| {
            let clock = TestClock::frozen_at(Timestamp::now());
            options.clock = BrokerClock::Injected(clock);
        })
        .await
    }

    pub(crate) async fn with(redis: RedisOptions, change: impl FnOnce(&mut BrokerOptions)) -> Self {
        let redis = RedisServer::start(redis).await.unwrap();
        let options = BrokerOptions::new(redis.url().into());
        Self::over(redis, options, change).await
    }
}

impl Fixture<RedisCluster> {
    pub(crate) async fn on_a_cluster(change: impl FnOnce(&mut BrokerOptions)) -> Self {
        let redis = RedisCluster::start().await.unwrap();
        let mut options = BrokerOptions::new(redis.url().into());
        options.nodes = redis.addresses();
        Self::over(redis, options, change).await
    }
}

impl<R> Fixture<R> {
    async fn over(
        redis: R,
        mut options: BrokerOptions,
        change: impl FnOnce(&mut BrokerOptions),
    ) -> Self {
        options.visibility_timeout = VISIBILITY;
        change(&mut options);
        let broker = Broker::connect(&options, Class::Sync).await.unwrap();
        let (sender, events) = unbounded_channel();
        Self {
            redis,
            options,
            broker,
            events,
            handler: Script(sender),
        }
    }

    pub(crate) async fn worker(&self, name: &str, concurrency: usize) -> Worker {
        self.worker_at(&self.options, name, concurrency, |_| ())
            .await
    }

    pub(crate) async fn worker_at(
        &self,
        at: &BrokerOptions,
        name: &str,
        concurrency: usize,
        change: impl FnOnce(&mut WorkerOptions),
    ) -> Worker {
        let mut options = WorkerOptions {
            id: WorkerId::new(name.to_owned()),
            concurrency,
            drain_timeout: LONG,
            max_attempts: 2,
            backoff: Backoff {
                base: Duration::from_millis(1),
                max: Duration::from_millis(1),
            },
        };
        change(&mut options);
        let queue = Queue::connect(at, Class::Sync).await.unwrap();
        let drain = CancellationToken::new();
        let ended = tokio::spawn(run(queue, options, self.handler.clone(), drain.clone()));
        Worker { drain, ended }
    }

    pub(crate) async fn enqueue(&self, jobs: &[Job]) {
        self.broker.enqueue(jobs).await.unwrap();
    }

    pub(crate) async fn event(&mut self) -> Event {
        timeout(LONG, self.events.recv()).await.unwrap().unwrap()
    }

    pub(crate) fn no_event(&mut self) {
        assert!(self.events.try_recv().is_err());
    }

    pub(crate) async fn started(&mut self) -> Run {
        match self.event().await {
            Event::Started(run) => run,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn stopped(&mut self) -> JobId {
        match self.event().await {
            Event::Stopped(id) => id,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn state(&self, job: &Job) -> Option<JobState> {
        let entry = self.broker.job(job.id).await.unwrap();
        entry.map(|entry| entry.state)
    }

    /// Waits until the job's state is as wanted; `None` if it is nowhere.
    pub(crate) async fn until(&self, job: &Job, wanted: impl Fn(Option<&JobState>) -> bool) {
        eventually(async || wanted(self.state(job).await.as_ref())).await;
    }

    pub(crate) async fn stats(&self) -> Stats {
        self.broker.stats().await.unwrap()
    }

    /// Waits until nothing is queued, delayed, or leased, and Redis says so.
    pub(crate) async fn until_empty(&self) {
        let empty = |stats: Stats| stats.total == Counts::default();
        eventually(async || self.broker.stats().await.is_ok_and(empty)).await;
    }
}

impl Worker {
    pub(crate) async fn drain(self) {
        self.drain.cancel();
        self.end().await;
    }

    pub(crate) async fn end(self) {
        timeout(LONG, self.ended).await.unwrap().unwrap().unwrap();
    }
}

/// Asks again and again until it is so.
pub(crate) async fn eventually(so: impl AsyncFn() -> bool) {
    let asking = async {
        let mut again = tokio::time::interval(Duration::from_millis(5));
        while !so().await {
            again.tick().await;
        }
    };
    timeout(LONG, asking).await.unwrap();
}

/// What the handler tells the test.
#[derive(Debug)]
pub(crate) enum Event {
    Started(Run),
    /// Its future was dropped before it had an outcome.
    Stopped(JobId),
    GaveUp(JobId, String),
}

/// A run of the handler, which waits for the test.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) context: JobContext,
    orders: UnboundedSender<Order>,
}

enum Order {
    End(Outcome),
    Panic,
    Block(Arc<Gate>),
}

impl Run {
    pub(crate) fn end(self, outcome: Outcome) {
        self.order(Order::End(outcome));
    }

    pub(crate) fn panic(self) {
        self.order(Order::Panic);
    }

    /// Blocks the thread of the handlers until the test drops this, also by failing.
    pub(crate) fn block(&self) -> Blocked {
        let blocked = Blocked(Arc::default());
        self.order(Order::Block(Arc::clone(&blocked.0)));
        blocked
    }

    pub(crate) fn id(&self) -> JobId {
        self.context.job.id
    }

    fn order(&self, order: Order) {
        self.orders.send(order).ok().unwrap();
    }
}

#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn wait(&self) {
        let open = self.open.lock().unwrap();
        drop(self.opened.wait_while(open, |open| !*open).unwrap());
    }
}

pub(crate) struct Blocked(Arc<Gate>);

impl Drop for Blocked {
    fn drop(&mut self) {
        *self.0.open.lock().unwrap() = true;
        self.0.opened.notify_all();
    }
}

#[derive(Clone)]
struct Script(UnboundedSender<Event>);

struct Guard<'a> {
    id: JobId,
    events: Option<&'a UnboundedSender<Event>>,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if let Some(events) = self.events {
            let _ = events.send(Event::Stopped(self.id));
        }
    }
}

impl Handler for Script {
    async fn handle(&self, context: JobContext) -> Outcome {
        let mut guard = Guard {
            id: context.job.id,
            events: Some(&self.0),
        };
        let (orders, mut ordered) = unbounded_channel();
        let _ = self.0.send(Event::Started(Run { context, orders }));
        loop {
            match ordered.recv().await {
                Some(Order::Block(gate)) => gate.wait(),
                Some(Order::End(outcome)) => {
                    guard.events = None;
                    return outcome;
                }
                Some(Order::Panic) => {
                    guard.events = None;
                    panic!("as the test said");
                }
                // The test let go of it: it runs until it is stopped.
                None => std::future::pending().await,
            }
        }
    }

    async fn give_up(&self, context: &JobContext, reason: &str) {
        let gave_up = Event::GaveUp(context.job.id, reason.to_owned());
        let _ = self.0.send(gave_up);
    }
}

/// Job `n` of connection `n`; connections 0 to 3 lie in four shards.
pub(crate) fn job(n: u128) -> Job {
    Job {
        id: JobId::new(Uuid::from_u128(0x1b00 + n)),
        kind: JobKind::Sync,
        tenant: TenantId::new(Uuid::from_u128(0x7e)),
        connection: ConnectionId::new(Uuid::from_u128(n)),
        application: ApplicationId::new(Uuid::from_u128(0xa)),
        day: date(2026, 11, 24),
        priority: Priority::NIGHT,
        params: JobParams::default(),
        trace: None,
    }
}

pub(crate) fn jobs(count: u128) -> Vec<Job> {
    (0..count).map(job).collect()
}

pub(crate) fn retry() -> Outcome {
    Outcome::Retry {
        after: None,
        error: "no answer".to_owned(),
    }
}

pub(crate) fn snooze(wait: Duration) -> Outcome {
    Outcome::Snooze {
        wait,
        reason: "Amazon says later",
    }
}

/// What this process logs, at INFO and above.
pub(crate) struct Logs(Arc<Mutex<Vec<u8>>>);

impl Logs {
    pub(crate) fn capture() -> &'static Self {
        static LOGS: OnceLock<Logs> = OnceLock::new();
        LOGS.get_or_init(|| {
            let buffer = Arc::new(Mutex::new(Vec::new()));
            let writer = Arc::clone(&buffer);
            tracing_subscriber::fmt()
                .with_ansi(false)
                .with_writer(move || Writer(Arc::clone(&writer)))
                .init();
            Self(buffer)
        })
    }

    pub(crate) fn count(&self, text: &str) -> usize {
        let logged = self.0.lock().unwrap();
        String::from_utf8_lossy(&logged).matches(text).count()
    }
}

struct Writer(Arc<Mutex<Vec<u8>>>);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
