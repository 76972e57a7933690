//! Claims about the whole fleet, shown against real servers and real processes.

mod amazon_faults;
mod architecture;
mod cluster;
mod collector;
mod crash;
mod drain;
mod fallback;
mod incremental;
mod judge;
mod leaks;
mod logins;
mod night;
mod outage;
mod pins;
mod redis_loss;
mod schedule;
mod settings;
mod start;
mod stopped_worker;
mod support;
mod takeover;
mod tokens;
mod trace;
