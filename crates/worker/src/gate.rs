//! The two gates of a job: into its tenant's rows, and out to Amazon. Both ask whether this attempt still may.

use std::{error::Error, sync::Arc, time::Duration};

use bulkhead_broker::{Broker, Permit, PermitAnswer, PermitSubject, Permits, Stop};
use bulkhead_domain::{FenceEpoch, LimitScope, Operation, Priority};
use bulkhead_service::Outage;
use bulkhead_store::{Entered, JobRef, JobTx, Outcome as JobOutcome, Store, StoreError};
use tracing::{Instrument, debug, info_span, warn};

use crate::{contact::Contact, end::End, handler::JobContext, outcome::Outcome, queue::Queue};

/// How long a job stays away from a store that does not answer, and from a Redis whose fences are being rebuilt.
const AWAY: Duration = Duration::from_secs(2);

/// Between two looks whether Postgres is back.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How long a job stays away whose credentials were read before a release, or before Redis heard of it.
const EPOCH: Duration = Duration::from_millis(500);

/// How long after an outage of Postgres a job may still hear of it: twice what it waits for a connection, since a machine
/// that is busy hears of the failure late.
const ECHO: Duration = Duration::from_secs(10);

/// How long a job waits whose connection is paused or stopped; releasing it wakes nothing.
const STOPPED: Duration = Duration::from_secs(30);

/// What an answer of Amazon says of a budget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum BudgetNews {
    /// Nothing.
    Nothing,
    /// `x-amzn-RateLimit-Limit`, calls per second.
    Rate(f64),
    /// 429.
    Throttled {
        /// Whose budget is used up.
        limit: LimitScope,
        /// How long Amazon asked not to be called, if it did.
        retry_after: Option<Duration>,
    },
}

/// One process's way to Postgres and to permits, for every job that it runs.
#[derive(Debug)]
pub struct Gate {
    store: Store,
    broker: Broker,
    permits: Permits,
    postgres: Arc<Outage>,
    /// The worker's own parts repeat what Redis does not answer and find out when it is back; a job goes away instead.
    redis: Contact,
}

impl Gate {
    /// Over open connections; `permits` are those of `queue`.
    #[must_use]
    pub fn new(store: Store, permits: Permits, queue: &Queue) -> Self {
        Self {
            store,
            broker: queue.broker.clone(),
            permits,
            postgres: Arc::new(Outage::new("Postgres").with_echo(ECHO)),
            redis: queue.contact.clone(),
        }
    }

    /// Begins a transaction inside the job: fences, connection, obligation and fencing token allow it.
    ///
    /// # Errors
    /// [`End`]: how the attempt ends if they do not.
    pub async fn enter(&self, context: &JobContext) -> Result<JobTx, End> {
        let entered = self.store.enter(&job_ref(context)).await?;
        self.postgres.up();
        let end = match entered {
            Entered::Job(transaction) => return Ok(transaction),
            Entered::AlreadyDone => discard("done already"),
            Entered::Fenced => discard("a newer lease has entered"),
            Entered::Cancelled => discard("cancelled"),
            Entered::Stopped => snooze(STOPPED, "the connection is stopped"),
        };
        Err(end.into())
    }

    /// Asks for the right to make one call of `operation` for the job's connection, with credentials that were read
    /// in a transaction of `epoch` ([`JobTx::epoch`]) or later.
    ///
    /// # Errors
    /// [`End`]: how the attempt ends if it may not be made now.
    pub async fn permit(
        &self,
        context: &JobContext,
        operation: &'static Operation,
        epoch: FenceEpoch,
    ) -> Result<Permit, End> {
        let subject = subject(context, epoch);
        let span = info_span!("permit", operation = %operation);
        let request = self.permits.request(&context.lease, &subject, operation);
        let answer = request.instrument(span).await?;
        let end = match answer {
            PermitAnswer::Granted(permit) => return Ok(permit),
            // The lane waits with the job, unless others in it may still be granted what is left to them.
            PermitAnswer::WaitUntil(wait) if context.job.priority >= Priority::BACKFILL => {
                Outcome::StepAside {
                    wait,
                    reason: "waiting for the usage plan behind the night",
                }
            }
            PermitAnswer::WaitUntil(wait) => snooze(wait, "waiting for the usage plan"),
            PermitAnswer::Stopped(Stop::LeaseLost) => discard("the lease was lost"),
            PermitAnswer::Stopped(Stop::NoBootNonce) => {
                snooze(AWAY, "waiting for the fences to be rebuilt")
            }
            PermitAnswer::Stopped(Stop::NoGrant) => {
                snooze(AWAY, "waiting for a scheduler to vouch for the fences")
            }
            PermitAnswer::Stopped(Stop::Epoch) => {
                snooze(EPOCH, "a fence was released; reading the credentials again")
            }
            PermitAnswer::Stopped(_) => snooze(STOPPED, "stopped by a fence"),
        };
        Err(end.into())
    }

    /// Takes in what an answer of Amazon says of the budget of `operation`: a rate that it reports, or a refusal (429).
    ///
    /// # Errors
    /// [`End::Redis`] for a refusal. A rate that did not arrive is reported again by the next answer.
    pub async fn learn(
        &self,
        context: &JobContext,
        operation: &'static Operation,
        answer: BudgetNews,
    ) -> Result<(), End> {
        let subject = subject(context, FenceEpoch::NEVER_FENCED);
        let lease = &context.lease;
        match answer {
            BudgetNews::Nothing => {}
            BudgetNews::Rate(rate_per_s) => {
                let observed = self
                    .permits
                    .observed(lease, &subject, operation, rate_per_s);
                if let Err(error) = observed.await {
                    debug!(
                        error = &error as &dyn Error,
                        "the reported rate is not noted"
                    );
                }
            }
            BudgetNews::Throttled { limit, retry_after } => {
                warn!(operation = %operation, "Amazon throttled a call that had a permit; its budget is taken to be empty");
                let of = match limit {
                    LimitScope::Connection => "connection",
                    LimitScope::Application => "application",
                };
                metrics::counter!("bulkhead_throttled_total", "operation" => operation.key(), "limit" => of)
                    .increment(1);
                match limit {
                    LimitScope::Connection => {
                        self.permits
                            .throttled(lease, &subject, operation, retry_after)
                            .await?;
                    }
                    LimitScope::Application => {
                        self.permits
                            .application_throttled(subject.application, operation, retry_after)
                            .await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Says that the job has got on durably: workers that died with it before did not die of it.
    pub async fn got_on(&self, context: &mut JobContext) {
        if context.crashes == 0 {
            return;
        }
        match self.broker.forgive_crashes(&context.lease).await {
            Ok(_) => context.crashes = 0,
            // Asked again after the next step.
            Err(error) => debug!(error = &error as &dyn Error, "crashes not forgiven"),
        }
    }

    /// The outcome of an attempt, whichever way it ended.
    pub fn outcome(&self, ended: Result<Outcome, End>) -> Outcome {
        match ended {
            Ok(outcome) | Err(End::With(outcome)) => outcome,
            Err(End::Postgres(error)) => {
                self.postgres_is_down(&error);
                snooze(AWAY, "waiting for Postgres")
            }
            Err(End::Redis(error)) => {
                self.redis.unanswered(&error);
                snooze(AWAY, "waiting for Redis")
            }
        }
    }

    /// The job comes back, maybe to another process: this one must find out by itself when Postgres is there again.
    fn postgres_is_down(&self, error: &StoreError) {
        let news = !self.postgres.is_down();
        self.postgres.down(error);
        if news {
            tokio::spawn(until_back(self.store.clone(), Arc::clone(&self.postgres)));
        }
    }

    /// Tells Postgres that the job was given up.
    pub async fn give_up(&self, context: &JobContext, reason: &str) {
        if let Ok(Entered::Job(mut transaction)) = self.store.enter(&job_ref(context)).await
            && transaction.finish(JobOutcome::Dead(reason)).await.is_ok()
            && transaction.commit().await.is_ok()
        {
            return;
        }
        warn!(
            "Postgres does not know yet that the job was given up; the scheduler's reconciliation will tell it"
        );
    }
}

async fn until_back(store: Store, postgres: Arc<Outage>) {
    while postgres.is_down() {
        tokio::time::sleep(LOOK_AGAIN).await;
        if store.ping().await.is_ok() {
            postgres.up();
        }
    }
}

const fn snooze(wait: Duration, reason: &'static str) -> Outcome {
    Outcome::Snooze { wait, reason }
}

const fn discard(reason: &'static str) -> Outcome {
    Outcome::Discard { reason }
}

fn job_ref(context: &JobContext) -> JobRef {
    let job = &context.job;
    JobRef {
        tenant: job.tenant,
        connection: job.connection,
        job: job.id,
        day: job.day,
        token: context.lease.token(),
        attempt: context.attempt,
    }
}

fn subject(context: &JobContext, epoch: FenceEpoch) -> PermitSubject {
    let job = &context.job;
    PermitSubject {
        application: job.application,
        tenant: job.tenant,
        connection: job.connection,
        epoch,
    }
}
