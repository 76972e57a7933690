//! Calls with permits of a real broker on a real Redis, against a simulated Amazon and against servers that answer as no Amazon should.
#![allow(clippy::unwrap_used, reason = "a failure of a test is the point")]

mod fleet;
mod hostile;
mod model;
mod simulated;
mod wire_server;
