//! What the work of a process gets from its shell.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::health::HealthHandle;
use crate::process::Process;

/// Everything outside the work itself. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shell {
    /// What this binary is.
    pub process: Process,
    /// Checked whole.
    pub config: Arc<Config>,
    /// Cancelled on SIGTERM or SIGINT: take nothing new, finish what runs, return.
    pub drain: CancellationToken,
    /// Readiness; not ready until the work says so.
    pub health: HealthHandle,
}
