//! A Redis without a boot nonce of its own has lost its data, or is new, or has older data: a replica that took over, or
//! a server that was started again. No permit is granted there.
//!
//! In this order: tombstones of everything that Postgres says is stopped, then operators' weights, holds, caps and
//! pinned plans, so that nothing runs that is held, and nothing is called oftener than was agreed; then everything
//! enqueued is owed again, then a new nonce, under which buckets start empty and fencing tokens are greater than any
//! that Postgres has seen.
//!
//! One scheduler does it at a time: two at once could leave a nonce of either on some shards, and what the first has
//! enqueued would be owed once more.

use std::time::Duration;

use bulkhead_domain::FencingToken;
use bulkhead_service::crash_point;
use bulkhead_store::RebuildTurn;
use jiff::Timestamp;
use tracing::{info, warn};
use uuid::Uuid;

use crate::{
    error::TickError,
    grantor::scope,
    scheduler::{BATCH, Scheduler},
};

/// Closed fences that are read at a time; more than this many at once is not a state of a working fleet.
const FENCES: u32 = 100_000;

/// Between two questions whether somebody else has rebuilt.
const TURN_EVERY: Duration = Duration::from_millis(50);

impl Scheduler {
    /// Rebuilds Redis if it needs it; returns how many obligations are owed again.
    ///
    /// # Errors
    /// [`TickError`]; the next pass does it from the start.
    pub async fn rebuild(&self, now: Timestamp) -> Result<Option<u64>, TickError> {
        let Some(mut turn) = self.turn().await? else {
            return Ok(None);
        };
        warn!(
            "Redis has no boot nonce of its own: it is new, has lost its data, or has another server's, which may be \
             older; rebuilding it from Postgres"
        );
        self.fences.withdraw().await?;
        crash_point::reach("scheduler.rebuild.withdrawn");
        let fences = self.store.fences().all(FENCES).await?;
        let closed = fences.iter().filter(|fence| fence.closed);
        for fence in closed.clone() {
            self.fences.stop(scope(fence)).await?;
        }
        crash_point::reach("scheduler.rebuild.fenced");
        let settings = self.settle().await?;
        crash_point::reach("scheduler.rebuild.settled");
        let owed = self.owe_all_again(now, &mut turn).await?;
        crash_point::reach("scheduler.rebuild.owed");
        let floor = FencingToken::from_redis(self.store.obligations().max_fencing_token().await?);
        turn.keep().await?;
        self.fences
            .establish(&Uuid::new_v4().to_string(), floor)
            .await?;
        crash_point::reach("scheduler.rebuild.established");
        // Not by the grantor's next turn: jobs that are enqueued now would go away for longer.
        self.vouch().await?;
        turn.end().await?;
        metrics::counter!("bulkhead_redis_rebuilds_total").increment(1);
        info!(
            fences = closed.count(),
            settings,
            owed_again = owed,
            "rebuilt Redis; permits may be granted again"
        );
        Ok(Some(owed))
    }

    /// The turn to rebuild a Redis that needs it; `None` if none does, or somebody else has done it meanwhile.
    async fn turn(&self) -> Result<Option<RebuildTurn>, TickError> {
        while self.fences.boot_nonce().await?.is_none() {
            if let Some(turn) = self.store.rebuild_turn().await? {
                // Who had it before may have ended between the two questions.
                let is_needed = self.fences.boot_nonce().await?.is_none();
                return Ok(is_needed.then_some(turn));
            }
            tokio::time::sleep(TURN_EVERY).await;
        }
        Ok(None)
    }

    async fn owe_all_again(
        &self,
        now: Timestamp,
        turn: &mut RebuildTurn,
    ) -> Result<u64, TickError> {
        let mut owed = 0;
        loop {
            turn.keep().await?;
            let more = self.store.obligations().owe_all_again(now, BATCH).await?;
            if more == 0 {
                return Ok(owed);
            }
            owed += more;
        }
    }
}
