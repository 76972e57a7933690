//! One job's run, and the process around it: apalis as the runtime over the broker's lanes and leases.
//!
//! | module | noun |
//! |---|---|
//! | [`handler`] | what a class of workers implements |
//! | [`outcome`] | how a run ended, by what happens to the job next |
//! | [`options`] | how one process runs |
//! | [`backend`](self) | the apalis `Backend`: moves values, does no I/O |
//! | fetcher, acker, beat | the three tasks that own the I/O |
//!
//! ```text
//!          fetch 64                     one future a job                   acknowledge what gathered
//! broker ───────────▶ fetcher ─▶ channel ─▶ apalis: limit, panic ─▶ handler ─▶ channel ─▶ acker ───▶ broker
//!    ▲                                          │ lease, stop token
//!    └────── renew, reap ── beat (a thread) ◀── running
//! ```
//!
//! A handler that blocks its thread stops fetching and acknowledging, never renewing: the beat has a thread, a runtime
//! and a connection of its own. A lease that cannot be renewed, was superseded or whose job was cancelled drops the
//! handler's future.

mod acker;
mod attempt;
mod backend;
mod beat;
mod contact;
mod end;
mod fetcher;
mod gate;
pub mod handler;
pub mod options;
pub mod outcome;
pub mod process;
mod run;
mod running;

pub use end::End;
pub use gate::Gate;
pub use handler::{Handler, JobContext};
pub use options::WorkerOptions;
pub use outcome::Outcome;
pub use run::{RunError, run};
