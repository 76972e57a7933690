//! A worker process: from its configuration to its drain.

use std::convert::Infallible;

use bulkhead_broker::BrokerOptions;
use bulkhead_domain::{Backoff, Class, Margins, WorkerId};
use bulkhead_service::{Config, Shell, StartError, reach};
use bulkhead_store::{ConnectError, Role, Store, StoreOptions};
use secrecy::ExposeSecret;

use crate::{
    gate::Gate, handler::Handler, options::WorkerOptions, queue::Queue, run::run as run_worker,
};

/// Connects, and runs the handler that `make` makes until the process drains.
///
/// # Errors
/// [`StartError`] if a store cannot be reached now; [`ConnectError`] if Postgres is not as this process needs it.
pub async fn run<H: Handler>(
    shell: &Shell,
    class: Class,
    make: impl FnOnce(Gate) -> H,
) -> anyhow::Result<()> {
    let config = &shell.config;
    let store = store(shell, class).await?;
    let options = broker_options(config)?;
    let queue = queue(&options, class).await?;
    let margins = Margins {
        jitter: config.amazon.jitter,
        ..Margins::default()
    };
    let permits = queue.permits(margins, config.amazon.time_scale);
    let handler = make(Gate::new(store, permits, &queue));
    shell.health.ready(true);
    let worker = worker_options(config);
    run_worker(queue, worker, handler, shell.drain.clone()).await?;
    Ok(())
}

async fn store(shell: &Shell, class: Class) -> anyhow::Result<Store> {
    let postgres = &shell.config.postgres;
    let url = postgres.url()?.expose_secret();
    let options = StoreOptions {
        max_connections: postgres.max_connections,
        acquire_timeout: postgres.acquire_timeout,
        ..StoreOptions::new(url, shell.process.name)
    };
    match Store::connect(&options, Role::from(class)).await {
        Ok(store) => Ok(store),
        Err(error @ ConnectError::Unreachable(_)) => {
            Err(StartError::dependency("Postgres", url, error).into())
        }
        Err(error) => Err(StartError::refused(error.to_string()).into()),
    }
}

async fn queue(options: &BrokerOptions, class: Class) -> Result<Queue, StartError> {
    let url = options.url.expose_secret();
    let connect = async { Ok::<_, Infallible>(Queue::connect(options, class).await) };
    match reach("Redis", url, connect).await? {
        Ok(queue) => Ok(queue),
        Err(error @ bulkhead_broker::ConnectError::Unreachable(_)) => {
            Err(StartError::dependency("Redis", url, error))
        }
        Err(error) => Err(StartError::refused(error.to_string())),
    }
}

fn broker_options(config: &Config) -> anyhow::Result<BrokerOptions> {
    let broker = &config.broker;
    Ok(BrokerOptions {
        shards: broker.shards,
        visibility_timeout: broker.visibility_timeout,
        high_water_bytes: broker.high_water_bytes,
        tenant_high_water_bytes: broker.tenant_high_water_bytes,
        nodes: config.redis.nodes.clone(),
        ..BrokerOptions::new(config.redis.url()?.clone())
    })
}

fn worker_options(config: &Config) -> WorkerOptions {
    let host = nix::unistd::gethostname().unwrap_or_default();
    let (host, pid) = (host.to_string_lossy(), std::process::id());
    WorkerOptions {
        // The random part: a process id comes again, a lease of the process before must not be ours.
        id: WorkerId::new(format!("{host}/{pid}/{:08x}", rand::random::<u32>())),
        concurrency: config.worker.concurrency,
        drain_timeout: config.worker.drain_timeout,
        max_attempts: config.worker.max_attempts,
        backoff: Backoff::default(),
    }
}
