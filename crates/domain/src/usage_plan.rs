//! How often Amazon lets one application call one operation for one seller.

use serde::{Deserialize, Serialize};

/// A token bucket as Amazon publishes it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct UsagePlan {
    /// Refill, in requests per second.
    pub rate_per_s: f64,
    /// Size of the bucket, in requests.
    pub burst: u32,
}

/// Whose calls a usage plan counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitScope {
    /// Those for one seller.
    Connection,
    /// Those of the application, over all its sellers.
    Application,
}

impl UsagePlan {
    /// A plan of `rate_per_s` requests per second with a bucket of `burst`.
    #[must_use]
    pub const fn new(rate_per_s: f64, burst: u32) -> Self {
        Self { rate_per_s, burst }
    }

    /// The plan where time runs `factor` times as fast: against a simulator with a time scale.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self {
            rate_per_s: self.rate_per_s * factor,
            burst: self.burst,
        }
    }
}
