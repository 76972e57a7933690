//! The command line of operators and on-call engineers: `bulkhead`.
//!
//! | module | noun |
//! |---|---|
//! | [`cli`], `command` | the command line; one file per command |
//! | [`session`] | what a command works with |
//! | [`exit`], [`not_found`] | from an error to the exit code; 5: nothing has this name |
//! | [`output`], [`table`] | an answer: a table for people, one JSON document for scripts |
//! | [`directory`], [`scope`], [`cap_scope`], [`class`] | tenants, applications and connections by name or id; classes |
//! | [`whom`] | the connections that a command is about |
//! | [`plan_subject`] | usage plans that operators pin |
//! | [`queues`], [`told`] | Redis, of every class that has jobs; whether it was told of a setting |
//! | [`job_entry`], [`setting_entry`], [`moved`], [`taken`], [`sync_forecast`] | answers that several commands give |
//! | [`secret_input`], [`prompt`], [`secret_shape`], [`sealed`] | secrets: in by file, pipe or prompt; out sealed |
//! | [`name`], [`number`], [`since`], [`choice`], [`suggestion`] | what may be typed, and "did you mean" |
//! | [`actor`] | who does it |

use bulkhead_service::Process;

pub mod actor;
pub mod cap_scope;
pub mod choice;
pub mod class;
pub mod cli;
mod command;
pub mod directory;
pub mod exit;
pub mod forward;
pub mod job_entry;
pub mod moved;
pub mod name;
pub mod not_found;
pub mod number;
pub mod output;
pub mod plan_subject;
pub mod prompt;
pub mod queues;
pub mod scope;
pub mod sealed;
pub mod secret_input;
pub mod secret_shape;
pub mod session;
pub mod setting_entry;
pub mod since;
pub mod suggestion;
pub mod sync_forecast;
pub mod table;
pub mod taken;
pub mod told;
pub mod whom;

pub use cli::Cli;

/// This binary.
pub const PROCESS: Process = Process::tool("bulkhead").about(
    "Operates a Bulkhead fleet: onboards tenants and sellers, enqueues work, looks at it, stops it",
);
