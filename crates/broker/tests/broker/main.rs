//! The broker against real, private Redis servers. Time is Redis's as the test moves it.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests: a failure is the point, a seed must be seen"
)]

mod bounds;
mod caps;
mod cluster;
mod conformance;
mod contracts;
mod crashes;
mod enqueue;
mod failover;
mod fairness;
mod fences;
mod fetches;
mod fixture;
mod forward;
mod ghosts;
mod grants;
mod guards;
mod identities;
mod leases;
mod loss;
mod model;
mod operators;
mod paces;
mod permits;
mod pins;
mod plans;
mod random;
mod shares;
mod turns;
mod waits;
