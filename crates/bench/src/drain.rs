//! Throughput of the whole path: enqueue, and one worker process that drains.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{enqueue, jobs, redis_server::PrivateRedis};

/// Seconds for all jobs, and what the thread of Redis that runs commands used for them.
pub(crate) struct Path {
    pub(crate) enqueue_s: f64,
    pub(crate) drain_s: f64,
    pub(crate) redis_enqueue_s: f64,
    pub(crate) redis_drain_s: f64,
}

/// Enqueues jobs over `lanes` connections, then lets one worker process run them all.
pub(crate) async fn measure(
    redis: &PrivateRedis,
    jobs: usize,
    lanes: usize,
    concurrency: usize,
) -> anyhow::Result<Path> {
    let cpu_before = redis.cpu_s().await?;
    let jobs = jobs::spread(0, jobs, lanes);
    let enqueue = enqueue::enqueue(&redis.broker, &jobs).await?;
    let cpu_enqueued = redis.cpu_s().await?;
    let worker = WorkerProcess::start(redis, concurrency, false)?;
    let drain = drained(redis, jobs.len() as u64).await?;
    let cpu_drained = redis.cpu_s().await?;
    worker.end()?;
    Ok(Path {
        enqueue_s: enqueue.as_secs_f64(),
        drain_s: drain.as_secs_f64(),
        redis_enqueue_s: cpu_enqueued - cpu_before,
        redis_drain_s: cpu_drained - cpu_enqueued,
    })
}

/// The time between the first job that is gone and the last.
async fn drained(redis: &PrivateRedis, all: u64) -> anyhow::Result<Duration> {
    while redis.living().await? == all {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let started = Instant::now();
    while redis.living().await? > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(started.elapsed())
}

/// `broker-bench work` as a child.
pub(crate) struct WorkerProcess(Child);

impl WorkerProcess {
    pub(crate) fn start(
        redis: &PrivateRedis,
        concurrency: usize,
        hold: bool,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("work")
            .env("REDIS_URL", redis.url())
            .arg(format!("--concurrency={concurrency}"))
            .args(hold.then_some("--hold"))
            .stdin(Stdio::null());
        let child = command.spawn().context("cannot start a worker process")?;
        Ok(Self(child))
    }

    /// Lets it drain.
    pub(crate) fn end(mut self) -> anyhow::Result<()> {
        let id = i32::try_from(self.0.id())?;
        kill(Pid::from_raw(id), Signal::SIGTERM)?;
        self.0.wait()?;
        Ok(())
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        // Already ended, unless a measurement failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
