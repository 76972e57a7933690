use bulkhead_broker::{EnqueueError, FenceError, InspectError, PlanError, SetCapError};
use bulkhead_store::StoreError;

/// Why a pass stopped half-way. The next one goes on: nothing was lost.
#[derive(Debug, thiserror::Error)]
pub enum TickError {
    /// Postgres; if it is away, wait.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Redis refused or did not answer while jobs were enqueued.
    #[error("enqueue due jobs")]
    Enqueue(#[from] EnqueueError),
    /// Redis did not answer while fences were rebuilt or vouched for.
    #[error("write the fences")]
    Fence(#[from] FenceError),
    /// More scopes have been fenced than one grant vouches for: no permits until old fences are removed.
    #[error("more fences than one grant can vouch for")]
    TooManyFences,
    /// Redis did not answer while jobs were looked up.
    #[error("look up jobs")]
    Inspect(#[from] InspectError),
    /// Redis did not answer while a cap was brought to it.
    #[error("restore a cap")]
    Cap(#[from] SetCapError),
    /// Redis did not answer while pinned plans were compared or written.
    #[error("bring pinned usage plans to Redis")]
    Plan(#[from] PlanError),
}

impl TickError {
    /// Whether it is Postgres that failed, not Redis.
    #[must_use]
    pub const fn is_postgres(&self) -> bool {
        matches!(self, Self::Store(_))
    }
}
