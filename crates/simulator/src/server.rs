//! Starting and ending a simulator.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::Response,
    routing::{MethodFilter, on},
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle, time::timeout};

use crate::{
    connection::{BreakableListener, Peer},
    control, gate,
    operation::OPERATIONS,
    options::Options,
    ready::Ready,
    world::World,
};

/// How long requests in flight may take to end before their connections are cut.
const GRACE: Duration = Duration::from_millis(500);

/// What every request handler has.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) world: Arc<World>,
    closing: watch::Receiver<bool>,
}

impl Shared {
    /// Waits until the simulator ends.
    pub(crate) async fn closing(&self) {
        // An error means that its owner is gone: that is an end as well.
        let _ = self.closing.clone().wait_for(|closing| *closing).await;
    }
}

/// Starts simulators.
#[derive(Debug)]
pub struct Simulator;

/// A simulator that answers; it ends when this is dropped.
#[derive(Debug)]
pub struct Running {
    /// Addresses and credentials that clients need.
    pub ready: Ready,
    close: watch::Sender<bool>,
    server: Option<JoinHandle<io::Result<()>>>,
}

/// A simulator could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken, or not this host's.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
}

impl Simulator {
    /// Generates the data and begins to answer, on the current Tokio runtime.
    ///
    /// # Errors
    /// [`StartError::Listen`]: nothing was started.
    pub async fn start(options: Options) -> Result<Running, StartError> {
        let address = options.listen;
        let failed = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let local = listener.local_addr().map_err(failed)?;
        let base_url = options
            .public_url
            .clone()
            .unwrap_or_else(|| format!("http://{local}"));
        let world = Arc::new(World::new(
            options,
            base_url.trim_end_matches('/').to_owned(),
        ));
        let ready = Ready::of(&world);
        let (close, closing) = watch::channel(false);
        let shared = Shared { world, closing };
        let router = router(shared.clone()).into_make_service_with_connect_info::<Peer>();
        let server = axum::serve(BreakableListener(listener), router)
            .with_graceful_shutdown(async move { shared.closing().await });
        Ok(Running {
            ready,
            close,
            server: Some(tokio::spawn(server.into_future())),
        })
    }
}

impl Running {
    /// Stops accepting, lets answers that are being written end, and cuts what hangs.
    pub async fn shutdown(mut self) {
        self.close.send_replace(true);
        if let Some(mut server) = self.server.take()
            && timeout(GRACE, &mut server).await.is_err()
        {
            server.abort();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.close.send_replace(true);
        if let Some(server) = self.server.take() {
            server.abort();
        }
    }
}

fn router(shared: Shared) -> Router {
    let amazon = (0..)
        .zip(OPERATIONS)
        .fold(Router::new(), |router, (position, operation)| {
            let answer = move |State(shared): State<Shared>,
                               ConnectInfo(peer): ConnectInfo<Peer>,
                               request: Request| {
                gate::serve(shared, Some(position), peer, request)
            };
            let method =
                MethodFilter::try_from(operation.method.clone()).unwrap_or(MethodFilter::GET);
            router.route(operation.path, on(method, answer))
        });
    amazon
        .nest("/_simulator", control::router())
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .with_state(shared)
}

async fn unknown(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
) -> Response<Body> {
    gate::serve(shared, None, peer, request).await
}
