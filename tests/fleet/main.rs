//! Claims about the whole fleet, shown against real servers and real processes.

mod architecture;
mod collector;
mod leaks;
mod night;
mod support;
mod takeover;
mod tokens;
mod trace;
