//! A worker process from its first fetch to its last acknowledgement.

use std::{io, sync::Arc, thread, time::Duration};

use apalis::layers::WorkerBuilderExt;
use apalis_core::{
    error::WorkerError,
    worker::{builder::WorkerBuilder, context::WorkerContext},
};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    acker::Acker,
    attempt::{AcknowledgeLayer, HandlerService},
    backend::Lanes,
    beat::Beat,
    fetcher::Fetcher,
    gathered::Gathered,
    handler::Handler,
    options::WorkerOptions,
    queue::Queue,
    running::Running,
    waits::Waits,
};

/// How long the last acknowledgements may take after the handlers have ended.
const FLUSH: Duration = Duration::from_secs(3);

/// How long it may take to note what the last jobs had waited.
const LAST_WAITS: Duration = Duration::from_secs(1);

/// Why a worker ended otherwise than by its drain.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The thread that renews leases could not be started.
    #[error("cannot start the thread that renews leases")]
    Beat(#[source] io::Error),
    /// A part of the worker panicked; the others have drained. Start the process again.
    #[error("the worker's {part} panicked")]
    Panicked {
        /// Which.
        part: &'static str,
    },
    /// The runtime under the handlers ended with an error.
    #[error("the worker runtime ended")]
    Runtime(#[source] WorkerError),
}

/// Runs jobs of the queue's class until `drain` is cancelled; then what runs finishes, snoozes or, after the drain
/// timeout, is given back, and what has not started goes back at once.
///
/// # Errors
/// See [`RunError`]. A Redis that goes away is no error: it is waited for.
pub async fn run<H: Handler>(
    queue: Queue,
    options: WorkerOptions,
    handler: H,
    drain: CancellationToken,
) -> Result<(), RunError> {
    let Queue {
        broker,
        options: broker_options,
        contact,
    } = queue;
    let options = Arc::new(options);
    let running = Arc::new(Running::default());
    let waits = Arc::new(Waits::default());
    let last = broker.clone();
    // A part that ends, ends the others: none goes on without the rest.
    let drain = drain.child_token();
    let overdue = CancellationToken::new();
    let end_beat = CancellationToken::new();
    let abandon = CancellationToken::new();
    let (deliveries, delivered) = mpsc::unbounded_channel();
    let gathered = Arc::new(Gathered::default());
    let layer = AcknowledgeLayer {
        gathered: Arc::clone(&gathered),
        running: Arc::clone(&running),
    };

    let beat = Beat {
        options: broker_options,
        class: broker.class(),
        running: Arc::clone(&running),
        waits: Arc::clone(&waits),
        contact: contact.clone(),
        end: end_beat.clone(),
        ended: drain.clone().drop_guard(),
    };
    let acker = Acker {
        broker: broker.clone(),
        contact: contact.clone(),
        gathered: Arc::clone(&gathered),
        running: Arc::clone(&running),
        abandon: abandon.clone(),
    };
    let fetcher = Fetcher {
        broker,
        contact,
        options: Arc::clone(&options),
        running,
        slots: Arc::new(Semaphore::new(options.concurrency.max(1))),
        deliveries,
        acknowledge: layer.clone(),
        gathered: Arc::clone(&gathered),
        drain: drain.clone(),
        overdue: overdue.clone(),
    };
    let beat = beat.start().map_err(RunError::Beat)?;
    let acker = spawn(acker.run(), &drain);
    let fetcher = spawn(fetcher.run(), &drain);
    let watchdog = spawn(watch(drain.clone(), overdue, options.drain_timeout), &drain);
    info!(worker.id = %options.id, concurrency = options.concurrency, "worker started");

    let lanes = Lanes::new(delivered, drain, layer);
    let worked = work(lanes, handler, &options, Arc::clone(&waits)).await;
    watchdog.abort();
    let fetched = ended("fetcher", fetcher.await.is_ok());
    gathered.close();
    let acknowledged = ended("acker", flush(acker, &abandon).await);
    end_beat.cancel();
    let renewed = ended("beat", join(beat).await);
    // What the beat did not get through with is among them.
    if !matches!(timeout(LAST_WAITS, waits.flush(&last)).await, Ok(Ok(()))) {
        warn!("how long the last jobs had waited could not be noted");
    }
    info!(worker.id = %options.id, "worker ended");
    worked.and(fetched).and(acknowledged).and(renewed)
}

/// Runs a part that ends, however it ends, with the drain.
fn spawn(
    part: impl Future<Output = ()> + Send + 'static,
    drain: &CancellationToken,
) -> JoinHandle<()> {
    let guard = drain.clone().drop_guard();
    tokio::spawn(async move {
        let _guard = guard;
        part.await;
    })
}

/// Ends when the handlers have ended after the drain began.
async fn work<H: Handler>(
    lanes: Lanes,
    handler: H,
    options: &Arc<WorkerOptions>,
    waits: Arc<Waits>,
) -> Result<(), RunError> {
    let service = HandlerService::new(Arc::new(handler), Arc::clone(options), waits);
    let worker = WorkerBuilder::new(WorkerContext::new(options.id.as_str()))
        .backend(lanes)
        .concurrency(options.concurrency.max(1))
        .build(service);
    worker.run().await.map_err(RunError::Runtime)
}

/// Bounds the drain.
async fn watch(drain: CancellationToken, overdue: CancellationToken, limit: Duration) {
    drain.cancelled().await;
    sleep(limit).await;
    overdue.cancel();
}

/// Lets the acker finish, for a while; false if it panicked.
async fn flush(mut acker: JoinHandle<()>, abandon: &CancellationToken) -> bool {
    if let Ok(ended) = timeout(FLUSH, &mut acker).await {
        return ended.is_ok();
    }
    warn!("the last acknowledgements were not answered in time");
    abandon.cancel();
    acker.await.is_ok()
}

async fn join(beat: thread::JoinHandle<()>) -> bool {
    let joined = tokio::task::spawn_blocking(move || beat.join().is_ok()).await;
    joined.unwrap_or(false)
}

fn ended(part: &'static str, well: bool) -> Result<(), RunError> {
    if well {
        Ok(())
    } else {
        Err(RunError::Panicked { part })
    }
}
