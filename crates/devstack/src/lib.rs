//! Private Redis and Postgres servers for development and tests: children of the process that
//! starts them.
//!
//! Everything here dies with the process that made it, also when that process is killed with
//! SIGKILL (on Linux; elsewhere only on an orderly end). Nothing of this crate is linked into a
//! shipped process.

mod account;
mod child;
mod child_options;
mod cluster;
mod database;
mod database_error;
mod fault_proxy;
pub mod fleet;
mod folder;
mod postgres;
mod process_tree;
mod programs;
mod readiness;
mod redis;
mod redis_cluster;
mod redis_user;
mod slot;
mod spawner;
mod stack_state;
mod start_error;
mod template;

pub use self::account::Account;
pub use self::child::ChildProcess;
pub use self::child_options::ChildOptions;
pub use self::cluster::{Cluster, TEST_POSTGRES};
pub use self::database::Database;
pub use self::database_error::DatabaseError;
pub use self::fault_proxy::{FaultProxy, Target};
pub use self::postgres::{PostgresOptions, PostgresServer};
pub use self::programs::{psql, redis_cli};
pub use self::redis::{RedisOptions, RedisServer};
pub use self::redis_cluster::{OpenSlot, RedisCluster};
pub use self::redis_user::RedisUser;
pub use self::stack_state::{StackState, StackStateError};
pub use self::start_error::StartError;
pub use self::template::TemplateDatabase;
pub use nix::sys::signal::Signal;
