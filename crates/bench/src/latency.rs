//! From a single enqueue to the start of its handler, on an idle worker.

use std::time::Instant;

use anyhow::Context;
use tokio::sync::mpsc::unbounded_channel;

use crate::{
    jobs,
    redis_server::PrivateRedis,
    work::{Work, Worker},
};

/// Milliseconds of each of `samples` jobs, enqueued one after the other.
pub(crate) async fn measure(redis: &PrivateRedis, samples: usize) -> anyhow::Result<Vec<f64>> {
    let (sender, mut starts) = unbounded_channel();
    let worker = Worker::quiet(&redis.options, 32, Work::Tell(sender)).await?;
    let mut waits = Vec::with_capacity(samples);
    for job in jobs::spread(0, samples, 1_000) {
        let asked = Instant::now();
        redis.broker.enqueue(std::slice::from_ref(&job)).await?;
        let (_, started) = starts.recv().await.context("the worker ended")?;
        waits.push(1e3 * (started - asked).as_secs_f64());
        while redis.living().await? > 0 {
            tokio::task::yield_now().await;
        }
    }
    worker.end().await?;
    // The first ones load scripts and open connections.
    waits.drain(..samples.min(20));
    Ok(waits)
}
