//! Connections that can be broken on purpose.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

/// Accepts connections that a [`Peer`] can break.
#[derive(Debug)]
pub(crate) struct BreakableListener(pub(crate) TcpListener);

/// The client's end of the connection that a request came on.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    broken: Arc<AtomicBool>,
}

impl Peer {
    /// From now on nothing is written; the client sees a TCP reset.
    pub(crate) fn reset(&self) {
        self.broken.store(true, Ordering::SeqCst);
    }
}

impl Connected<IncomingStream<'_, BreakableListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, BreakableListener>) -> Self {
        Self {
            broken: Arc::clone(&stream.io().broken),
        }
    }
}

impl Listener for BreakableListener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            match self.0.accept().await {
                Ok((stream, address)) => return (Connection::new(stream), address),
                // Out of file descriptors, most likely: others will be closed.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// A TCP connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    broken: Arc<AtomicBool>,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        // Answers leave at once; without this they only leave later.
        let _ = stream.set_nodelay(true);
        Self {
            stream,
            broken: Arc::default(),
        }
    }

    /// An error once the peer is to be reset: closing with a linger of zero sends RST.
    fn check(&self) -> io::Result<()> {
        if !self.broken.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.stream.set_zero_linger()?;
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
