//! Claims about the whole fleet, shown against real servers and real processes.

mod amazon_faults;
mod architecture;
mod collector;
mod fallback;
mod incremental;
mod leaks;
mod night;
mod outage;
mod schedule;
mod start;
mod support;
mod takeover;
mod tokens;
mod trace;
