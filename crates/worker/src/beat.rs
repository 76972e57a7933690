//! Renews the leases, and reaps those of workers that no longer do: on a thread, a runtime and a connection of its own,
//! so that a handler that blocks cannot keep it from its work.

use std::{
    io,
    sync::Arc,
    thread::{Builder, JoinHandle},
    time::Duration,
};

use bulkhead_broker::{
    BootInstant, Broker, BrokerOptions, InspectError, Lease, ReapError, Reaped, RenewError,
    Renewed, WakeMark, Wakes,
};
use bulkhead_domain::Class;
use futures_util::future::{join, join_all};
use tokio::{runtime, time::sleep};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{error, info, warn};

use crate::{contact::Contact, running::Running, waits::Waits};

/// A lease is renewed this many times before it would expire.
const BEATS_PER_LEASE: u32 = 4;

/// How many expired leases one beat takes from one shard; the rest waits for the next beat.
const REAP: usize = 64;

/// How long the last beat may take to note waits.
const LAST_BEAT: Duration = Duration::from_secs(1);

pub(crate) struct Beat {
    /// Of a connection that is made on the beat's own runtime.
    pub(crate) options: BrokerOptions,
    pub(crate) class: Class,
    pub(crate) running: Arc<Running>,
    pub(crate) waits: Arc<Waits>,
    pub(crate) contact: Contact,
    pub(crate) end: CancellationToken,
    /// Dropped with the thread, however it ends: a worker that cannot renew must not go on.
    pub(crate) ended: DropGuard,
}

impl Beat {
    /// Starts the thread; it ends when `end` is cancelled.
    pub(crate) fn start(self) -> io::Result<JoinHandle<()>> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Builder::new()
            .name("beat".to_owned())
            .spawn(move || runtime.block_on(self.run()))
    }

    async fn run(self) {
        let Self {
            options,
            class,
            running,
            waits,
            contact,
            end,
            ended: _ended,
        } = self;
        let period = options.visibility_timeout / BEATS_PER_LEASE;
        // A call that outlasts a beat keeps the next one from the shards that answer.
        let options = BrokerOptions {
            response_timeout: options.response_timeout.min(period),
            ..options
        };
        tokio::select! {
            () = overdue(&end) => {}
            () = renew_and_reap(&options, class, &running, &waits, contact, period, &end) => {}
            // Beside it, not after it: a call to a Redis that hangs outlasts a lease.
            () = expire(&running, period) => {}
        }
    }
}

async fn renew_and_reap(
    options: &BrokerOptions,
    class: Class,
    running: &Running,
    waits: &Waits,
    mut contact: Contact,
    period: Duration,
    end: &CancellationToken,
) {
    let connected = end.run_until_cancelled(connect(options, class, &mut contact));
    let Some(broker) = connected.await else {
        return;
    };
    let cancellations = broker.cancellations();
    while !end.is_cancelled() {
        let heard = cancellations.mark();
        let next = BootInstant::now().after(period);
        let beaten = async {
            let renewed = end.run_until_cancelled(renew(&broker, running)).await;
            // Also if a shard does not answer: what workers of the others left is taken back, and their waits are noted.
            let reaped = end.run_until_cancelled(reap(&broker));
            // Not dropped in the middle: what was on its way would be counted twice.
            let (reaped, noted) = join(reaped, waits.flush(&broker)).await;
            renewed.unwrap_or(Ok(()))?;
            reaped.unwrap_or(Ok(()))?;
            noted?;
            contact.answered();
            let stopped = stop_cancelled(&broker, running, &cancellations, heard, next);
            end.run_until_cancelled(stopped).await.unwrap_or(Ok(()))
        };
        if let Err(away) = beaten.await {
            let pause = sleep(contact.failed(&away));
            let _ = end.run_until_cancelled(pause).await;
        }
    }
}

/// When the beat ends whatever it waits for.
async fn overdue(end: &CancellationToken) {
    end.cancelled().await;
    sleep(LAST_BEAT).await;
}

/// Until `next`: a job that was cancelled is stopped now, not at the next beat. Only renewing says which; reaping keeps to
/// its time, however often somebody cancels or the subscription is taken up.
async fn stop_cancelled(
    broker: &Broker,
    running: &Running,
    cancellations: &Wakes,
    mut heard: WakeMark,
    next: BootInstant,
) -> Result<(), Away> {
    while !next.has_passed()
        && !cancellations
            .wait(&heard, next.remaining())
            .await
            .is_empty()
    {
        heard = cancellations.mark();
        renew(broker, running).await?;
    }
    Ok(())
}

/// Stops the handlers whose leases were not renewed in time, at that time.
async fn expire(running: &Running, period: Duration) {
    loop {
        let count = running.stop_expired();
        if count > 0 {
            warn!(count, "stopped jobs whose leases could not be renewed");
        }
        let next = running.first_expires_in().unwrap_or(period);
        sleep(next.min(period)).await;
    }
}

async fn connect(options: &BrokerOptions, class: Class, contact: &mut Contact) -> Broker {
    loop {
        match Broker::connect(options, class).await {
            Ok(broker) => return broker,
            Err(error) => sleep(contact.failed(&error)).await,
        }
    }
}

/// Redis did not answer; the beat is repeated.
#[derive(Debug, thiserror::Error)]
enum Away {
    #[error(transparent)]
    Renew(#[from] RenewError),
    #[error(transparent)]
    Reap(#[from] ReapError),
    #[error(transparent)]
    Waits(#[from] InspectError),
}

/// The shards beside each other: one whose node of a cluster does not answer must not cost the others their leases.
async fn renew(broker: &Broker, running: &Running) -> Result<(), Away> {
    let renewals = running.by_shard().into_iter().map(async |(shard, leases)| {
        let asked_at = BootInstant::now();
        let answers = broker.renew(shard, &leases).await?;
        note(running, &leases, &answers, |lease| {
            running.renewed(lease, asked_at, broker.visibility_timeout());
        });
        Ok(())
    });
    let renewed = join_all(renewals).await;
    metrics::gauge!("bulkhead_leases_held").set(u32::try_from(running.len()).unwrap_or(u32::MAX));
    renewed.into_iter().collect()
}

async fn reap(broker: &Broker) -> Result<(), Away> {
    let reaped = (0..broker.shards()).map(async |shard| {
        report(shard, &broker.reap(shard, REAP).await?);
        Ok(())
    });
    join_all(reaped).await.into_iter().collect()
}

fn note(running: &Running, leases: &[Lease], answers: &[Renewed], extended: impl Fn(&Lease)) {
    for (lease, answer) in leases.iter().zip(answers) {
        match answer {
            Renewed::Extended => extended(lease),
            Renewed::Lost => running.lose(lease),
            Renewed::Cancelled => {
                extended(lease);
                running.cancel(lease);
            }
        }
    }
}

fn report(shard: u16, reaped: &Reaped) {
    if !reaped.requeued.is_empty() {
        let count = reaped.requeued.len();
        metrics::counter!("bulkhead_jobs_reaped_total").increment(count as u64);
        info!(count, shard, "took back jobs whose worker stopped renewing");
    }
    for dead in &reaped.quarantined {
        metrics::counter!("bulkhead_jobs_quarantined_total").increment(1);
        error!(job.id = %dead.job_id, dead_letter = ?dead, "quarantined a job that killed its workers");
    }
}
