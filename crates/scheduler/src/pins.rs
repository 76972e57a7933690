//! Pinned usage plans: Postgres says what operators want, Redis obeys what it has been told.
//!
//! The command line tells both. This makes Redis agree where it did not hear of it: it was away, has lost its data, is
//! an older replica, or somebody wrote there by hand.

use std::collections::{BTreeMap, BTreeSet};

use bulkhead_broker::{Broker, PlanFilter, PlanSource};
use bulkhead_domain::{ApplicationId, Class, ConnectionId, JobKind, Operation, UsagePlan};
use tracing::warn;

use crate::{error::TickError, scheduler::Scheduler};

/// Pins that are read at a time; more than this many are not a state of a working fleet.
const PINS: u32 = 100_000;

/// What a plan is for.
type Subject = (ApplicationId, Option<ConnectionId>, String);

impl Scheduler {
    /// Makes Redis follow the plans that are pinned in Postgres, and no others; returns how many it did not.
    ///
    /// Redis is read first. An operator's command writes Postgres first: what it changes in between is seen there, and
    /// written once more instead of undone.
    ///
    /// # Errors
    /// [`TickError`]; the next pass goes on.
    pub async fn pin_plans(&self) -> Result<u64, TickError> {
        // Those that have jobs call Amazon.
        let classes: BTreeSet<Class> = JobKind::ALL.into_iter().map(JobKind::class).collect();
        let mut queues = Vec::new();
        for class in classes {
            let queue = self.broker.for_class(class);
            let obeyed = obeyed(&queue).await?;
            queues.push((queue, obeyed));
        }
        let wanted = self.wanted_plans().await?;
        let mut changed = 0;
        for (queue, obeyed) in &queues {
            for (subject, plan) in &wanted {
                if obeyed.get(subject) != Some(plan) {
                    changed += u64::from(tell(queue, subject, Some(*plan)).await?);
                }
            }
            for subject in obeyed
                .keys()
                .filter(|subject| !wanted.contains_key(subject))
            {
                changed += u64::from(tell(queue, subject, None).await?);
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
    async fn wanted_plans(&self) -> Result<BTreeMap<Subject, UsagePlan>, TickError> {
        let pins = self.store.plan_pins().list(PINS).await?;
        let pins = pins.into_iter().map(|pin| {
            let connection = pin.subject.connection.map(|(_, connection)| connection);
            let subject = (pin.subject.application, connection, pin.subject.operation);
            (subject, pin.plan.scaled(self.time_scale))
        });
        Ok(pins.collect())
    }
}

async fn obeyed(queue: &Broker) -> Result<BTreeMap<Subject, UsagePlan>, TickError> {
    let plans = queue.plans(&PlanFilter::default()).await?;
    let pinned = plans
        .into_iter()
        .filter(|plan| plan.source == PlanSource::Pinned);
    Ok(pinned
        .map(|plan| {
            (
                (plan.application, plan.connection, plan.operation),
                plan.in_force,
            )
        })
        .collect())
}

/// Pins or resets; false if there is no such operation, which a newer version may know.
async fn tell(
    queue: &Broker,
    (application, connection, operation): &Subject,
    plan: Option<UsagePlan>,
) -> Result<bool, TickError> {
    let Some(operation) = Operation::find(operation) else {
        return Ok(false);
    };
    match plan {
        Some(plan) => {
            queue
                .pin_plan(*application, *connection, operation, plan)
                .await?;
        }
        None => {
            queue
                .reset_plan(*application, *connection, operation)
                .await?;
        }
    }
    Ok(true)
}
