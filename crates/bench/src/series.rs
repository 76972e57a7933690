//! How costs grow: choosing the next job with the number of lanes, acknowledging with the number of jobs in flight.

use std::time::Instant;

use anyhow::Context;
use bulkhead_broker::{Acknowledgement, FetchRequest, Leased, Outcome};
use bulkhead_domain::WorkerId;

use crate::{
    enqueue, jobs,
    redis_server::{PrivateRedis, SHARDS},
    sample::median,
};

/// A size, and what one call costs at it.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Point {
    pub(crate) size: usize,
    pub(crate) median_us: f64,
}

/// One worker's fetches, a shard after the other.
struct Fetcher<'a> {
    redis: &'a PrivateRedis,
    worker: WorkerId,
    sequence: u64,
}

/// The time of fetching one job among `lanes` lanes of as many tenants as ten lanes each make.
pub(crate) async fn choose(redis: &PrivateRedis, lanes: usize) -> anyhow::Result<Point> {
    redis.flush().await?;
    enqueue::enqueue(&redis.broker, &jobs::spread(0, 2 * lanes.max(1_000), lanes)).await?;
    let mut fetcher = Fetcher::new(redis);
    let mut times = Vec::new();
    for _ in 0..400 {
        let started = Instant::now();
        let leased = fetcher.fetch(1).await?;
        times.push(1e6 * started.elapsed().as_secs_f64());
        acknowledge(redis, &leased).await?;
    }
    Ok(Point {
        size: lanes,
        median_us: median(&times),
    })
}

/// The time of acknowledging 64 jobs while `in_flight` others are in flight.
pub(crate) async fn acknowledge_among(
    redis: &PrivateRedis,
    in_flight: usize,
) -> anyhow::Result<Point> {
    redis.flush().await?;
    let rounds = 200;
    let jobs = in_flight + 64 * rounds;
    enqueue::enqueue(&redis.broker, &jobs::spread(0, 2 * jobs, 1_000)).await?;
    let mut fetcher = Fetcher::new(redis);
    let mut held = 0;
    while held < in_flight {
        held += fetcher.fetch(256.min(in_flight - held)).await?.len();
    }
    let mut times = Vec::new();
    for _ in 0..rounds {
        let leased = fetcher.fetch(64).await?;
        let started = Instant::now();
        acknowledge(redis, &leased).await?;
        times.push(1e6 * started.elapsed().as_secs_f64());
    }
    Ok(Point {
        size: in_flight,
        median_us: median(&times),
    })
}

impl<'a> Fetcher<'a> {
    fn new(redis: &'a PrivateRedis) -> Self {
        Self {
            redis,
            worker: WorkerId::new("bench/series".to_owned()),
            sequence: 0,
        }
    }

    async fn fetch(&mut self, max: usize) -> anyhow::Result<Vec<Leased>> {
        self.sequence += 1;
        let shard = u16::try_from(self.sequence % u64::from(SHARDS))?;
        let request = FetchRequest {
            worker: &self.worker,
            shard,
            sequence: self.sequence,
            max,
        };
        Ok(self.redis.broker.fetch(&request).await?.leased)
    }
}

async fn acknowledge(redis: &PrivateRedis, leased: &[Leased]) -> anyhow::Result<()> {
    let shard = leased.first().context("nothing to fetch")?.lease.shard();
    let acknowledgements: Vec<_> = leased
        .iter()
        .map(|one| Acknowledgement {
            lease: one.lease.clone(),
            outcome: Outcome::Complete,
        })
        .collect();
    redis.broker.acknowledge(shard, &acknowledgements).await?;
    Ok(())
}
