//! Claims about the whole fleet, shown against real servers and real processes.

mod amazon_faults;
mod architecture;
mod fallback;
mod incremental;
mod night;
mod outage;
mod schedule;
mod start;
mod support;
