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
use futures_util::future::try_join_all;
use serde::Serialize;

use super::{grantor::Grantor, worker};
use crate::{
    enqueue, jobs,
    queue::CLASS,
    redis_server::{PrivateRedis, SHARDS},
    sample::{count_f64, per_s, quantile},
};

/// Loops at a time, each with a connection of its own that has one question under way: nothing is pipelined.
const LOOPS: usize = 32;

/// Permits asked for in a second when waits are measured.
const PACE_PER_S: usize = 5_000;

/// A grant outlives a measurement: this process is too busy to renew one in time.
const GRANT: Duration = Duration::from_secs(600);

/// What permits cost.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Speed {
    /// Without other buckets, and among the live buckets of `connections`.
    pub(crate) permits_per_s: f64,
    pub(crate) permits_per_s_among_many: f64,
    pub(crate) redis_us_per_permit: f64,
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

/// Measures with one bucket in each of `connections`.
pub(crate) async fn measure(
    redis: &PrivateRedis,
    connections: usize,
    permits: usize,
) -> anyhow::Result<Speed> {
    redis.flush().await?;
    let few = Asker::start(redis, 1e9).await?;
    let mut speed = Speed {
        connections,
        ..Speed::default()
    };
    few.ask(10_000, 1_000).await?;
    let cpu_before = redis.cpu_s().await?;
    speed.permits_per_s = per_s(permits, few.ask(permits, 1_000).await?.as_secs_f64());
    speed.redis_us_per_permit = 1e6 * (redis.cpu_s().await? - cpu_before) / count_f64(permits);
    let waits = few.pace(2 * PACE_PER_S).await?;
    speed.p50_ms_at_5000_per_s = quantile(&waits, 0.5);
    speed.p99_ms_at_5000_per_s = quantile(&waits, 0.99);

    // At Amazon's pace a bucket lives for minutes after a call.
    let before = redis.memory_bytes().await?;
    let live = few.at_scale(1.0);
    live.ask(connections, connections).await?;
    speed.bytes_per_bucket = (redis.memory_bytes().await? - before) / count_f64(connections);
    let again = live.ask(permits, connections).await?;
    speed.permits_per_s_among_many = per_s(permits, again.as_secs_f64());
    Ok(speed)
}

impl Asker {
    /// With permits whose time runs `scale` times as fast as Amazon's, so that none is refused.
    async fn start(redis: &PrivateRedis, scale: f64) -> anyhow::Result<Self> {
        let clock = TestClock::running();
        let options = worker::options(&redis.url(), SHARDS, clock.clone());
        let broker = Broker::connect(&options, CLASS).await?;
        let grantor = Grantor::start(&broker, &clock, GRANT).await?;
        enqueue::enqueue(&broker, &jobs::spread(0, 1_000, 1_000)).await?;
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
        let started = Instant::now();
        try_join_all(
            self.permits
                .iter()
                .enumerate()
                .map(|(first, permits)| async move {
                    for number in (first..count).step_by(LOOPS) {
                        self.one(permits, number % connections).await?;
                    }
                    anyhow::Ok(())
                }),
        )
        .await?;
        Ok(started.elapsed())
    }

    /// Asks for `count` permits at an even pace; how long each took, ms.
    async fn pace(&self, count: usize) -> anyhow::Result<Vec<f64>> {
        let started = Instant::now();
        let loops = self
            .permits
            .iter()
            .enumerate()
            .map(|(first, permits)| async move {
                let mut waits = Vec::new();
                for number in (first..count).step_by(LOOPS) {
                    let due = started
                        + Duration::from_secs_f64(count_f64(number) / count_f64(PACE_PER_S));
                    tokio::time::sleep_until(due.into()).await;
                    let asked = Instant::now();
                    self.one(permits, number % 1_000).await?;
                    waits.push(1e3 * asked.elapsed().as_secs_f64());
                }
                anyhow::Ok(waits)
            });
        Ok(try_join_all(loops).await?.concat())
    }

    async fn one(&self, permits: &Permits, connection: usize) -> anyhow::Result<()> {
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
