//! The scheduler's word, renewed every quarter of its lifetime, that Redis knows every fence: without it no permit is
//! granted. Its own rhythm: a large night must not keep it waiting.
//!
//! In this order: Redis's time and boot nonce, then Postgres, then tombstones and epochs, then the grant, which ends a
//! lifetime after the first of these. A scheduler that is stopped anywhere in between grants what is over by then.

use std::{error::Error, time::Duration};

use bulkhead_broker::{FenceState, StopScope};
use bulkhead_domain::{ApplicationId, ConnectionId, TenantId};
use bulkhead_store::{Fence, FenceScope};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{error::TickError, scheduler::Scheduler};

/// Scopes that have ever been fenced, the most with which this scheduler vouches for them all.
const FENCES: u32 = 1_000_000;

impl Scheduler {
    /// Vouches once for the fences of every shard that has a boot nonce.
    ///
    /// # Errors
    /// [`TickError`]: permits end with the grant before, unless another scheduler renews it.
    pub async fn vouch(&self) -> Result<(), TickError> {
        let clocks = self.fences.grant_clocks().await?;
        let fences = self.store.fences().all(FENCES).await?;
        if fences.len() >= usize::try_from(FENCES).unwrap_or(usize::MAX) {
            return Err(TickError::TooManyFences);
        }
        let states: Vec<FenceState> = fences.iter().map(state).collect();
        self.fences
            .grant(&clocks, &states, self.grant_lifetime)
            .await?;
        Ok(())
    }

    /// Vouches until `drain` is cancelled, every quarter of a grant's lifetime. Which store is away the passes say; here
    /// it is said once what follows, and once that it is over.
    pub(crate) async fn keep_vouching(&self, drain: &CancellationToken) {
        let mut vouches = true;
        let period = self.grant_lifetime / 4;
        while !drain.is_cancelled() {
            match self.vouch().await {
                Ok(()) if !vouches => {
                    vouches = true;
                    info!("this scheduler vouches for the fences again");
                }
                Ok(()) => {}
                Err(error) => {
                    metrics::counter!("bulkhead_grants_failed_total").increment(1);
                    if vouches {
                        vouches = false;
                        warn!(
                            error = &error as &dyn Error,
                            "this scheduler cannot vouch for the fences; unless another one does, calls to Amazon stop"
                        );
                    }
                }
            }
            tokio::select! {
                () = drain.cancelled() => {}
                () = tokio::time::sleep(period) => {}
            }
        }
    }
}

/// How long a grant lasts unless the configuration says otherwise (T_g).
pub(crate) const GRANT_LIFETIME: Duration = Duration::from_secs(2);

fn state(fence: &Fence) -> FenceState {
    FenceState {
        scope: scope(fence),
        epoch: fence.epoch,
        closed: fence.closed,
    }
}

pub(crate) fn scope(fence: &Fence) -> StopScope {
    match fence.scope {
        FenceScope::Application => StopScope::Application(ApplicationId::new(fence.id)),
        FenceScope::Tenant => StopScope::Tenant(TenantId::new(fence.id)),
        FenceScope::Connection => StopScope::Connection(ConnectionId::new(fence.id)),
    }
}
