//! `broker-bench permit-worker`: a process that asks for permits and spends them at the simulator.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context;
use bulkhead_broker::{
    Broker, BrokerClock, BrokerOptions, FetchRequest, Lease, Permits, TestClock,
};
use bulkhead_domain::{ConnectionId, Margins, WorkerId};
use serde::de::DeserializeOwned;
use tokio::{
    sync::{
        RwLock, RwLockWriteGuard,
        mpsc::{UnboundedReceiver, unbounded_channel},
    },
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    caller::Caller,
    protocol::{Command, Counts, Lane, Reply, Spec},
    shape::SHAPES,
};
use crate::{
    jobs,
    queue::{self, CLASS, answer},
};

/// Leases outlive every step of a clock: what is measured are permits.
pub(crate) const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(7_200);

/// What the callers of a process share.
pub(crate) struct Shared {
    pub(crate) spec: Spec,
    pub(crate) http: reqwest::Client,
    /// Permits by scale and jitter: each has a pace of its own.
    pub(crate) permits: HashMap<(u64, u64), Permits>,
    pub(crate) leases: Mutex<HashMap<ConnectionId, Lease>>,
    pub(crate) counts: Mutex<Counts>,
    /// Written by who wants nothing to be asked.
    pub(crate) asking: RwLock<()>,
    pub(crate) stop: CancellationToken,
}

struct Worker {
    shared: Arc<Shared>,
    broker: Broker,
    clock: TestClock,
    sequence: u64,
    callers: JoinSet<()>,
}

pub(crate) async fn run() -> anyhow::Result<()> {
    let mut lines = lines();
    let spec: Spec = read(&mut lines).await?.context("no spec")?;
    let mut worker = Worker::start(spec).await?;
    let shared = Arc::clone(&worker.shared);
    let mut held: Option<RwLockWriteGuard<'_, ()>> = None;
    loop {
        let command = tokio::select! {
            command = read(&mut lines) => command?,
            // A workload that ends.
            Some(_) = worker.callers.join_next() => {
                if worker.callers.is_empty() {
                    say(&Reply::Done)?;
                }
                continue;
            }
        };
        match command {
            Some(Command::Lease) => worker.lease().await?,
            Some(Command::Start {
                at_us,
                demand,
                window_s,
            }) => {
                for lane in 0..shared.spec.lanes.len() {
                    for shape in 0..SHAPES.len() {
                        let caller = Caller::new(&shared, lane, shape);
                        worker.callers.spawn(caller.run(at_us, demand, window_s));
                    }
                }
                continue;
            }
            Some(Command::Hold) => held = Some(shared.asking.write().await),
            Some(Command::Shift { by_us }) => shift(&worker.clock, by_us),
            Some(Command::GoOn) => held = None,
            // The coordinator has gone.
            None => return Ok(()),
            Some(Command::Stop) => break,
        }
        say(&Reply::Done)?;
    }
    drop(held);
    shared.stop.cancel();
    while worker.callers.join_next().await.is_some() {}
    let counts = std::mem::take(&mut *shared.counts.lock().unwrap_or_else(PoisonError::into_inner));
    say(&Reply::Ended(counts))
}

impl Worker {
    async fn start(spec: Spec) -> anyhow::Result<Self> {
        // Plain HTTP does not use it, but the client asks for one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = TestClock::running();
        shift(&clock, spec.shift_us);
        let options = options(&spec.redis_url, spec.shards, clock.clone());
        let broker = Broker::connect(&options, CLASS)
            .await
            .context("cannot use Redis")?;
        let permits = permits(&broker, &spec);
        let shared = Arc::new(Shared {
            http: reqwest::Client::builder()
                .no_proxy()
                .tcp_nodelay(true)
                .build()?,
            permits,
            leases: Mutex::default(),
            counts: Mutex::default(),
            asking: RwLock::default(),
            stop: CancellationToken::new(),
            spec,
        });
        Ok(Self {
            shared,
            broker,
            clock,
            sequence: 0,
            callers: JoinSet::new(),
        })
    }

    /// Fetches until there is a lease for each connection.
    async fn lease(&mut self) -> anyhow::Result<()> {
        let worker = WorkerId::new(self.shared.spec.worker.clone());
        let wanted = self.shared.spec.lanes.iter().map(Lane::connection);
        let mut missing: std::collections::HashSet<_> = wanted.collect();
        while !missing.is_empty() {
            for shard in 0..self.broker.shards() {
                self.sequence += 1;
                let request = FetchRequest {
                    worker: &worker,
                    shard,
                    sequence: self.sequence,
                    max: missing.len(),
                };
                // Right after Redis was lost an answer may fail: ask again.
                let Ok(fetched) = self.broker.fetch(&request).await else {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                };
                let mut leases = self
                    .shared
                    .leases
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                for leased in fetched.leased {
                    missing.remove(&leased.job.connection);
                    leases.insert(leased.job.connection, leased.lease);
                }
            }
        }
        Ok(())
    }
}

/// The broker's options of every process of a run.
pub(crate) fn options(url: &str, shards: u16, clock: TestClock) -> BrokerOptions {
    BrokerOptions {
        visibility_timeout: VISIBILITY_TIMEOUT,
        clock: BrokerClock::Injected(clock),
        ..queue::options(url, shards)
    }
}

pub(crate) fn shift(clock: &TestClock, by_us: i64) {
    let by = Duration::from_micros(by_us.unsigned_abs());
    if by_us < 0 {
        clock.rewind(by);
    } else {
        clock.advance(by);
    }
}

fn permits(broker: &Broker, spec: &Spec) -> HashMap<(u64, u64), Permits> {
    let mut permits = HashMap::new();
    for shape in &SHAPES {
        for lane in &spec.lanes {
            let margins = Margins {
                jitter: Duration::from_millis(lane.jitter_ms + spec.allowance_ms),
                ..Margins::default()
            };
            permits
                .entry((shape.scale.to_bits(), lane.jitter_ms))
                .or_insert_with(|| Permits::new(broker, margins, shape.scale));
        }
    }
    permits
}

impl Lane {
    pub(crate) fn connection(&self) -> ConnectionId {
        jobs::connection(u128::from(self.number))
    }
}

/// The lines of standard input, until it ends.
fn lines() -> UnboundedReceiver<String> {
    let (sender, lines) = unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

async fn read<T: DeserializeOwned>(
    lines: &mut UnboundedReceiver<String>,
) -> anyhow::Result<Option<T>> {
    let line = lines.recv().await;
    Ok(line.map(|line| serde_json::from_str(&line)).transpose()?)
}

fn say(reply: &Reply) -> anyhow::Result<()> {
    answer(&serde_json::to_string(reply)?);
    Ok(())
}
