//! Renews the leases, and reaps those of workers that no longer do: on a thread, a runtime and a connection of its own,
//! so that a handler that blocks cannot keep it from its work.

use std::{
    io,
    sync::Arc,
    thread::{Builder, JoinHandle},
    time::Duration,
};

use bulkhead_broker::{BootInstant, Broker, BrokerOptions, Lease, Renewed};
use bulkhead_domain::Class;
use bulkhead_service::Outage;
use tokio::runtime;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::running::Running;

/// A lease is renewed this many times before it would expire.
const BEATS_PER_LEASE: u32 = 4;

/// How many expired leases one beat takes from one shard; the rest waits for the next beat.
const REAP: usize = 64;

/// Between two tries to connect.
const RECONNECT: Duration = Duration::from_millis(250);

/// Starts the thread; it ends when `end` is cancelled.
pub(crate) fn start(
    options: BrokerOptions,
    class: Class,
    running: Arc<Running>,
    end: CancellationToken,
) -> io::Result<JoinHandle<()>> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Builder::new().name("beat".to_owned()).spawn(move || {
        let beat = async {
            tokio::select! {
                () = end.cancelled() => {}
                () = beat(options, class, running) => {}
            }
        };
        runtime.block_on(beat);
    })
}

async fn beat(options: BrokerOptions, class: Class, running: Arc<Running>) {
    let period = options.visibility_timeout / BEATS_PER_LEASE;
    let outage = Outage::new("Redis (renewing)");
    let broker = connect(&options, class, &running, &outage).await;
    loop {
        let expired_soon = BootInstant::now().after(period);
        let healthy = renew(&broker, &running, &outage).await && reap(&broker, &outage).await;
        if healthy {
            outage.up();
        }
        let stopped = running.stop_expired();
        if stopped > 0 {
            warn!(
                count = stopped,
                "stopped handlers whose leases could not be renewed in time"
            );
        }
        // Away: look more often, so that the leases are renewed as soon as Redis is back.
        let wait = if healthy {
            expired_soon.remaining()
        } else {
            RECONNECT
        };
        tokio::time::sleep(wait).await;
    }
}

async fn connect(
    options: &BrokerOptions,
    class: Class,
    running: &Running,
    outage: &Outage,
) -> Broker {
    loop {
        match Broker::connect(options, class).await {
            Ok(broker) => return broker,
            Err(error) => outage.down(&error),
        }
        running.stop_expired();
        tokio::time::sleep(RECONNECT).await;
    }
}

async fn renew(broker: &Broker, running: &Running, outage: &Outage) -> bool {
    for (shard, leases) in running.by_shard() {
        let asked_at = BootInstant::now();
        match broker.renew(shard, &leases).await {
            Ok(answers) => note(broker, running, &leases, &answers, asked_at),
            Err(error) => {
                outage.down(&error);
                return false;
            }
        }
    }
    metrics::gauge!("bulkhead_leases_held").set(u32::try_from(running.len()).unwrap_or(u32::MAX));
    true
}

fn note(
    broker: &Broker,
    running: &Running,
    leases: &[Lease],
    answers: &[Renewed],
    asked_at: BootInstant,
) {
    for (lease, answer) in leases.iter().zip(answers) {
        match answer {
            Renewed::Extended => running.renewed(lease, asked_at, broker.visibility_timeout()),
            Renewed::Lost | Renewed::Cancelled => running.stop(lease),
        }
    }
}

async fn reap(broker: &Broker, outage: &Outage) -> bool {
    for shard in 0..broker.shards() {
        let reaped = match broker.reap(shard, REAP).await {
            Ok(reaped) => reaped,
            Err(error) => {
                outage.down(&error);
                return false;
            }
        };
        if !reaped.requeued.is_empty() {
            let count = reaped.requeued.len();
            metrics::counter!("bulkhead_jobs_reaped_total").increment(count as u64);
            info!(count, shard, "took back jobs whose worker stopped renewing");
        }
        for dead in &reaped.quarantined {
            metrics::counter!("bulkhead_jobs_quarantined_total").increment(1);
            error!(dead_letter = ?dead, "quarantined a job that killed its workers");
        }
    }
    true
}
