//! Pinned usage plans: Postgres says what operators want, Redis obeys what it has been told.
//!
//! The command line tells both. This makes Redis agree where it did not hear of it: it was away, has lost its data, is
//! an older replica, or somebody wrote there by hand. What is compared are the pins, not what was learned of plans: few.

use std::collections::{BTreeMap, BTreeSet};

use bulkhead_broker::{Broker, PlanKey};
use bulkhead_domain::{Class, JobKind, Operation, UsagePlan};
use tracing::warn;

use crate::{error::TickError, scheduler::Scheduler};

/// Pins that are read at a time; more than this many are not a state of a working fleet.
const PINS: u32 = 100_000;

/// Rates that differ by less than this part of them are the same: in Redis they have fourteen digits.
const ROUNDING: f64 = 1e-12;

impl Scheduler {
    /// Makes Redis follow the plans that are pinned in Postgres, and no others; returns how many it did not.
    ///
    /// Redis is read first. An operator's command writes Postgres first: what it changes in between is seen there, and
    /// written once more instead of undone.
    pub(crate) async fn pin_plans(&self) -> Result<u64, TickError> {
        // Those that have jobs call Amazon.
        let classes: BTreeSet<Class> = JobKind::ALL.into_iter().map(JobKind::class).collect();
        let mut queues = Vec::new();
        for class in classes {
            let queue = self.broker.for_class(class);
            let obeyed = queue.pinned_plans().await?;
            queues.push((queue, obeyed));
        }
        let wanted = self.wanted_plans().await?;
        let mut changed = 0;
        for (queue, obeyed) in &queues {
            for (key, plan) in different(&wanted, obeyed) {
                changed += u64::from(tell(queue, key, plan).await?);
            }
        }
        if changed > 0 {
            metrics::counter!("bulkhead_plan_pins_restored_total").increment(changed);
            warn!(
                count = changed,
                "Redis did not follow usage plans as operators have pinned them; it does now"
            );
        }
        Ok(changed)
    }

    /// At the pace of the fleet's Amazon.
    async fn wanted_plans(&self) -> Result<BTreeMap<PlanKey, UsagePlan>, TickError> {
        let pins = self.store.plan_pins().list(PINS).await?;
        let pins = pins.into_iter().map(|pin| {
            let key = PlanKey {
                application: pin.subject.application,
                connection: pin.subject.connection.map(|(_, connection)| connection),
                operation: pin.subject.operation,
            };
            (key, pin.plan.scaled(self.time_scale))
        });
        Ok(pins.collect())
    }
}

/// What has to be pinned; `None`: to be reset. A plan that the shards do not agree on is `None` in `obeyed`.
fn different<'k>(
    wanted: &'k BTreeMap<PlanKey, UsagePlan>,
    obeyed: &'k BTreeMap<PlanKey, Option<UsagePlan>>,
) -> Vec<(&'k PlanKey, Option<UsagePlan>)> {
    let follows = |key: &PlanKey, plan: &UsagePlan| {
        let obeyed = obeyed.get(key).copied().flatten();
        obeyed.is_some_and(|obeyed| same(obeyed, *plan))
    };
    let pin = wanted.iter().filter(|(key, plan)| !follows(key, plan));
    let pin = pin.map(|(key, plan)| (key, Some(*plan)));
    let reset = obeyed.keys().filter(|key| !wanted.contains_key(*key));
    pin.chain(reset.map(|key| (key, None))).collect()
}

fn same(one: UsagePlan, other: UsagePlan) -> bool {
    let apart = (one.rate_per_s - other.rate_per_s).abs();
    one.burst == other.burst && apart <= ROUNDING * other.rate_per_s
}

/// Pins or resets; false if there is no such operation, which a newer version may know.
async fn tell(queue: &Broker, key: &PlanKey, plan: Option<UsagePlan>) -> Result<bool, TickError> {
    let Some(operation) = Operation::find(&key.operation) else {
        return Ok(false);
    };
    let (application, connection) = (key.application, key.connection);
    match plan {
        Some(plan) => {
            queue
                .pin_plan(application, connection, operation, plan)
                .await?;
        }
        None => {
            queue.reset_plan(application, connection, operation).await?;
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use bulkhead_domain::ApplicationId;
    use uuid::Uuid;

    use super::*;

    fn key(n: u128) -> PlanKey {
        PlanKey {
            application: ApplicationId::new(Uuid::from_u128(n)),
            connection: None,
            operation: "orders/v0/getOrder".to_owned(),
        }
    }

    #[test]
    fn only_what_differs_is_pinned_and_what_is_not_wanted_is_reset() {
        let plan = UsagePlan::new(0.0056, 20).scaled(3_000.0);
        let wanted = BTreeMap::from([
            (key(1), plan),
            (key(2), plan),
            (key(3), plan),
            (key(4), plan),
        ]);
        // As Redis writes it down: 16.8 for 16.799999999999997.
        let written = format!("{:.12}", plan.rate_per_s).parse().unwrap();
        let obeyed = BTreeMap::from([
            (key(1), Some(UsagePlan::new(written, 20))),
            (key(2), Some(UsagePlan::new(written, 19))),
            (key(3), None),
            (key(5), Some(plan)),
        ]);
        assert_eq!(
            different(&wanted, &obeyed),
            [
                (&key(2), Some(plan)),
                (&key(3), Some(plan)),
                (&key(4), Some(plan)),
                (&key(5), None)
            ]
        );
    }
}
