//! One attempt on its way through apalis: the handler's service inside, the acknowledgement around it.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use apalis_core::{error::BoxDynError, task::Task};
use bulkhead_broker::{Acknowledgement, Lease, Outcome as LeaseOutcome};
use bulkhead_service::trace;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;
use tower::{Layer, Service};
use tracing::{Instrument, Span, info, info_span, warn};

use crate::{
    handler::{Handler, JobContext},
    options::WorkerOptions,
    outcome::Outcome,
    running::Running,
};

/// What the backend hands to the handler's service.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) context: JobContext,
    /// Cancelled when the lease is lost or the job is cancelled.
    pub(crate) stop: CancellationToken,
    /// Cancelled when the drain has lasted too long: the job is given back as it is.
    pub(crate) overdue: CancellationToken,
}

/// What the service answers; `None` when the lease was lost: then there is nothing to acknowledge.
pub(crate) type Answer = Option<LeaseOutcome>;

/// The innermost service: runs the handler.
#[derive(Debug)]
pub(crate) struct HandlerService<H> {
    handler: Arc<H>,
    options: Arc<WorkerOptions>,
}

impl<H> HandlerService<H> {
    pub(crate) const fn new(handler: Arc<H>, options: Arc<WorkerOptions>) -> Self {
        Self { handler, options }
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
        stop,
        overdue,
    } = delivery;
    let started = Instant::now();
    // A lost lease wins over a result that is ready at the same moment: another worker may have the job.
    let outcome = tokio::select! {
        biased;
        () = stop.cancelled() => {
            warn!("stopped: the lease was lost or the job was cancelled");
            count(&context, "stopped", started);
            return None;
        }
        () = overdue.cancelled() => {
            warn!("stopped: the drain lasted too long; the job is given back");
            count(&context, "released", started);
            return Some(LeaseOutcome::Release);
        }
        outcome = handler.handle(context.clone()) => outcome,
    };
    let outcome = settle(outcome, &context, &options);
    log(&outcome, started);
    count(&context, outcome.as_str(), started);
    if let Outcome::DeadLetter { reason } = &outcome {
        handler.give_up(&context, reason).await;
    }
    Some(lease_outcome(outcome, &context, &options))
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
        Outcome::Snooze { wait, reason } => {
            let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            tracing::debug!(elapsed_ms, wait_ms, reason, "snoozed job");
        }
        Outcome::Retry { error, .. } => warn!(elapsed_ms, error, "attempt failed, will retry"),
        Outcome::DeadLetter { reason } => tracing::error!(elapsed_ms, reason, "gave up on job"),
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
    pub(crate) acknowledge: UnboundedSender<Acknowledgement>,
    pub(crate) running: Arc<Running>,
    pub(crate) options: Arc<WorkerOptions>,
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
            let answer = run
                .await
                .unwrap_or_else(|error| layer.panicked(&context, &error.into()));
            layer.send(&context.lease, answer);
            Ok(())
        })
    }
}

impl AcknowledgeLayer {
    /// Derived from the result and the attempt: apalis' own status stays `Running` after a panic.
    fn panicked(&self, context: &JobContext, error: &BoxDynError) -> Answer {
        let outcome = Outcome::Retry {
            after: None,
            error: format!("the handler panicked: {error}"),
        };
        tracing::error!(job.id = %context.job.id, error = %error, "handler panicked");
        count(context, "panic", Instant::now());
        let outcome = settle(outcome, context, &self.options);
        Some(lease_outcome(outcome, context, &self.options))
    }

    fn send(&self, lease: &Lease, answer: Answer) {
        let Some(outcome) = answer else {
            self.running.remove(lease);
            return;
        };
        let acknowledgement = Acknowledgement {
            lease: lease.clone(),
            outcome,
        };
        if self.acknowledge.send(acknowledgement).is_err() {
            warn!(job.id = %lease.job_id(), "not acknowledged: the worker has ended; the job runs again");
        }
    }
}
