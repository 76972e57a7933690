use std::path::PathBuf;

/// What kind of fleet is wanted.
#[derive(Debug, Clone)]
pub struct FleetOptions {
    /// Sellers that the simulated Amazon knows.
    pub sellers: u32,
    /// Orders that each has at the start.
    pub orders: u32,
    /// Of the simulator's data.
    pub seed: u64,
    /// How many times as fast Amazon's time runs.
    pub time_scale: f64,
    /// Where configuration, keys and logs go; a temporary folder if it is not given.
    pub folder: Option<PathBuf>,
    /// A Redis Cluster of three nodes instead of one server.
    pub redis_cluster: bool,
    /// Flush Postgres to disk as in production.
    pub durable: bool,
    /// J of the permits, in milliseconds.
    pub jitter_ms: u64,
    /// How long a lease lasts, in milliseconds.
    pub visibility_timeout_ms: u64,
    /// Jobs at a time per worker process.
    pub concurrency: usize,
    /// Of the scheduler, in milliseconds.
    pub tick_ms: u64,
}

impl Default for FleetOptions {
    fn default() -> Self {
        Self {
            sellers: 24,
            orders: 2_000,
            seed: 1,
            time_scale: 100.0,
            folder: None,
            redis_cluster: false,
            durable: false,
            jitter_ms: 50,
            visibility_timeout_ms: 10_000,
            concurrency: 16,
            tick_ms: 200,
        }
    }
}
