//! `broker-bench enqueue`.

use std::time::{Duration, Instant};

use anyhow::Context;
use bulkhead_broker::Broker;
use bulkhead_domain::Job;
use futures_util::future::try_join_all;
use jiff::Timestamp;

use crate::{
    floor::LOOPS,
    jobs,
    queue::{self, RedisArgs},
};

#[derive(clap::Args)]
pub(crate) struct EnqueueArgs {
    #[command(flatten)]
    redis: RedisArgs,
    /// How many jobs.
    #[arg(long, short = 'n', default_value_t = 100_000)]
    jobs: usize,
    /// Over how many connections; ten of them make a tenant.
    #[arg(long, default_value_t = 1_000)]
    lanes: usize,
    /// The number of the first job; jobs of one number are the same job. By default one that was never used.
    #[arg(long)]
    first: Option<u64>,
}

/// How many jobs one call of the broker gets, as the scheduler calls it.
pub(crate) const BATCH: usize = 4_096;

pub(crate) async fn run(args: &EnqueueArgs) -> anyhow::Result<()> {
    let broker = queue::connect(&args.redis).await?;
    let first = args.first.map_or_else(unused, u128::from);
    let jobs = jobs::spread(first, args.jobs, args.lanes);
    let took = enqueue(&broker, &jobs).await?;
    queue::answer(&format!("ENQ_SECS {:.6}", took.as_secs_f64()));
    Ok(())
}

/// Enqueues jobs in batches, by as many callers at a time as the floor has; returns the time that it took.
pub(crate) async fn enqueue(broker: &Broker, jobs: &[Job]) -> anyhow::Result<Duration> {
    let started = Instant::now();
    let parts = jobs.chunks(jobs.len().div_ceil(LOOPS).max(1));
    try_join_all(parts.map(|part| enqueue_part(broker, part))).await?;
    Ok(started.elapsed())
}

async fn enqueue_part(broker: &Broker, jobs: &[Job]) -> anyhow::Result<()> {
    for batch in jobs.chunks(BATCH) {
        broker.enqueue(batch).await.context("cannot enqueue")?;
    }
    Ok(())
}

fn unused() -> u128 {
    u128::try_from(Timestamp::now().as_nanosecond()).unwrap_or_default()
}
