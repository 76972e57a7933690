//! Claims about the whole fleet, shown against real servers and real processes.

mod architecture;
mod crash;
mod drain;
mod judge;
mod night;
mod redis_loss;
mod stopped_worker;
mod support;
