//! The process `bulkhead-scheduler`.

use std::{convert::Infallible, process::ExitCode};

use bulkhead_broker::{Broker, BrokerOptions};
use bulkhead_domain::Class;
use bulkhead_scheduler::Scheduler;
use bulkhead_service::{Need, Process, Shell, StartError, reach};
use bulkhead_store::{ConnectError, Role, Store, StoreOptions};
use clap::Subcommand;
use jiff::Timestamp;
use secrecy::ExposeSecret;

const PROCESS: Process = Process::new("bulkhead-scheduler")
    .about("Enqueues what is due into Redis, and everything still owed again after Redis was lost")
    .needs(&[Need::Postgres, Need::Redis]);

#[derive(Debug, clap::Args)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

/// Run one or five: there is no leader.
#[derive(Debug, Clone, Copy, Subcommand)]
enum Command {
    /// Keep enqueuing until SIGTERM (the default).
    Run,
    /// Do one pass and end: for cron. Prints what it did as JSON. Calls to Amazon need a scheduler that keeps running,
    /// or grants that last from one pass to the next.
    Tick,
}

fn main() -> ExitCode {
    bulkhead_service::run_with::<Arguments, _, _>(PROCESS, async |shell: Shell, args: Arguments| {
        let scheduler = connect(&shell).await?;
        match args.command.unwrap_or(Command::Run) {
            Command::Run => {
                shell.health.ready(true);
                scheduler
                    .run(shell.config.scheduler.tick, &shell.drain)
                    .await;
            }
            Command::Tick => {
                let tick = scheduler.tick(Timestamp::now()).await?;
                print(&serde_json::to_string(&tick)?);
            }
        }
        Ok(())
    })
}

async fn connect(shell: &Shell) -> anyhow::Result<Scheduler> {
    let config = &shell.config;
    let url = config.postgres.url()?.expose_secret();
    let options = StoreOptions {
        max_connections: config.postgres.max_connections,
        acquire_timeout: config.postgres.acquire_timeout,
        ..StoreOptions::new(url, shell.process.name)
    };
    let store = match Store::connect(&options, Role::Scheduler).await {
        Ok(store) => store,
        Err(error @ ConnectError::Unreachable(_)) => {
            return Err(StartError::dependency("Postgres", url, error).into());
        }
        Err(error) => return Err(StartError::refused(error.to_string()).into()),
    };
    let redis = config.redis.url()?;
    let options = BrokerOptions {
        shards: config.broker.shards,
        visibility_timeout: config.broker.visibility_timeout,
        high_water_bytes: config.broker.high_water_bytes,
        tenant_high_water_bytes: config.broker.tenant_high_water_bytes,
        nodes: config.redis.nodes.clone(),
        ..BrokerOptions::new(redis.clone())
    };
    let url = redis.expose_secret();
    // The class is only where the connection begins; jobs go to the class of their kind.
    let connect = async { Ok::<_, Infallible>(Broker::connect(&options, Class::Sync).await) };
    let broker = match reach("Redis", url, connect).await? {
        Ok(broker) => broker,
        Err(error @ bulkhead_broker::ConnectError::Unreachable(_)) => {
            return Err(StartError::dependency("Redis", url, error).into());
        }
        Err(error) => return Err(StartError::refused(error.to_string()).into()),
    };
    let scheduler = Scheduler::new(store, &broker);
    Ok(scheduler
        .with_grant_lifetime(config.scheduler.grant_lifetime)
        .with_time_scale(config.amazon.time_scale))
}

#[allow(clippy::print_stdout, reason = "what `tick` did is its output")]
fn print(line: &str) {
    println!("{line}");
}
