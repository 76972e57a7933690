//! Claims about the whole fleet, shown against real servers and real processes.

mod architecture;
mod collector;
mod crash;
mod drain;
mod judge;
mod leaks;
mod night;
mod redis_loss;
mod stopped_worker;
mod support;
mod takeover;
mod tokens;
mod trace;
