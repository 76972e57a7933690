//! One attempt on its way through apalis: the handler's service inside, the acknowledgement around it.

use std::{
    any::Any,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use apalis_core::{error::BoxDynError, task::Task};
use bulkhead_broker::{Acknowledgement, Lease, Outcome as LeaseOutcome};
use bulkhead_service::{redaction::redact, trace};
use futures_util::FutureExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tower::{Layer, Service};
use tracing::{Instrument, Span, error, info, info_span, warn};

use crate::{
    gathered::Gathered,
    handler::{Handler, JobContext},
    options::WorkerOptions,
    outcome::Outcome,
    running::{Running, Stops},
    waits::Waits,
};

/// What the backend hands to the handler's service.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) context: JobContext,
    pub(crate) stops: Stops,
    /// Cancelled when the drain has lasted too long: the job is given back as it is.
    pub(crate) overdue: CancellationToken,
    /// How long the job had waited, if this is its first start.
    pub(crate) waited: Option<Duration>,
    /// Room for one more job once it is dropped.
    pub(crate) slot: OwnedSemaphorePermit,
}

/// What the service answers; `None` when the lease was lost: then there is nothing to acknowledge.
pub(crate) type Answer = Option<LeaseOutcome>;

/// The innermost service: runs the handler.
#[derive(Debug)]
pub(crate) struct HandlerService<H> {
    handler: Arc<H>,
    options: Arc<WorkerOptions>,
    waits: Arc<Waits>,
}

impl<H> HandlerService<H> {
    pub(crate) const fn new(
        handler: Arc<H>,
        options: Arc<WorkerOptions>,
        waits: Arc<Waits>,
    ) -> Self {
        Self {
            handler,
            options,
            waits,
        }
    }
}

impl<H: Handler> Service<Task<Delivery>> for HandlerService<H> {
    type Response = Answer;
    type Error = BoxDynError;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, BoxDynError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, task: Task<Delivery>) -> Self::Future {
        let (delivery, _) = task.take();
        let span = job_span(&delivery.context);
        if let Some(waited) = delivery.waited {
            self.waits.record(&delivery.context.lease, waited);
        }
        let run = attempt(
            Arc::clone(&self.handler),
            Arc::clone(&self.options),
            delivery,
        );
        Box::pin(async move { Ok(run.instrument(span).await) })
    }
}

async fn attempt<H: Handler>(
    handler: Arc<H>,
    options: Arc<WorkerOptions>,
    delivery: Delivery,
) -> Answer {
    let Delivery {
        context,
        stops,
        overdue,
        slot: _slot,
        ..
    } = delivery;
    let started = Instant::now();
    // A lost lease wins over a result that is ready at the same moment: another worker may have the job.
    tokio::select! {
        biased;
        () = stops.lost.cancelled() => {
            warn!("stopped: the lease was lost");
            count(&context, "lost", started);
            None
        }
        () = stops.cancelled.cancelled() => {
            warn!("stopped: the job was cancelled");
            count(&context, "cancelled", started);
            Some(LeaseOutcome::Release)
        }
        () = overdue.cancelled() => {
            warn!("stopped: the drain lasted too long; the job is given back");
            count(&context, "released", started);
            Some(LeaseOutcome::Release)
        }
        outcome = conclude(&*handler, &context, &options) => {
            log(&outcome, started);
            count(&context, outcome.as_str(), started);
            Some(lease_outcome(outcome, &context, &options))
        }
    }
}

/// Runs the handler, and tells it when the job will not run again.
async fn conclude<H: Handler>(
    handler: &H,
    context: &JobContext,
    options: &WorkerOptions,
) -> Outcome {
    let outcome = unwinding(async { handler.handle(context.clone()).await })
        .await
        .unwrap_or_else(|error| Outcome::Retry { after: None, error });
    let outcome = settle(outcome, context, options);
    if let Outcome::DeadLetter { reason } = &outcome
        && let Err(error) = unwinding(async { handler.give_up(context, reason).await }).await
    {
        error!(error, "not told that the job was given up");
    }
    outcome
}

/// A panic is a failure like another.
async fn unwinding<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let result = AssertUnwindSafe(future).catch_unwind().await;
    result.map_err(|panic| {
        metrics::counter!("bulkhead_handler_panics_total").increment(1);
        format!("the handler panicked: {}", redact(message(&*panic)))
    })
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// Turns the last failure that is allowed into a dead letter.
fn settle(outcome: Outcome, context: &JobContext, options: &WorkerOptions) -> Outcome {
    match outcome {
        Outcome::Retry { error, .. } if context.attempt >= options.max_attempts => {
            Outcome::DeadLetter {
                reason: format!("{} attempts failed, the last: {error}", context.attempt),
            }
        }
        other => other,
    }
}

fn lease_outcome(outcome: Outcome, context: &JobContext, options: &WorkerOptions) -> LeaseOutcome {
    match outcome {
        Outcome::Done | Outcome::Discard { .. } => LeaseOutcome::Complete,
        Outcome::Snooze { wait, .. } => LeaseOutcome::Snooze {
            for_: wait,
            park_lane: true,
        },
        Outcome::StepAside { wait, .. } => LeaseOutcome::Snooze {
            for_: wait,
            park_lane: false,
        },
        Outcome::Retry { after, error } => LeaseOutcome::Retry {
            after: after.unwrap_or_else(|| {
                options
                    .backoff
                    .full_jitter(context.attempt, rand::random::<f64>())
            }),
            error,
        },
        Outcome::DeadLetter { reason } => LeaseOutcome::DeadLetter { reason },
    }
}

fn job_span(context: &JobContext) -> Span {
    let job = &context.job;
    let span = info_span!(
        "job",
        job.id = %job.id,
        job.kind = %job.kind,
        job.attempt = context.attempt,
        tenant.id = %job.tenant,
        connection.id = %job.connection,
        lease.token = %context.lease.token(),
    );
    if let Some(parent) = &job.trace {
        trace::continue_from(&span, parent);
    }
    span
}

fn log(outcome: &Outcome, started: Instant) {
    let elapsed_ms = elapsed_ms(started);
    match outcome {
        Outcome::Done => info!(elapsed_ms, "completed job"),
        Outcome::Discard { reason } => info!(elapsed_ms, reason, "discarded job"),
        Outcome::Snooze { wait, reason } | Outcome::StepAside { wait, reason } => {
            let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            tracing::debug!(elapsed_ms, wait_ms, reason, "snoozed job");
        }
        Outcome::Retry { error, .. } => warn!(elapsed_ms, error, "attempt failed, will retry"),
        Outcome::DeadLetter { reason } => error!(elapsed_ms, reason, "gave up on job"),
    }
}

fn count(context: &JobContext, outcome: &'static str, started: Instant) {
    let kind = context.job.kind.as_str();
    metrics::counter!("bulkhead_jobs_total", "kind" => kind, "outcome" => outcome).increment(1);
    metrics::histogram!("bulkhead_job_duration_seconds", "kind" => kind)
        .record(started.elapsed().as_secs_f64());
}

fn elapsed_ms(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// The outermost layer: sends the acknowledgement of every attempt that still holds its lease.
#[derive(Debug, Clone)]
pub(crate) struct AcknowledgeLayer {
    pub(crate) gathered: Arc<Gathered>,
    pub(crate) running: Arc<Running>,
}

impl<S> Layer<S> for AcknowledgeLayer {
    type Service = AcknowledgeService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AcknowledgeService {
            inner,
            layer: self.clone(),
        }
    }
}

/// See [`AcknowledgeLayer`].
#[derive(Debug, Clone)]
pub(crate) struct AcknowledgeService<S> {
    inner: S,
    layer: AcknowledgeLayer,
}

impl<S> Service<Task<Delivery>> for AcknowledgeService<S>
where
    S: Service<Task<Delivery>, Response = Answer>,
    S::Error: Into<BoxDynError>,
    S::Future: Send + 'static,
{
    type Response = ();
    type Error = BoxDynError;
    type Future = Pin<Box<dyn Future<Output = Result<(), BoxDynError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, task: Task<Delivery>) -> Self::Future {
        let context = task.args.context.clone();
        let layer = self.layer.clone();
        let run = self.inner.call(task);
        Box::pin(async move {
            // The handler's service does not fail; if apalis does, the lease expires.
            let answer = run.await.unwrap_or_else(|error| {
                let error: BoxDynError = error.into();
                error!(job.id = %context.job.id, error = %error, "the attempt was lost");
                None
            });
            layer.answer(context.lease, answer);
            Ok(())
        })
    }
}

impl AcknowledgeLayer {
    fn answer(&self, lease: Lease, answer: Answer) {
        match answer {
            Some(outcome) => self.send(lease, outcome),
            None => self.running.remove(&lease),
        }
    }

    /// Gives back a job that was not started.
    pub(crate) fn release(&self, lease: Lease) {
        self.send(lease, LeaseOutcome::Release);
    }

    fn send(&self, lease: Lease, outcome: LeaseOutcome) {
        let job_id = lease.job_id();
        let acknowledgement = Acknowledgement { lease, outcome };
        if self.gathered.add(acknowledgement).is_err() {
            warn!(job.id = %job_id, "not acknowledged: the worker has ended; the job runs again");
        }
    }
}
