//! Postgres says enqueued, Redis must agree: a job that killed its workers was quarantined without any worker being left
//! to say so, and what was lost otherwise than with a server's run is found here.

use std::collections::BTreeMap;

use bulkhead_broker::Presence;
use bulkhead_domain::{Class, JobId};
use bulkhead_store::{Obligation, ObligationKey};
use jiff::{SignedDuration, Timestamp};
use tracing::{error, warn};

use crate::{
    error::TickError,
    scheduler::{BATCH, Scheduler},
};

/// Younger ones may be between the two stores.
const SETTLED: SignedDuration = SignedDuration::from_secs(60);

/// What a pass found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Unknown to Redis, owed again.
    pub lost: u64,
    /// In the dead letters, given up in Postgres too.
    pub dead: u64,
}

impl Scheduler {
    /// Compares the obligations that have been enqueued longest with what Redis knows.
    ///
    /// # Errors
    /// [`TickError`].
    pub async fn reconcile(&self, now: Timestamp) -> Result<Reconciled, TickError> {
        let before = now.saturating_sub(SETTLED).unwrap_or(Timestamp::MIN);
        let enqueued = self
            .store
            .obligations()
            .enqueued_before(before, BATCH)
            .await?;
        let mut found = Reconciled::default();
        for (class, obligations) in by_class(enqueued) {
            let ids: Vec<JobId> = obligations.iter().map(|obligation| obligation.id).collect();
            let presence = self.broker.for_class(class).presence(&ids).await?;
            let pick = |wanted: Presence| -> Vec<ObligationKey> {
                let both = obligations.iter().zip(&presence);
                let picked = both.filter(|(_, presence)| **presence == wanted);
                picked.map(|(obligation, _)| obligation.key()).collect()
            };
            found.lost += self
                .store
                .obligations()
                .owe_again(&pick(Presence::Absent))
                .await?;
            let dead = pick(Presence::Dead);
            found.dead += self
                .store
                .obligations()
                .mark_dead(&dead, "quarantined: see the dead letter")
                .await?;
            // Seen alive: behind all others, so that the next pass looks at the next ones.
            self.store
                .obligations()
                .mark_enqueued(&pick(Presence::Alive), now)
                .await?;
        }
        if found.lost > 0 {
            warn!(
                count = found.lost,
                "jobs that Redis had lost are owed again"
            );
        }
        if found.dead > 0 {
            error!(
                count = found.dead,
                "gave up obligations whose jobs are dead letters"
            );
        }
        Ok(found)
    }
}

fn by_class(obligations: Vec<Obligation>) -> BTreeMap<Class, Vec<Obligation>> {
    let mut classes: BTreeMap<Class, Vec<Obligation>> = BTreeMap::new();
    for obligation in obligations {
        classes
            .entry(obligation.kind.class())
            .or_default()
            .push(obligation);
    }
    classes
}
