use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::Target;
use super::control::{Age, Control, Direction, broken, passable};

/// Pieces on their way in one direction; the sender is held back by more.
const PIECES: usize = 256;
const PIECE_BYTES: usize = 16 * 1024;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Counts a connection until its client has ended it.
pub(super) struct Open(Arc<AtomicUsize>);

impl Open {
    pub(super) fn count(connections: &Arc<AtomicUsize>) -> Self {
        connections.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(connections))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Carries one connection until both sides have ended, or resets it.
pub(super) async fn relay(
    mut client: TcpStream,
    target: Target,
    control: watch::Receiver<Control>,
    open: Open,
) {
    let age = Age::now(&control);
    let ended = tokio::select! {
        biased;
        () = broken(control.clone(), age) => Err(io::Error::from(io::ErrorKind::ConnectionReset)),
        ended = carry(&mut client, target, &control, age, open) => ended,
    };
    if ended.is_err() {
        // Closing with a linger of zero sends a reset instead of an orderly end.
        let _ = client.set_zero_linger();
    }
}

async fn carry(
    client: &mut TcpStream,
    target: Target,
    control: &watch::Receiver<Control>,
    age: Age,
    open: Open,
) -> io::Result<()> {
    client.set_nodelay(true)?;
    passable(&mut control.clone(), Direction::Requests, age).await;
    let (server_reads, server_writes) = tokio::io::split(connect(target).await?);
    let (client_reads, client_writes) = client.split();
    let requests = one_way(
        client_reads,
        server_writes,
        control.clone(),
        Direction::Requests,
        age,
        open,
    );
    let answers = one_way(
        server_reads,
        client_writes,
        control.clone(),
        Direction::Answers,
        age,
        (),
    );
    tokio::try_join!(requests, answers)?;
    Ok(())
}

async fn connect(target: Target) -> io::Result<Box<dyn Stream>> {
    Ok(match target {
        Target::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Box::new(stream)
        }
        Target::Unix(path) => Box::new(UnixStream::connect(path).await?),
    })
}

async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    control: watch::Receiver<Control>,
    direction: Direction,
    age: Age,
    while_open: impl Send,
) -> io::Result<()> {
    let (pieces, mut arriving) = mpsc::channel(PIECES);
    let mut watched = control.clone();
    let read = async move {
        let _while_open = while_open;
        let mut due = Instant::now();
        loop {
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            let read = from.read_buf(&mut piece).await?;
            // Never before the piece ahead of it.
            due = due.max(Instant::now() + control.borrow().delay());
            if read == 0 || pieces.send((due, piece)).await.is_err() {
                return io::Result::Ok(());
            }
        }
    };
    let write = async {
        while let Some((due, piece)) = arriving.recv().await {
            sleep_until(due).await;
            passable(&mut watched, direction, age).await;
            to.write_all(&piece).await?;
        }
        passable(&mut watched, direction, age).await;
        to.shutdown().await
    };
    tokio::try_join!(read, write)?;
    Ok(())
}
