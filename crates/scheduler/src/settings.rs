//! Weights, holds, caps and pinned plans: Postgres says what operators want, Redis obeys what it has been told.
//!
//! The command line tells both. This makes Redis agree where it did not hear of it: it was away, has lost its data, is
//! an older replica, or somebody wrote there by hand. What is compared are the settings, not tenants or jobs: few.

use std::collections::{BTreeMap, BTreeSet};

use bulkhead_broker::{Broker, CapScope};
use bulkhead_domain::{Class, TenantId};
use bulkhead_store::{QueueCap, QueueCapScope, QueueHold, QueueWeight};
use tracing::warn;

use crate::{error::TickError, scheduler::Scheduler};

/// Settings of a sort that are read at a time; more than this many are not a state of a working fleet.
const SETTINGS: u32 = 100_000;

/// The settings of one class; in `holds`, `None` is the class itself.
#[derive(Debug, Default)]
struct Wanted {
    weights: BTreeMap<TenantId, f64>,
    holds: BTreeSet<Option<TenantId>>,
    caps: BTreeMap<CapScope, u32>,
}

/// What Redis obeys in one class: a hold that some shards have not heard of is false, a weight or cap on which they
/// differ is 0.
#[derive(Debug)]
struct Obeyed {
    weights: BTreeMap<TenantId, f64>,
    holds: BTreeMap<Option<TenantId>, bool>,
    caps: BTreeMap<CapScope, u32>,
}

impl Scheduler {
    /// Makes Redis obey the settings that Postgres has; returns how many it did not.
    ///
    /// Redis is read first. An operator's command writes Postgres first: what it changes in between is seen there, and
    /// written once more instead of undone.
    ///
    /// # Errors
    /// [`TickError`]; the next pass goes on.
    pub async fn settle(&self) -> Result<u64, TickError> {
        let queues = Class::ALL.map(|class| self.broker.for_class(class));
        let mut obeyed = Vec::new();
        for queue in &queues {
            obeyed.push(Obeyed::read(queue).await?);
        }
        let mut wanted = self.wanted().await?;
        let mut changed = 0;
        for (queue, obeyed) in queues.iter().zip(&obeyed) {
            let wanted = wanted.remove(&queue.class()).unwrap_or_default();
            changed += hold(queue, &wanted, obeyed).await?;
            changed += weigh(queue, &wanted, obeyed).await?;
            changed += cap(queue, &wanted, obeyed).await?;
        }
        if changed > 0 {
            metrics::counter!("bulkhead_queue_settings_restored_total").increment(changed);
            warn!(
                count = changed,
                "Redis did not have these settings as operators want them; it has now"
            );
        }
        Ok(changed + self.pin_plans().await?)
    }

    async fn wanted(&self) -> Result<BTreeMap<Class, Wanted>, TickError> {
        let settings = self.store.queue_settings();
        let mut classes: BTreeMap<Class, Wanted> = BTreeMap::new();
        for QueueHold { tenant, class, .. } in settings.holds(SETTINGS).await? {
            classes.entry(class).or_default().holds.insert(tenant);
        }
        for QueueWeight {
            tenant,
            class,
            weight,
        } in settings.weights(SETTINGS).await?
        {
            let wanted = classes.entry(class).or_default();
            wanted.weights.insert(tenant, weight);
        }
        for cap in settings.caps(SETTINGS).await? {
            let wanted = classes.entry(cap.class).or_default();
            wanted
                .caps
                .insert(scope(cap.scope), self.least_that_works(cap));
        }
        Ok(classes)
    }

    /// A tenant's cap is split over the shards. One from before they became more than it allows is raised to one each,
    /// rather than not obeyed.
    fn least_that_works(&self, cap: QueueCap) -> u32 {
        let least = match cap.scope {
            QueueCapScope::EveryTenant | QueueCapScope::Tenant(_) => {
                u32::from(self.broker.shards())
            }
            QueueCapScope::EveryConnection | QueueCapScope::Connection(..) => 1,
        };
        cap.max_in_flight.max(least)
    }
}

impl Obeyed {
    async fn read(queue: &Broker) -> Result<Self, TickError> {
        Ok(Self {
            weights: queue.weights().await?,
            holds: queue.holds().await?,
            caps: queue.caps().await?,
        })
    }
}

async fn hold(queue: &Broker, wanted: &Wanted, obeyed: &Obeyed) -> Result<u64, TickError> {
    let mut changed = 0;
    for whom in &wanted.holds {
        if obeyed.holds.get(whom) == Some(&true) {
            continue;
        }
        match whom {
            Some(tenant) => queue.pause_tenant(*tenant).await?,
            None => queue.pause_class().await?,
        };
        changed += 1;
    }
    for whom in obeyed.holds.keys() {
        if wanted.holds.contains(whom) {
            continue;
        }
        match whom {
            Some(tenant) => queue.resume_tenant(*tenant).await?,
            None => queue.resume_class().await?,
        };
        changed += 1;
    }
    Ok(changed)
}

async fn weigh(queue: &Broker, wanted: &Wanted, obeyed: &Obeyed) -> Result<u64, TickError> {
    let mut changed = 0;
    for (tenant, weight) in different(&wanted.weights, &obeyed.weights) {
        queue.set_weight(tenant, weight.unwrap_or(1.0)).await?;
        changed += 1;
    }
    Ok(changed)
}

async fn cap(queue: &Broker, wanted: &Wanted, obeyed: &Obeyed) -> Result<u64, TickError> {
    let mut changed = 0;
    for (scope, max) in different(&wanted.caps, &obeyed.caps) {
        queue.set_cap(scope, max).await?;
        changed += 1;
    }
    Ok(changed)
}

/// What has to be set to another value; `None`: to none.
fn different<K: Ord + Copy, V: PartialEq + Copy>(
    wanted: &BTreeMap<K, V>,
    obeyed: &BTreeMap<K, V>,
) -> Vec<(K, Option<V>)> {
    let keys: BTreeSet<K> = wanted.keys().chain(obeyed.keys()).copied().collect();
    let pairs = keys.into_iter().map(|key| (key, wanted.get(&key).copied()));
    pairs
        .filter(|(key, value)| obeyed.get(key).copied() != *value)
        .collect()
}

const fn scope(scope: QueueCapScope) -> CapScope {
    match scope {
        QueueCapScope::EveryConnection => CapScope::EveryConnection,
        QueueCapScope::EveryTenant => CapScope::EveryTenant,
        QueueCapScope::Tenant(tenant) => CapScope::Tenant(tenant),
        QueueCapScope::Connection(_, connection) => CapScope::Connection(connection),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_set_and_what_is_not_wanted_is_taken_away() {
        let wanted = BTreeMap::from([('a', 1), ('b', 2), ('c', 3)]);
        let obeyed = BTreeMap::from([('b', 2), ('c', 0), ('d', 4)]);
        assert_eq!(
            different(&wanted, &obeyed),
            [('a', Some(1)), ('c', Some(3)), ('d', None)]
        );
    }
}
