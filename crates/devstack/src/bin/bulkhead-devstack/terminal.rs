use std::io;

use bulkhead_devstack::Signal;
use tokio::signal::unix::{self, SignalKind};

/// Ctrl-C and SIGTERM; from `listen` on they no longer end this process.
#[derive(Debug)]
pub(crate) struct Interruptions {
    interrupt: unix::Signal,
    terminate: unix::Signal,
}

impl Interruptions {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: unix::signal(SignalKind::interrupt())?,
            terminate: unix::signal(SignalKind::terminate())?,
        })
    }

    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::SIGINT,
            _ = self.terminate.recv() => Signal::SIGTERM,
        }
    }
}
