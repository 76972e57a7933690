//! Connections that are ready too late.
//!
//! A permit is spent before the client looks for a connection. If there is none, it makes one, which may take longer than the permit was good
//! for; the request would then leave after its deadline, when a fence may already be said to hold. So the deadline is looked at again when the
//! connection is there. A connection that comes too late is kept for the next call: otherwise, where connecting always takes longer than a
//! permit lasts, no call would ever be made.

use std::{
    any::Any,
    error::Error,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bulkhead_broker::BootInstant;
use tower::{Layer, Service};

tokio::task_local! {
    /// Until when the request that this task is sending may leave.
    pub(crate) static DEADLINE: BootInstant;
}

type BoxError = Box<dyn Error + Send + Sync>;

/// How long a late connection is kept: servers close those that say nothing.
const KEPT: Duration = Duration::from_secs(10);
/// How many are kept.
const MOST_KEPT: usize = 64;

/// Wraps the connector of a client that speaks to one host.
#[derive(Clone, Default)]
pub(crate) struct OnTime(Arc<Mutex<Vec<Late>>>);

/// A connection that was ready too late. Its type is the client's own and has no name outside it.
struct Late {
    connection: Box<dyn Any + Send>,
    since: Instant,
}

/// The connection was there after the deadline: nothing was sent.
#[derive(Debug)]
pub(crate) struct TooLate;

impl fmt::Display for TooLate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("connected after the permit's deadline")
    }
}

impl Error for TooLate {}

impl TooLate {
    /// Whether this is why `error` happened.
    pub(crate) fn caused(error: &(dyn Error + 'static)) -> bool {
        let mut next = Some(error);
        while let Some(error) = next {
            if error.is::<Self>() {
                return true;
            }
            next = error.source();
        }
        false
    }
}

impl OnTime {
    fn keep<C: Send + 'static>(&self, connection: C) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|late| late.since.elapsed() < KEPT);
        if kept.len() < MOST_KEPT {
            kept.push(Late {
                connection: Box::new(connection),
                since: Instant::now(),
            });
        }
    }

    fn take<C: Send + 'static>(&self) -> Option<C> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|late| late.since.elapsed() < KEPT);
        let connection = kept.pop()?.connection;
        connection.downcast().ok().map(|connection| *connection)
    }

    /// Hands the connection over if the deadline has not passed; keeps it otherwise.
    fn check<C: Send + 'static>(
        &self,
        connection: C,
        deadline: Option<BootInstant>,
    ) -> Result<C, BoxError> {
        if deadline.is_some_and(BootInstant::has_passed) {
            self.keep(connection);
            return Err(TooLate.into());
        }
        Ok(connection)
    }
}

impl<S> Layer<S> for OnTime {
    type Service = Connector<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Connector {
            inner,
            on_time: self.clone(),
        }
    }
}

/// A connector whose connections are on time.
#[derive(Clone)]
pub(crate) struct Connector<S> {
    inner: S,
    on_time: OnTime,
}

impl<S, R> Service<R> for Connector<S>
where
    S: Service<R, Error = BoxError>,
    S::Response: Send + 'static,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let on_time = self.on_time.clone();
        let deadline = DEADLINE.try_get().ok();
        if let Some(connection) = on_time.take() {
            return Box::pin(std::future::ready(on_time.check(connection, deadline)));
        }
        let connecting = self.inner.call(request);
        Box::pin(async move { on_time.check(connecting.await?, deadline) })
    }
}
