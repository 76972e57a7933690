//! How long quiet tenants wait behind a noisy one, against how long they wait alone.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use anyhow::Context;
use bulkhead_domain::{Job, JobId};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::{
    enqueue, jobs,
    redis_server::PrivateRedis,
    sample::median,
    work::{Start, Work, Worker},
};

const QUIET: u128 = 100;
const NOISY_TENANT: u128 = 1_000_000;
const NOISY_LANES: usize = 100;
const CONCURRENCY: usize = 64;

/// Median waits, ms.
pub(crate) struct Fairness {
    pub(crate) alone_ms: f64,
    pub(crate) behind_ms: f64,
}

/// Lets 100 quiet tenants enqueue one job each, alone and behind `noise` jobs of one tenant.
pub(crate) async fn measure(redis: &PrivateRedis, noise: usize) -> anyhow::Result<Fairness> {
    let (sender, mut starts) = unbounded_channel();
    let worker = Worker::quiet(&redis.options, CONCURRENCY, Work::Tell(sender)).await?;
    // Loads the scripts.
    wait_of_quiet(redis, &mut starts, 0).await?;
    let alone_ms = wait_of_quiet(redis, &mut starts, QUIET).await?;
    worker.end().await?;

    enqueue::enqueue(&redis.broker, &noisy(noise)).await?;
    let (sender, mut starts) = unbounded_channel();
    let worker = Worker::quiet(&redis.options, CONCURRENCY, Work::Tell(sender)).await?;
    starts.recv().await.context("the worker ended")?;
    let behind_ms = wait_of_quiet(redis, &mut starts, 2 * QUIET).await?;
    while redis.living().await? > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    worker.end().await?;
    Ok(Fairness {
        alone_ms,
        behind_ms,
    })
}

fn noisy(count: usize) -> Vec<Job> {
    let tenant = jobs::tenant(NOISY_TENANT);
    let lane = |n: usize| jobs::connection(NOISY_TENANT + (n % NOISY_LANES) as u128);
    (0..count)
        .map(|n| jobs::job(1_000_000 + n as u128, tenant, lane(n)))
        .collect()
}

/// Enqueues a job of each quiet tenant; the median of their waits, ms.
async fn wait_of_quiet(
    redis: &PrivateRedis,
    starts: &mut UnboundedReceiver<Start>,
    first: u128,
) -> anyhow::Result<f64> {
    let quiet: Vec<Job> = (0..QUIET)
        .map(|n| jobs::job(first + n, jobs::tenant(n), jobs::connection(n)))
        .collect();
    let mut waiting: HashSet<JobId> = quiet.iter().map(|job| job.id).collect();
    let asked = Instant::now();
    redis.broker.enqueue(&quiet).await?;
    let mut waits = Vec::new();
    while !waiting.is_empty() {
        let (id, started) = starts.recv().await.context("the worker ended")?;
        if waiting.remove(&id) {
            waits.push(1e3 * (started - asked).as_secs_f64());
        }
    }
    Ok(median(&waits))
}
