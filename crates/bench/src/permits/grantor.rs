//! The scheduler's part in permits: it establishes the boot nonce, and vouches for the fences.

use std::time::Duration;

use anyhow::{Context, ensure};
use bulkhead_broker::{Broker, FenceError, Fences, TestClock};
use tokio::{sync::watch, task::JoinHandle, time::timeout};
use uuid::Uuid;

/// Long enough ago that a bucket which was empty then is full.
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// How long a grant lasts, as the scheduler gives it; it is renewed each quarter of that.
pub(crate) const LIFETIME: Duration = Duration::from_secs(2);

/// Nothing that is waited for here takes as long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Grants until it is dropped.
pub(crate) struct Grantor {
    /// How often a boot nonce has been established.
    established: watch::Receiver<u64>,
    /// Knows Redis's clock, as the task does.
    fences: Fences,
    lifetime: Duration,
    task: JoinHandle<()>,
}

impl Grantor {
    /// Begins the life of `broker`'s Redis a day ago, by `clock`: all buckets are full now.
    pub(crate) async fn start(
        broker: &Broker,
        clock: &TestClock,
        lifetime: Duration,
    ) -> anyhow::Result<Self> {
        let fences = Fences::new(broker);
        fences.establish(&Uuid::new_v4().to_string(), None).await?;
        clock.advance(DAY);
        grant(&fences, lifetime).await?;
        let (count, established) = watch::channel(1);
        let granting = fences.clone();
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(lifetime / 4).await;
                // While Redis is away there is nothing to be done but to try again.
                if let Ok(true) = tick(&granting, lifetime).await {
                    count.send_modify(|count| *count += 1);
                }
            }
        });
        Ok(Self {
            established,
            fences,
            lifetime,
            task,
        })
    }

    /// Grants now, and not only at the next turn.
    pub(crate) async fn grant(&self) -> anyhow::Result<()> {
        Ok(grant(&self.fences, self.lifetime).await?)
    }

    /// Waits until the boot nonce has been established again.
    pub(crate) async fn established_anew(&mut self) -> anyhow::Result<()> {
        let changed = timeout(PATIENCE, self.established.changed()).await;
        let changed = changed.context("no boot nonce was established")?;
        ensure!(changed.is_ok(), "the grantor has ended");
        Ok(())
    }
}

impl Drop for Grantor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Grants; returns whether a new boot nonce was needed.
async fn tick(fences: &Fences, lifetime: Duration) -> Result<bool, FenceError> {
    let lost = fences.boot_nonce().await?.is_none();
    if lost {
        fences.establish(&Uuid::new_v4().to_string(), None).await?;
    }
    grant(fences, lifetime).await?;
    Ok(lost)
}

/// No scope has ever been fenced here.
async fn grant(fences: &Fences, lifetime: Duration) -> Result<(), FenceError> {
    let clocks = fences.grant_clocks().await?;
    fences.grant(&clocks, &[], lifetime).await
}
