mod control;
mod relay;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use self::control::{Control, Mode};
use self::relay::{Open, relay};
use crate::postgres::percent_encode;

const ACCEPT_AGAIN: Duration = Duration::from_millis(10);

/// Where a [`FaultProxy`] leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// A TCP port of the loopback interface that leads to a server, with a switch for each way a
/// network fails.
///
/// Runs on a thread of its own in real time: neither a busy test nor a paused clock slows it. A
/// switch holds for every byte that is not on its way when the method returns. Drop it to break all
/// connections.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    control: watch::Sender<Control>,
    connections: Arc<AtomicUsize>,
}

impl FaultProxy {
    /// Listens on a free port; the target need not be there yet.
    ///
    /// # Errors
    /// No port or no thread is to be had.
    pub fn start(target: Target) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (control, watched) = watch::channel(Control::default());
        let connections = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&connections);
        std::thread::Builder::new()
            .name("fault-proxy".into())
            .spawn(move || {
                runtime.block_on(async {
                    if let Ok(listener) = TcpListener::from_std(listener) {
                        accept(&listener, &target, watched, &counted).await;
                    }
                });
            })?;
        Ok(Self {
            address,
            control,
            connections,
        })
    }

    /// Where to connect to.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// `redis://127.0.0.1:port`.
    pub fn redis_url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// `postgres://role@127.0.0.1:port/database`.
    pub fn postgres_url(&self, role: &str, database: &str) -> String {
        format!(
            "postgres://{}@{}/{}",
            percent_encode(role),
            self.address,
            percent_encode(database)
        )
    }

    /// The server is gone: connections are reset, and new ones are as soon as they are made.
    pub fn cut(&self) {
        self.control.send_modify(|control| control.mode = Mode::Cut);
    }

    /// The network swallows everything: connections stay, can even be made, and no byte arrives.
    pub fn stall(&self) {
        self.control
            .send_modify(|control| control.mode = Mode::Stalled);
    }

    /// What is sent arrives, the answers do not: outcomes become unknown.
    pub fn stall_answers(&self) {
        self.control
            .send_modify(|control| control.mode = Mode::AnswersStalled);
    }

    /// Resets the connections there are; new ones work as before.
    pub fn reset(&self) {
        self.control.send_modify(|control| control.resets += 1);
    }

    /// The connections there are fall silent for ever, open as they are: the other end is gone and nobody said so. New
    /// ones work.
    pub fn silence(&self) {
        self.control.send_modify(|control| control.silences += 1);
    }

    /// How many connections their clients have open.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Ends a cut or a stall; what a stall held back arrives now. A delay stays.
    pub fn restore(&self) {
        self.control
            .send_modify(|control| control.mode = Mode::Open);
    }

    /// Delays every byte from now on by `latency` and up to `jitter` more, in each direction, in
    /// order.
    pub fn delay(&self, latency: Duration, jitter: Duration) {
        self.control
            .send_modify(|control| (control.latency, control.jitter) = (latency, jitter));
    }
}

/// Until the [`FaultProxy`] is dropped; the connections end with the runtime.
async fn accept(
    listener: &TcpListener,
    target: &Target,
    mut control: watch::Receiver<Control>,
    connections: &Arc<AtomicUsize>,
) {
    let watched = control.clone();
    let dropped = async { while control.changed().await.is_ok() {} };
    let serve = async {
        loop {
            match listener.accept().await {
                Ok((client, _)) => {
                    let open = Open::count(connections);
                    let relayed = relay(client, target.clone(), watched.clone(), open);
                    drop(tokio::spawn(relayed));
                }
                // Out of file descriptors: some may come back.
                Err(_) => tokio::time::sleep(ACCEPT_AGAIN).await,
            }
        }
    };
    tokio::select! {
        () = dropped => {}
        () = serve => {}
    }
}
