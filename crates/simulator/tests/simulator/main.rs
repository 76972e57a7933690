//! The simulator, seen over HTTP as a client sees it.

#![allow(
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a failure in a test's helper is the test's failure; a skipped check must be seen"
)]

mod control;
mod documents;
mod faults;
mod paging;
mod plans;
mod process;
mod reports;
mod rig;
mod swagger;
mod tokens;
