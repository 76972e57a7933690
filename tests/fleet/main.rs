//! Claims about the whole fleet, shown against real servers and real processes.

mod architecture;
mod night;
mod support;
