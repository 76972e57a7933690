//! The broker against real, private Redis servers. Time is Redis's as the test moves it.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests: a failure is the point, a seed must be seen"
)]

mod fairness;
mod fences;
mod fixture;
mod grants;
mod identities;
mod invariants;
mod leases;
mod loss;
mod operators;
mod permits;
mod plans;
mod shares;
