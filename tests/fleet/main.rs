//! Claims about the whole fleet, shown against real servers and real processes.

mod architecture;
mod fallback;
mod night;
mod outage;
mod schedule;
mod start;
mod support;
