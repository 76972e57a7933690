//! `broker-bench`: what the broker costs, against a bare floor on the same Redis.
//!
//! `enqueue`, `work` and `stats` are for comparison from outside; `report` and `permits` run every measurement
//! against a private Redis of their own.

mod crash;
mod drain;
mod enqueue;
mod fairness;
mod floor;
mod jobs;
mod latency;
mod memory;
mod permits;
mod queue;
mod redis_server;
mod report;
mod sample;
mod series;
mod stats;
mod work;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures the broker. Every command but `report` and `permits` needs the address of a Redis.
#[derive(Parser)]
#[command(name = "broker-bench", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Enqueue jobs of about 200 bytes; prints `ENQ_SECS <seconds>` of the work alone.
    Enqueue(enqueue::EnqueueArgs),
    /// One worker process with a handler that does nothing, until it is stopped.
    Work(work::WorkArgs),
    /// One line: how many jobs are queued, in flight, dead.
    Stats(queue::RedisArgs),
    /// Every measurement of the queue, against a private Redis: a table, or one JSON object.
    Report(report::ReportArgs),
    /// Every measurement of the permits, against a private Redis and the simulator.
    Permits(permits::PermitsArgs),
    /// A worker process of `permits`, which says on standard input what it does.
    #[command(hide = true)]
    PermitWorker,
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let ended = runtime
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(run(Args::parse().command)));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            queue::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Enqueue(args) => enqueue::run(&args).await,
        Command::Work(args) => work::run(&args).await,
        Command::Stats(args) => stats::run(&args).await,
        Command::Report(args) => report::run(&args).await,
        Command::Permits(args) => permits::run(&args).await,
        Command::PermitWorker => permits::worker::run().await,
    }
}
