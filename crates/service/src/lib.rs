//! The shell of every process: configuration, logs, traces, metrics, health, drain, crash points.
//!
//! A binary is its [`Process`], and a `main` that hands its work to [`run()`]:
//!
//! ```no_run
//! use bulkhead_service::{Need, Process, Shell};
//!
//! const PROCESS: Process = Process::new("bulkhead-example").needs(&[Need::Redis]);
//!
//! fn main() -> std::process::ExitCode {
//!     bulkhead_service::run(PROCESS, async |shell: Shell| {
//!         shell.health.ready(true);
//!         shell.drain.cancelled().await;
//!         Ok(())
//!     })
//! }
//! ```
//!
//! | module | noun |
//! |---|---|
//! | [`config`] | one TOML file for the fleet, the environment, flags: checked whole |
//! | [`args`] | the flags that every process has |
//! | [`process`] | what a binary is and needs |
//! | [`mod@run`] | from `main` to the exit code |
//! | [`start_error`] | why a process did not start, and its exit code |
//! | [`shell`] | what the work gets |
//! | [`drain`] | SIGTERM → finish what runs |
//! | [`health`] | `/healthz`, `/readyz`, `/metrics` |
//! | [`metrics`] | the recorder behind `/metrics` |
//! | [`telemetry`] | logs and traces |
//! | [`redaction`] | secrets that got into a log line all the same |
//! | [`trace`] | one trace across processes |
//! | [`outage`] | a dependency down: logged once |
//! | [`crash_point`] | where a test kills this process |
//! | [`tls`] | ring, for every connection |
//! | [`core_dump`] | memory that must not reach a disk |

pub mod args;
pub mod config;
pub mod core_dump;
pub mod crash_point;
pub mod drain;
pub mod health;
pub mod metrics;
mod otlp;
pub mod outage;
mod panic;
pub mod process;
pub mod redaction;
pub mod run;
pub mod shell;
pub mod start_error;
pub mod telemetry;
pub mod tls;
pub mod trace;

pub use args::Args;
pub use config::{Config, ConfigError, Need};
pub use health::HealthHandle;
pub use outage::Outage;
pub use process::Process;
pub use run::{NoArgs, run, run_with};
pub use shell::Shell;
pub use start_error::{StartError, reach};
pub use tokio_util::sync::CancellationToken;
