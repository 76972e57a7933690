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

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    async fn answer(address: SocketAddr, path: &str) -> (u16, String) {
        crate::tls::install_ring();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let response = client
            .get(format!("http://{address}{path}"))
            .send()
            .await
            .unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    fn listening(port_file: Option<std::path::PathBuf>) -> Health {
        Health {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            port_file,
        }
    }

    #[tokio::test]
    async fn a_process_is_live_at_once_ready_when_it_says_so_and_not_while_it_drains() {
        let folder = tempfile::tempdir().unwrap();
        let port_file = folder.path().join("port");
        let (listener, address) = bind(&listening(Some(port_file.clone()))).await.unwrap();
        assert_eq!(
            std::fs::read_to_string(port_file).unwrap(),
            format!("{address}\n")
        );

        let drain = CancellationToken::new();
        let handle = HealthHandle::new(drain.clone(), Some(address));
        let recorder = PrometheusBuilder::new().build_recorder();
        ::metrics::with_local_recorder(&recorder, || {
            ::metrics::counter!("pages_total").increment(1);
        });
        tokio::spawn(serve(listener, handle.clone(), recorder.handle()));

        assert_eq!(answer(address, "/healthz").await, (200, "live".into()));
        assert_eq!(answer(address, "/readyz").await, (503, "starting".into()));
        handle.ready(true);
        assert_eq!(answer(address, "/readyz").await, (200, "ready".into()));
        drain.cancel();
        assert_eq!(answer(address, "/readyz").await, (503, "draining".into()));
        assert_eq!(answer(address, "/healthz").await, (200, "live".into()));
        let (status, text) = answer(address, "/metrics").await;
        assert!(status == 200 && text.contains("pages_total 1"), "{text}");
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_refused_with_what_to_do() {
        let (_listener, address) = bind(&listening(None)).await.unwrap();
        let error = bind(&Health {
            listen: address,
            port_file: None,
        })
        .await
        .unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(
            error.to_string().ends_with("choose another port"),
            "{error}"
        );
    }
}
