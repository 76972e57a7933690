//! `broker-bench work`: one worker process.

use std::time::{Duration, Instant};

use anyhow::Context;
use bulkhead_broker::BrokerOptions;
use bulkhead_domain::{Backoff, JobId, WorkerId};
use bulkhead_worker::{Handler, JobContext, Outcome, Queue, WorkerOptions};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc::UnboundedSender,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::queue::{self, CLASS, RedisArgs};

#[derive(clap::Args)]
pub(crate) struct WorkArgs {
    #[command(flatten)]
    redis: RedisArgs,
    /// How many jobs at a time.
    #[arg(long, default_value_t = 256)]
    concurrency: usize,
    /// Handlers never end: the process only holds its leases.
    #[arg(long)]
    hold: bool,
}

pub(crate) async fn run(args: &WorkArgs) -> anyhow::Result<()> {
    let options = queue::options(&args.redis.redis_url, args.redis.shards);
    let work = if args.hold { Work::Hold } else { Work::Nothing };
    let drain = CancellationToken::new();
    let mut stop = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let worker = Worker::start(&options, args.concurrency, work, drain.clone()).await?;
    tokio::select! {
        _ = stop.recv() => {}
        _ = interrupt.recv() => {}
        () = drain.cancelled() => {}
    }
    worker.end().await
}

/// A job and when its handler started.
pub(crate) type Start = (JobId, Instant);

/// What a handler does.
#[derive(Clone)]
pub(crate) enum Work {
    Nothing,
    Hold,
    /// Says when a job started.
    Tell(UnboundedSender<Start>),
}

impl Handler for Work {
    async fn handle(&self, context: JobContext) -> Outcome {
        match self {
            Self::Nothing => {}
            Self::Hold => std::future::pending().await,
            // Nobody listens any more when the measurement has ended.
            Self::Tell(starts) => drop(starts.send((context.job.id, Instant::now()))),
        }
        Outcome::Done
    }

    async fn give_up(&self, _: &JobContext, _: &str) {}
}

/// A worker in this process.
pub(crate) struct Worker {
    drain: CancellationToken,
    ended: JoinHandle<Result<(), bulkhead_worker::RunError>>,
}

impl Worker {
    pub(crate) async fn start(
        options: &BrokerOptions,
        concurrency: usize,
        work: Work,
        drain: CancellationToken,
    ) -> anyhow::Result<Self> {
        let queue = Queue::connect(options, CLASS)
            .await
            .context("cannot use Redis")?;
        let worker = WorkerOptions {
            id: WorkerId::new(format!("bench/{}", Uuid::new_v4())),
            concurrency,
            drain_timeout: Duration::ZERO,
            max_attempts: 10,
            backoff: Backoff::default(),
        };
        let run = bulkhead_worker::run(queue, worker, work, drain.clone());
        let ended = tokio::spawn(run);
        Ok(Self { drain, ended })
    }

    pub(crate) async fn end(self) -> anyhow::Result<()> {
        self.drain.cancel();
        Ok(self.ended.await??)
    }

    /// A worker that ends when it is told to.
    pub(crate) async fn quiet(
        options: &BrokerOptions,
        concurrency: usize,
        work: Work,
    ) -> anyhow::Result<Self> {
        Self::start(options, concurrency, work, CancellationToken::new()).await
    }
}
