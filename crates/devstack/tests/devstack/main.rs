//! Claims about the dev stack, shown with real servers.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod children;
mod command_line;
mod faults;
mod servers;
mod templates;
