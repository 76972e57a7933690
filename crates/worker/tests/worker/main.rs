//! The worker on the real broker and real, private Redis servers. The test decides how each run of a handler ends.

#![allow(clippy::unwrap_used, reason = "a failure here is the point")]

mod cluster;
mod drain;
mod fixture;
mod leases;
mod loss;
mod outcomes;
