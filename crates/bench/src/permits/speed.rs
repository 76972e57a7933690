//! What a permit costs, and what a bucket takes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use bulkhead_broker::{
    Broker, FetchRequest, Lease, PermitAnswer, PermitSubject, Permits, TestClock,
};
use bulkhead_domain::{FenceEpoch, Margins, Operation, WorkerId, operation::SEARCH_ORDERS};
use futures_util::{StreamExt, future::try_join_all, stream::FuturesUnordered};
use redis::{Script, aio::MultiplexedConnection};
use serde::Serialize;
use tokio::sync::mpsc::unbounded_channel;

use super::{grantor::Grantor, worker};
use crate::{
    enqueue, jobs,
    queue::CLASS,
    redis_server::{PrivateRedis, SHARDS},
    sample::{count_f64, median, per_s, quantile},
};

/// Loops at a time, each with a connection of its own that has one question under way: nothing is pipelined.
const LOOPS: usize = 32;

/// Connections of sellers, where their number does not matter.
const FEW: usize = 1_000;

/// Runs of floor and permits by turns; medians are told.
const RUNS: usize = 5;

/// Permits asked for in a second when waits are measured.
const PACE_PER_S: usize = 5_000;

/// A grant outlives a measurement: this process is too busy to renew one in time.
const GRANT: Duration = Duration::from_secs(600);

/// What permits cost.
#[derive(Debug, Serialize)]
pub(crate) struct Speed {
    /// Of a script that reads one key and writes it, over as many connections, in the same run.
    pub(crate) floor_per_s: f64,
    pub(crate) permits_per_s: f64,
    pub(crate) permits_of_floor: f64,
    /// Among the live buckets of `connections`.
    pub(crate) permits_per_s_among_many: f64,
    pub(crate) redis_us_per_permit: f64,
    pub(crate) floor_p99_ms_at_5000_per_s: f64,
    pub(crate) p50_ms_at_5000_per_s: f64,
    pub(crate) p99_ms_at_5000_per_s: f64,
    pub(crate) connections: usize,
    pub(crate) bytes_per_bucket: f64,
}

struct Asker {
    permits: Vec<Permits>,
    leases: Vec<Lease>,
    /// One for each loop.
    connections: Vec<Broker>,
    /// Ends with the last asker.
    grantor: Arc<Grantor>,
}

/// The least that a script which keeps a bucket does: reads one key, and writes it.
struct Floor {
    script: Script,
    connections: Vec<MultiplexedConnection>,
}

/// Measures with one bucket in each of `connections`.
pub(crate) async fn measure(
    redis: &PrivateRedis,
    connections: usize,
    permits: usize,
) -> anyhow::Result<Speed> {
    redis.flush().await?;
    let few = Asker::start(redis, 1e9).await?;
    let floor = Floor::start(redis).await?;
    few.ask(10_000, FEW).await?;
    floor.ask(10_000).await?;
    let (mut floors, mut rates, mut cpu_s) = (Vec::new(), Vec::new(), 0.0);
    let in_a_run = permits / RUNS;
    for _ in 0..RUNS {
        floors.push(per_s(in_a_run, floor.ask(in_a_run).await?.as_secs_f64()));
        let cpu_before = redis.cpu_s().await?;
        rates.push(per_s(in_a_run, few.ask(in_a_run, FEW).await?.as_secs_f64()));
        cpu_s += redis.cpu_s().await? - cpu_before;
    }
    let ratios: Vec<f64> = rates
        .iter()
        .zip(&floors)
        .map(|(rate, floor)| rate / floor)
        .collect();
    let floor_waits = pace(2 * PACE_PER_S, |n| floor.one(n % LOOPS, n)).await?;
    let waits = pace(2 * PACE_PER_S, |n| few.one(n % LOOPS, n % FEW)).await?;

    // At Amazon's pace a bucket lives for minutes after a call.
    let before = redis.memory_bytes().await?;
    let live = few.at_scale(1.0);
    live.ask(connections, connections).await?;
    let bytes_per_bucket = (redis.memory_bytes().await? - before) / count_f64(connections);
    let again = live.ask(permits, connections).await?;
    Ok(Speed {
        floor_per_s: median(&floors),
        permits_per_s: median(&rates),
        permits_of_floor: median(&ratios),
        permits_per_s_among_many: per_s(permits, again.as_secs_f64()),
        redis_us_per_permit: 1e6 * cpu_s / count_f64(RUNS * in_a_run),
        floor_p99_ms_at_5000_per_s: quantile(&floor_waits, 0.99),
        p50_ms_at_5000_per_s: quantile(&waits, 0.5),
        p99_ms_at_5000_per_s: quantile(&waits, 0.99),
        connections,
        bytes_per_bucket,
    })
}

/// Asks `count` times as fast as it goes: `LOOPS` loops, each of which waits for every answer. `ask` is told the loop's
/// number and the question's.
async fn closed_loops<F, A>(count: usize, ask: F) -> anyhow::Result<Duration>
where
    F: Fn(usize, usize) -> A,
    A: Future<Output = anyhow::Result<()>>,
{
    let ask = &ask;
    let started = Instant::now();
    try_join_all((0..LOOPS).map(|first| async move {
        for number in (first..count).step_by(LOOPS) {
            ask(first, number).await?;
        }
        anyhow::Ok(())
    }))
    .await?;
    Ok(started.elapsed())
}

/// Asks `count` times at an even pace, whether earlier questions have been answered or not; how long after its time
/// each answer came, ms.
async fn pace<F, A>(count: usize, ask: F) -> anyhow::Result<Vec<f64>>
where
    F: Fn(usize) -> A,
    A: Future<Output = anyhow::Result<()>>,
{
    let (sender, mut due) = unbounded_channel();
    // Timers of the runtime tick in milliseconds.
    std::thread::spawn(move || {
        let started = Instant::now();
        for number in 0..count {
            let at = started + Duration::from_secs_f64(count_f64(number) / count_f64(PACE_PER_S));
            #[allow(clippy::disallowed_methods)] // a thread of its own
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            if sender.send((number, at)).is_err() {
                return;
            }
        }
    });
    let timed = async |number: usize, at: Instant| {
        ask(number).await?;
        anyhow::Ok(1e3 * at.elapsed().as_secs_f64())
    };
    let (mut asked, mut waits) = (FuturesUnordered::new(), Vec::with_capacity(count));
    let mut all_asked = false;
    while !all_asked || !asked.is_empty() {
        tokio::select! {
            next = due.recv(), if !all_asked => match next {
                Some((number, at)) => asked.push(timed(number, at)),
                None => all_asked = true,
            },
            Some(wait) = asked.next() => waits.push(wait?),
        }
    }
    Ok(waits)
}

impl Floor {
    async fn start(redis: &PrivateRedis) -> anyhow::Result<Self> {
        let connections = (0..LOOPS).map(|_| redis.another_connection());
        Ok(Self {
            script: Script::new(include_str!("../../lua/floor_permit.lua")),
            connections: try_join_all(connections).await?,
        })
    }

    async fn ask(&self, count: usize) -> anyhow::Result<Duration> {
        closed_loops(count, |first, number| self.one(first, number)).await
    }

    async fn one(&self, connection: usize, number: usize) -> anyhow::Result<()> {
        let mut call = self.script.key(format!("{{floor}}:{}", number % FEW));
        let mut redis = self.connections[connection].clone();
        call.arg(number).invoke_async::<()>(&mut redis).await?;
        Ok(())
    }
}

impl Asker {
    /// With permits whose time runs `scale` times as fast as Amazon's, so that none is refused.
    async fn start(redis: &PrivateRedis, scale: f64) -> anyhow::Result<Self> {
        let clock = TestClock::running();
        let options = worker::options(&redis.url(), SHARDS, clock.clone());
        let broker = Broker::connect(&options, CLASS).await?;
        let grantor = Grantor::start(&broker, &clock, GRANT).await?;
        enqueue::enqueue(&broker, &jobs::spread(0, FEW, FEW)).await?;
        let mut connections = Vec::new();
        for _ in 0..LOOPS {
            connections.push(Broker::connect(&options, CLASS).await?);
        }
        Ok(Self {
            permits: permits(&connections, scale),
            leases: leases(&broker).await?,
            connections,
            grantor: Arc::new(grantor),
        })
    }

    /// Over the same connections, at another pace.
    fn at_scale(&self, scale: f64) -> Self {
        Self {
            permits: permits(&self.connections, scale),
            leases: self.leases.clone(),
            connections: self.connections.clone(),
            grantor: Arc::clone(&self.grantor),
        }
    }

    /// Asks for `count` permits as fast as it goes, in turn for each of `connections`.
    async fn ask(&self, count: usize, connections: usize) -> anyhow::Result<Duration> {
        closed_loops(count, |first, number| self.one(first, number % connections)).await
    }

    async fn one(&self, permits: usize, connection: usize) -> anyhow::Result<()> {
        let permits = &self.permits[permits];
        let connection = jobs::connection(connection as u128);
        let shard = usize::from(self.connections[0].shard_of(connection));
        let subject = PermitSubject {
            application: jobs::application(0),
            tenant: jobs::tenant(0),
            connection,
            epoch: FenceEpoch::NEVER_FENCED,
        };
        let operation: &'static Operation = &SEARCH_ORDERS;
        let answer = permits
            .request(&self.leases[shard], &subject, operation)
            .await?;
        ensure!(
            matches!(answer, PermitAnswer::Granted(_)),
            "a permit was refused: {answer:?}"
        );
        Ok(())
    }
}

/// Without a margin, which would be most of a bucket that fills within microseconds.
fn permits(connections: &[Broker], scale: f64) -> Vec<Permits> {
    let margins = Margins {
        jitter: Duration::ZERO,
        ..Margins::default()
    };
    let each = connections.iter();
    each.map(|broker| Permits::new(broker, margins, scale))
        .collect()
}

/// A lease of each shard.
async fn leases(broker: &Broker) -> anyhow::Result<Vec<Lease>> {
    let worker = WorkerId::new("bench/speed".to_owned());
    let mut leases = Vec::new();
    for shard in 0..broker.shards() {
        let request = FetchRequest {
            worker: &worker,
            shard,
            sequence: 1,
            max: 1,
        };
        let mut fetched = broker.fetch(&request).await?;
        leases.push(fetched.leased.pop().context("a shard without a job")?.lease);
    }
    Ok(leases)
}
