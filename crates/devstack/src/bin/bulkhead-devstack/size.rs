//! How large a fleet the demo and `up` make.

use bulkhead_devstack::fleet::FleetOptions;

/// How large a fleet is, and how fast its Amazon's time runs.
#[derive(Debug, clap::Args)]
pub(crate) struct Size {
    /// Connections. A multiple of eight gives one tenant three times as many as each of the five others; another number
    /// comes near that, and one below eight leaves tenants out.
    #[arg(long, default_value_t = 24, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=2_000))]
    pub(crate) sellers: u32,
    /// Orders of each seller.
    #[arg(long, default_value_t = 2_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200_000))]
    pub(crate) orders: u32,
    /// Seed of the simulated data.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many times as fast Amazon's time runs: usage plans, tokens, orders.
    #[arg(long, default_value_t = 100.0, value_name = "X")]
    pub(crate) time_scale: f64,
    /// On a Redis Cluster of three nodes instead of one server.
    #[arg(long)]
    pub(crate) cluster: bool,
}

impl Size {
    /// A fleet of this size whose Postgres writes to disk as in production.
    pub(crate) fn options(&self) -> FleetOptions {
        FleetOptions {
            sellers: self.sellers,
            orders: self.orders,
            seed: self.seed,
            time_scale: self.time_scale,
            redis_cluster: self.cluster,
            durable: true,
            ..Default::default()
        }
    }
}
