//! The command line of operators and on-call engineers: `bulkhead`.
//!
//! | module | noun |
//! |---|---|
//! | [`cli`], `command` | the command line; one file per command |
//! | [`session`] | what a command works with |
//! | [`exit`], [`not_found`] | from an error to the exit code; 5: nothing has this name |
//! | [`output`], [`table`] | an answer: a table for people, one JSON document for scripts |
//! | [`directory`], [`scope`], [`whom`] | tenants, applications and connections by name or id |
//! | [`plan_subject`], [`told_plan`] | usage plans that operators pin, and whether Redis obeys |
//! | [`queues`] | Redis, of every class that has jobs |
//! | [`job_entry`], [`moved`], [`taken`], [`sync_forecast`] | answers that several commands give |
//! | [`secret_input`], [`prompt`], [`secret_shape`], [`sealed`] | secrets: in by file, pipe or prompt; out sealed |
//! | [`name`], [`since`], [`choice`], [`suggestion`] | what may be typed, and "did you mean" |
//! | [`actor`] | who does it |

use bulkhead_service::Process;

pub mod actor;
pub mod choice;
pub mod cli;
mod command;
pub mod directory;
pub mod exit;
pub mod job_entry;
pub mod moved;
pub mod name;
pub mod not_found;
pub mod output;
pub mod plan_subject;
pub mod prompt;
pub mod queues;
pub mod scope;
pub mod sealed;
pub mod secret_input;
pub mod secret_shape;
pub mod session;
pub mod since;
pub mod suggestion;
pub mod sync_forecast;
pub mod table;
pub mod taken;
pub mod told_plan;
pub mod whom;

pub use cli::Cli;

/// This binary.
pub const PROCESS: Process = Process::tool("bulkhead").about(
    "Operates a Bulkhead fleet: onboards tenants and sellers, enqueues work, looks at it, stops it",
);
