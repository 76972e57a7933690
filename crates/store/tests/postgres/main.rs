//! The store against a real Postgres. Each test has a database of its own, cloned from a migrated template.

mod audit;
mod connect;
mod fencing;
mod fixture;
mod grants;
mod isolation;
mod migrate;
mod mutants;
mod obligations;
mod operator;
mod orders;
mod outage;
mod queue_settings;
mod sealed;
mod shape;
mod token_refresh;
