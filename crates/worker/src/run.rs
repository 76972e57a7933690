//! A worker process from its first fetch to its last acknowledgement.

use std::{sync::Arc, time::Duration};

use apalis::layers::WorkerBuilderExt;
use apalis_core::worker::{builder::WorkerBuilder, context::WorkerContext};
use bulkhead_broker::{Broker, BrokerOptions};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    acker,
    attempt::{AcknowledgeLayer, HandlerService},
    backend::Lanes,
    beat,
    fetcher::{self, Fetcher},
    handler::Handler,
    options::WorkerOptions,
    running::Running,
};

/// How long the last acknowledgements may take after the handlers have ended.
const FLUSH: Duration = Duration::from_secs(3);

/// Why a worker ended otherwise than by its drain.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The thread that renews leases could not be started.
    #[error("cannot start the thread that renews leases")]
    Beat(#[source] std::io::Error),
    /// The runtime under the handlers ended with an error.
    #[error("the worker runtime ended")]
    Runtime(#[source] apalis_core::error::WorkerError),
}

/// Runs jobs of the broker's class until `drain` is cancelled; then what runs finishes, snoozes or, after the drain
/// timeout, is given back, and what has not started goes back at once.
///
/// `options` must be those that `broker` was connected with: the beat makes a connection of its own.
///
/// # Errors
/// See [`RunError`]. A Redis that goes away is no error: it is waited for.
pub async fn run<H: Handler>(
    broker: Broker,
    broker_options: &BrokerOptions,
    options: WorkerOptions,
    handler: H,
    drain: CancellationToken,
) -> Result<(), RunError> {
    let options = Arc::new(options);
    let running = Arc::new(Running::default());
    let (deliver, deliveries) = mpsc::channel(options.concurrency.clamp(1, fetcher::BATCH));
    let (acknowledge, gathered) = mpsc::unbounded_channel();
    let end_beat = CancellationToken::new();
    let abandon = CancellationToken::new();
    let overdue = CancellationToken::new();

    let beat = beat::start(
        broker_options.clone(),
        broker.class(),
        Arc::clone(&running),
        end_beat.clone(),
    )
    .map_err(RunError::Beat)?;
    let acker = tokio::spawn(acker::run(
        broker.clone(),
        Arc::clone(&running),
        gathered,
        abandon.clone(),
    ));
    let fetcher = Fetcher {
        broker,
        options: Arc::clone(&options),
        running: Arc::clone(&running),
        deliveries: deliver,
        acknowledge: acknowledge.clone(),
        drain: drain.clone(),
        overdue: overdue.clone(),
    };
    let fetcher = tokio::spawn(fetcher.run());

    let lanes = Lanes {
        deliveries,
        layer: AcknowledgeLayer {
            acknowledge: acknowledge.clone(),
            running: Arc::clone(&running),
            options: Arc::clone(&options),
        },
        acknowledge,
    };
    info!(worker.id = %options.id, concurrency = options.concurrency, "worker started");
    let ended = work(lanes, handler, &options, &drain, &overdue).await;

    let _fetcher_ended = fetcher.await;
    if tokio::time::timeout(FLUSH, flush(acker, &abandon))
        .await
        .is_err()
    {
        abandon.cancel();
        warn!("the last acknowledgements were not answered; these jobs run again");
    }
    end_beat.cancel();
    let _beat_ended = tokio::task::spawn_blocking(move || beat.join()).await;
    info!(worker.id = %options.id, "worker ended");
    ended
}

async fn work<H: Handler>(
    lanes: Lanes,
    handler: H,
    options: &Arc<WorkerOptions>,
    drain: &CancellationToken,
    overdue: &CancellationToken,
) -> Result<(), RunError> {
    let context = WorkerContext::new(options.id.as_str());
    let worker = WorkerBuilder::new(context)
        .backend(lanes)
        .concurrency(options.concurrency)
        .catch_panic()
        .build(HandlerService::new(Arc::new(handler), Arc::clone(options)));
    let timeout = options.drain_timeout;
    let drained = drain.clone();
    let late = overdue.clone();
    let watchdog = tokio::spawn(async move {
        drained.cancelled().await;
        tokio::time::sleep(timeout).await;
        late.cancel();
    });
    let drained = drain.clone();
    let ended = worker
        .run_until(async move {
            drained.cancelled().await;
            Ok::<(), apalis_core::error::WorkerError>(())
        })
        .await;
    watchdog.abort();
    ended.map_err(RunError::Runtime)
}

async fn flush(acker: tokio::task::JoinHandle<()>, abandon: &CancellationToken) {
    let _ended = acker.await;
    abandon.cancel();
}
