//! Liveness, readiness and metrics over HTTP, on a port of their own.
//!
//! `/healthz` 200 while the runtime answers · `/readyz` 200 `ready`, or 503 `starting` or `draining` ·
//! `/metrics` in the Prometheus text format.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::Health;
use crate::start_error::StartError;

/// What `/readyz` answers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct HealthHandle {
    ready: Arc<AtomicBool>,
    drain: CancellationToken,
    address: Option<SocketAddr>,
}

impl HealthHandle {
    /// Not ready yet; draining when `drain` is cancelled; `address` is where it is served, if it is.
    #[must_use]
    pub fn new(drain: CancellationToken, address: Option<SocketAddr>) -> HealthHandle {
        HealthHandle {
            ready: Arc::new(AtomicBool::new(false)),
            drain,
            address,
        }
    }

    /// Says whether this process does its work.
    pub fn ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    /// Where health and metrics are served; `None` in a tool.
    #[must_use]
    pub const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    fn readiness(&self) -> (StatusCode, &'static str) {
        match (
            self.drain.is_cancelled(),
            self.ready.load(Ordering::Relaxed),
        ) {
            (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
            (false, false) => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
            (false, true) => (StatusCode::OK, "ready"),
        }
    }
}

/// Binds `health.listen`.
///
/// # Errors
/// The address cannot be bound.
pub(crate) async fn bind(health: &Health) -> Result<(TcpListener, SocketAddr), StartError> {
    let refused = |error: io::Error| {
        StartError::refused(format!(
            "health.listen {} cannot be bound: {error}; choose another port",
            health.listen
        ))
    };
    let listener = TcpListener::bind(health.listen).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    if let Some(path) = &health.port_file {
        write_whole(path, &format!("{address}\n")).map_err(|error| {
            StartError::refused(format!(
                "health.port_file {} cannot be written: {error}",
                path.display()
            ))
        })?;
    }
    Ok((listener, address))
}

/// Serves until the process ends: a draining process still tells how it is.
pub(crate) async fn serve(
    listener: TcpListener,
    handle: HealthHandle,
    metrics: PrometheusHandle,
) -> io::Result<()> {
    let app = Router::new()
        .route("/healthz", get(async || "live"))
        .route(
            "/readyz",
            get(async |State(state): State<Served>| state.handle.readiness()),
        )
        .route(
            "/metrics",
            get(async |State(state): State<Served>| exposition(&state.metrics)),
        )
        .with_state(Served { handle, metrics });
    axum::serve(listener, app).await
}

#[derive(Clone)]
struct Served {
    handle: HealthHandle,
    metrics: PrometheusHandle,
}

fn exposition(metrics: &PrometheusHandle) -> impl IntoResponse + use<> {
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        metrics.render(),
    )
}

/// A reader sees the whole file or none.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    std::fs::write(&beside, text)?;
    std::fs::rename(&beside, path)
}
