//! One pass of everything: what cron runs with `tick`, and `run` repeats.

use std::time::Duration;

use bulkhead_service::Outage;
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::{error::TickError, scheduler::Scheduler};

/// Between two comparisons of Postgres with Redis.
const RECONCILE_EVERY: Duration = Duration::from_secs(30);

/// Between two comparisons of operators' settings with what Redis obeys: how long it may go on as it was when a command
/// could not tell it, or somebody wrote there by hand.
const SETTLE_EVERY: Duration = Duration::from_secs(5);

/// Between two looks whether the coming days have their partitions.
const PARTITIONS_EVERY: Duration = Duration::from_secs(3_600);

/// What one pass did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tick {
    /// Obligations of coming nights that are new.
    pub planned: u64,
    /// Jobs that are new in Redis.
    pub enqueued: u64,
    /// Obligations owed again since Redis had lost them.
    pub owed_again: u64,
    /// Obligations whose jobs are dead letters.
    pub dead: u64,
    /// Weights, holds, caps and pinned plans that Redis did not obey.
    pub settings: u64,
}

impl Scheduler {
    /// Does everything once.
    ///
    /// # Errors
    /// [`TickError`]; what was done stays done.
    pub async fn tick(&self, now: Timestamp) -> Result<Tick, TickError> {
        self.store.obligations().maintain_partitions().await?;
        let mut tick = self.pass(now).await?;
        let reconciled = self.reconcile(now).await?;
        tick.owed_again += reconciled.lost;
        tick.dead += reconciled.dead;
        tick.settings = self.settle().await?;
        self.vouch().await?;
        Ok(tick)
    }

    /// What cannot wait: a lost Redis, coming nights, due obligations.
    async fn pass(&self, now: Timestamp) -> Result<Tick, TickError> {
        let owed_again = self.rebuild(now).await?.unwrap_or_default();
        let planned = self.plan_nights(now).await?;
        let enqueued = self.dispatch(now).await?;
        Ok(Tick {
            planned,
            enqueued,
            owed_again,
            dead: 0,
            settings: 0,
        })
    }

    /// Repeats passes every `period`, and vouches for the fences, until `drain` is cancelled; waits for stores that
    /// are away.
    pub async fn run(&self, period: Duration, drain: &CancellationToken) {
        // A task of its own: a pass may be long, and its first statements wait for Postgres.
        let grantor = self.clone();
        let draining = drain.clone();
        let vouching = tokio::spawn(async move { grantor.keep_vouching(&draining).await });
        self.keep_passing(period, drain).await;
        if let Err(error) = vouching.await {
            error!(error = %error, "the grantor ended early");
        }
        info!("scheduler drained");
    }

    async fn keep_passing(&self, period: Duration, drain: &CancellationToken) {
        let redis = Outage::new("Redis");
        let postgres = Outage::new("Postgres");
        let mut rarer = Rarer {
            partitions: Every::new(PARTITIONS_EVERY),
            reconciliation: Every::new(RECONCILE_EVERY),
            settings: Every::new(SETTLE_EVERY),
        };
        while !drain.is_cancelled() {
            match self.duties(&mut rarer).await {
                Ok(()) => {
                    redis.up();
                    postgres.up();
                }
                Err(error) if error.is_postgres() => postgres.down(&error),
                Err(error) => redis.down(&error),
            }
            tokio::select! {
                () = drain.cancelled() => {}
                () = tokio::time::sleep(period) => {}
            }
        }
    }

    async fn duties(&self, rarer: &mut Rarer) -> Result<(), TickError> {
        let now = Timestamp::now();
        if rarer.partitions.is_due() {
            self.store.obligations().maintain_partitions().await?;
            rarer.partitions.done();
        }
        self.pass(now).await?;
        if rarer.reconciliation.is_due() {
            self.reconcile(now).await?;
            rarer.reconciliation.done();
        }
        if rarer.settings.is_due() {
            self.settle().await?;
            rarer.settings.done();
        }
        Ok(())
    }
}

/// Duties that not every pass has.
struct Rarer {
    partitions: Every,
    reconciliation: Every,
    settings: Every,
}

/// A duty with a period of its own; due at once, and again only after it was done.
struct Every {
    period: Duration,
    done: Option<Instant>,
}

impl Every {
    const fn new(period: Duration) -> Self {
        Self { period, done: None }
    }

    fn is_due(&self) -> bool {
        self.done.is_none_or(|done| done.elapsed() >= self.period)
    }

    fn done(&mut self) {
        self.done = Some(Instant::now());
    }
}
