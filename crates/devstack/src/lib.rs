//! Private Redis and Postgres servers for development and tests: children of the process that starts them.
//!
//! Everything here dies with the process that made it, also when that process is killed with SIGKILL
//! (on Linux; elsewhere only on an orderly end). Nothing of this crate is linked into a shipped process.

mod account;
mod child;
mod folder;
mod postgres;
mod process_tree;
mod programs;
mod readiness;
mod redis;
mod slot;
mod spawner;
mod start_error;

pub use self::account::Account;
pub use self::child::{ChildOptions, ChildProcess};
pub use self::postgres::{PostgresOptions, PostgresServer};
pub use self::redis::{RedisOptions, RedisServer};
pub use self::start_error::StartError;
pub use nix::sys::signal::Signal;
