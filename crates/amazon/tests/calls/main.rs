//! Calls with permits of a real broker on a real Redis, against a simulated Amazon and against servers that answer as no Amazon should.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failure of a test is the point; a skip is told"
)]

mod documents;
mod fleet;
mod hostile;
mod model;
mod observed;
mod simulated;
mod wire_server;
