//! One job's run, and the process around it: apalis as the runtime over the broker's lanes and leases.
//!
//! | module | noun |
//! |---|---|
//! | [`process`] | a worker process, from its configuration to its drain |
//! | [`handler`], [`outcome`] | what a class of workers implements, and how a run of it ends |
//! | [`Gate`], [`End`] | a job's way into its tenant's rows and out to Amazon, and what closes it |
//! | [`Queue`], [`options`], [`run()`] | the worker itself |
//! | fetcher, acker, beat | the three parts that own the I/O; running, waits and contact are what they share |
//! | backend, attempt | what apalis sees, and what it runs |
//!
//! The README has the way of a job through them, and what is guaranteed.

mod acker;
mod attempt;
mod backend;
mod beat;
mod contact;
mod end;
mod fetcher;
mod gate;
mod gathered;
pub mod handler;
pub mod options;
pub mod outcome;
pub mod process;
mod queue;
mod run;
mod running;
mod shards;
mod waits;

pub use end::End;
pub use gate::{BudgetNews, Gate};
pub use handler::{Handler, JobContext};
pub use options::WorkerOptions;
pub use outcome::Outcome;
pub use queue::Queue;
pub use run::{RunError, run};
