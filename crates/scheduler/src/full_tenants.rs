//! Tenants for whose jobs the queue has no room: their obligations stay owed, and everybody else's go on.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use bulkhead_domain::TenantId;
use jiff::{SignedDuration, Timestamp};
use tracing::{info, warn};

/// So long after a refusal nothing of the tenant is claimed: else its rows, due before others', would be claimed and
/// refused over and over, and nothing else reached.
const REST: SignedDuration = SignedDuration::from_secs(5);

/// Since when each has been full; an episode ends when a batch of its jobs has gone in whole.
#[derive(Debug, Default)]
pub(crate) struct FullTenants(Mutex<BTreeMap<TenantId, Episode>>);

#[derive(Debug, Clone, Copy)]
struct Episode {
    since: Timestamp,
    refused_at: Timestamp,
    refused: u64,
}

impl FullTenants {
    /// Those that are left alone at `now`.
    pub(crate) fn resting(&self, now: Timestamp) -> Vec<TenantId> {
        let full = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rests = |episode: &Episode| now.duration_since(episode.refused_at) < REST;
        let resting = full.iter().filter(|(_, episode)| rests(episode));
        resting.map(|(tenant, _)| *tenant).collect()
    }

    /// Notes what became of a batch: whose jobs were in it, and how many of whose were refused.
    pub(crate) fn note(
        &self,
        tenants: &BTreeSet<TenantId>,
        refused: &BTreeMap<TenantId, u64>,
        now: Timestamp,
    ) {
        let mut full = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (tenant, count) in refused {
            metrics::counter!("bulkhead_jobs_refused_total", "reason" => "tenant_full")
                .increment(*count);
            let episode = full.entry(*tenant).or_insert_with(|| {
                warn!(
                    tenant.id = %tenant,
                    count,
                    "the queue has no more room for this tenant; its jobs stay owed until it has"
                );
                Episode {
                    since: now,
                    refused_at: now,
                    refused: 0,
                }
            });
            episode.refused_at = now;
            episode.refused += count;
        }
        for tenant in tenants.iter().filter(|one| !refused.contains_key(one)) {
            if let Some(episode) = full.remove(tenant) {
                info!(
                    tenant.id = %tenant,
                    refused = episode.refused,
                    full_s = now.duration_since(episode.since).as_secs(),
                    "the queue has room for this tenant again"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_full_tenant_is_left_alone_for_a_while_and_an_episode_ends_when_its_jobs_go_in() {
        let tenants = [1, 2].map(|n| TenantId::new(Uuid::from_u128(n)));
        let both = BTreeSet::from(tenants);
        let full = FullTenants::default();
        full.note(&both, &BTreeMap::from([(tenants[0], 7)]), at(10));
        assert_eq!(full.resting(at(14)), [tenants[0]]);
        assert_eq!(full.resting(at(15)), []);
        full.note(&both, &BTreeMap::from([(tenants[0], 1)]), at(16));
        assert_eq!(full.0.lock().unwrap()[&tenants[0]].refused, 8);
        assert_eq!(full.0.lock().unwrap()[&tenants[0]].since, at(10));
        full.note(&both, &BTreeMap::new(), at(22));
        assert!(full.0.lock().unwrap().is_empty());
    }
}
