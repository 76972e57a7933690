//! SIGTERM or SIGINT: take nothing new, finish what runs, leave. A second one: leave now.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// The exit code after a second signal.
pub const IMPATIENT_EXIT_CODE: i32 = 130;

/// Cancels `drain` at the first signal and exits with [`IMPATIENT_EXIT_CODE`] at the second.
///
/// From here on neither signal ends the process by itself. Needs a Tokio runtime.
///
/// # Errors
/// The signal handlers could not be installed.
pub fn listen(drain: CancellationToken) -> io::Result<()> {
    let mut signals = Signals {
        terminate: signal(SignalKind::terminate())?,
        interrupt: signal(SignalKind::interrupt())?,
    };
    tokio::spawn(async move {
        let name = signals.next().await;
        info!(
            signal = name,
            "draining: nothing new is taken, what runs is finished; a second signal exits at once"
        );
        drain.cancel();
        let name = signals.next().await;
        warn!(
            signal = name,
            exit_code = IMPATIENT_EXIT_CODE,
            "second signal: exiting at once"
        );
        #[allow(clippy::disallowed_methods)] // a second signal asks for no drain
        std::process::exit(IMPATIENT_EXIT_CODE);
    });
    Ok(())
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
