//! `bulkhead tenant list`

use std::collections::BTreeMap;

use bulkhead_domain::{Class, Dataset, ScheduleId, TenantId};
use bulkhead_store::{QueueWeight, Schedule};
use jiff::{SignedDuration, Timestamp, civil::Time};
use serde::Serialize;

use crate::{
    directory::EVERYTHING,
    output::Answer,
    queues,
    session::Session,
    table::{Rows, time},
};

/// Lists the tenants with their nightly schedules
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bulkhead tenant list
  bulkhead tenant list --json | jq -r '.[].name'")]
pub(crate) struct TenantList {}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Tenants(Vec<TenantEntry>);

#[derive(Debug, Serialize)]
struct TenantEntry {
    id: TenantId,
    name: String,
    policy: String,
    /// Its share of the workers in each class.
    weights: BTreeMap<Class, f64>,
    created_at: Timestamp,
    schedules: Vec<ScheduleEntry>,
}

#[derive(Debug, Serialize)]
struct ScheduleEntry {
    id: ScheduleId,
    dataset: Dataset,
    time_zone: String,
    starts_at: Time,
    window_ms: u64,
    enabled: bool,
    planned_until: Timestamp,
}

impl TenantList {
    pub(super) async fn run(self, session: &mut Session) -> anyhow::Result<()> {
        let store = session.store().await?;
        let schedules = store.schedules().list(None, EVERYTHING).await?;
        let weights = store.queue_settings().weights(EVERYTHING).await?;
        let tenants = store.tenants().list(EVERYTHING).await?;
        let entries = tenants.into_iter().map(|tenant| TenantEntry {
            schedules: of_tenant(&schedules, tenant.id),
            weights: in_classes(&weights, tenant.id),
            id: tenant.id,
            name: tenant.name,
            policy: tenant.policy,
            created_at: tenant.created_at,
        });
        session.show(&Tenants(entries.collect()))
    }
}

/// The tenant's weight in every class, 1 unless set.
fn in_classes(weights: &[QueueWeight], tenant: TenantId) -> BTreeMap<Class, f64> {
    let mut classes: BTreeMap<Class, f64> = queues::classes()
        .into_iter()
        .map(|class| (class, 1.0))
        .collect();
    // In order of tenant, as the list comes.
    let from = weights.partition_point(|one| one.tenant < tenant);
    let own = weights[from..]
        .iter()
        .take_while(|one| one.tenant == tenant);
    classes.extend(own.map(|one| (one.class, one.weight)));
    classes
}

/// `3`, or `sync 3, token 1` if they differ.
fn weight_in_short(weights: &BTreeMap<Class, f64>) -> String {
    let mut numbers = weights.values();
    let first = numbers.next().copied().unwrap_or(1.0);
    if numbers.all(|one| *one == first) {
        return first.to_string();
    }
    let each: Vec<String> = weights
        .iter()
        .map(|(class, weight)| format!("{class} {weight}"))
        .collect();
    each.join(", ")
}

fn of_tenant(schedules: &[Schedule], tenant: TenantId) -> Vec<ScheduleEntry> {
    // In order of tenant, as the list comes.
    let from = schedules.partition_point(|schedule| schedule.tenant < tenant);
    let own = schedules[from..]
        .iter()
        .take_while(|schedule| schedule.tenant == tenant);
    own.map(ScheduleEntry::from).collect()
}

impl From<&Schedule> for ScheduleEntry {
    fn from(schedule: &Schedule) -> Self {
        Self {
            id: schedule.id,
            dataset: schedule.dataset,
            time_zone: schedule.time_zone.clone(),
            starts_at: schedule.starts_at,
            window_ms: u64::try_from(schedule.window.as_millis()).unwrap_or(u64::MAX),
            enabled: schedule.enabled,
            planned_until: schedule.planned_until,
        }
    }
}

impl ScheduleEntry {
    fn in_short(&self) -> String {
        let window = i64::try_from(self.window_ms).unwrap_or(i64::MAX);
        let window = SignedDuration::from_millis(window);
        let off = if self.enabled { "" } else { " (off)" };
        format!(
            "{} {} {} +{window:#}{off}",
            self.dataset, self.starts_at, self.time_zone
        )
    }
}

impl Answer for Tenants {
    fn for_people(&self, colour: bool) -> String {
        let none = "no tenants yet: add one with `bulkhead tenant add NAME`";
        let mut rows = Rows::new(
            &["name", "weight", "policy", "nightly", "added", "id"],
            none,
        );
        for tenant in &self.0 {
            let nightly: Vec<String> = tenant
                .schedules
                .iter()
                .map(ScheduleEntry::in_short)
                .collect();
            rows.add([
                tenant.name.clone(),
                weight_in_short(&tenant.weights),
                tenant.policy.clone(),
                if nightly.is_empty() {
                    "-".to_owned()
                } else {
                    nightly.join(", ")
                },
                time(Some(tenant.created_at)),
                tenant.id.to_string(),
            ]);
        }
        rows.render(colour)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_shown_once_if_it_is_the_same_everywhere() {
        let weights = |sync, token| BTreeMap::from([(Class::Sync, sync), (Class::Token, token)]);
        assert_eq!(weight_in_short(&weights(3.0, 3.0)), "3");
        assert_eq!(weight_in_short(&weights(0.5, 1.0)), "sync 0.5, token 1");
    }

    #[test]
    fn a_schedule_is_shown_in_short() {
        let schedule = ScheduleEntry {
            id: ScheduleId::new(uuid::Uuid::nil()),
            dataset: Dataset::Orders,
            time_zone: "Europe/Berlin".to_owned(),
            starts_at: Time::constant(2, 0, 0, 0),
            window_ms: 14_400_000,
            enabled: false,
            planned_until: Timestamp::UNIX_EPOCH,
        };
        assert_eq!(
            schedule.in_short(),
            "orders 02:00:00 Europe/Berlin +4h (off)"
        );
    }
}
