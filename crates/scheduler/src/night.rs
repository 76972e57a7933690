//! Schedules become the obligations of the coming nights, each connection at its own place in the window.

use bulkhead_domain::{ApplicationId, ConnectionId, JobId, NightlySchedule, Priority};
use bulkhead_store::{NewSync, Schedule};
use jiff::{SignedDuration, Timestamp, civil::Date};
use tracing::{error, info};

use crate::{
    error::TickError,
    scheduler::{BATCH, Scheduler},
};

/// How far ahead nights are planned: a scheduler may be away this long without a night being late.
pub const HORIZON: SignedDuration = SignedDuration::from_hours(24);

/// A horizon is moved in steps of this, so that most passes have nothing to plan.
const STEP: SignedDuration = SignedDuration::from_hours(1);

/// A night's sync should be done this long after its window has ended.
const DEADLINE: SignedDuration = SignedDuration::from_hours(12);

/// Schedules planned in one pass.
const SCHEDULES: u32 = 100;

impl Scheduler {
    /// Plans the nights that begin within the horizon; returns how many obligations are new.
    ///
    /// # Errors
    /// As Postgres.
    pub async fn plan_nights(&self, now: Timestamp) -> Result<u64, TickError> {
        let behind = now.saturating_add(HORIZON - STEP).unwrap_or(Timestamp::MAX);
        let until = now.saturating_add(HORIZON).unwrap_or(Timestamp::MAX);
        let mut planned = 0;
        for schedule in self.store.schedules().to_plan(behind, SCHEDULES).await? {
            planned += self.plan_schedule(&schedule, until).await?;
        }
        if planned > 0 {
            info!(count = planned, "planned nightly syncs");
        }
        Ok(planned)
    }

    async fn plan_schedule(&self, schedule: &Schedule, until: Timestamp) -> Result<u64, TickError> {
        let nights = match nights(schedule, until) {
            Ok(nights) => nights,
            Err(problem) => {
                // The others' nights must not wait for it; the next pass says so again.
                error!(schedule.id = %schedule.id, tenant.id = %schedule.tenant, error = %problem, "cannot plan this schedule");
                return Ok(0);
            }
        };
        let mut planned = 0;
        let mut after = None;
        while !nights.is_empty() {
            let page = self
                .store
                .connections()
                .active(schedule.tenant, after, BATCH)
                .await?;
            let Some(&(last, _)) = page.last() else {
                break;
            };
            after = Some(last);
            for (date, nightly) in &nights {
                let syncs: Vec<NewSync> = page
                    .iter()
                    .filter_map(|&(connection, application)| {
                        sync(schedule, nightly, *date, connection, application)
                    })
                    .collect();
                planned += self.store.obligations().plan(&syncs).await?;
            }
        }
        self.store.schedules().advance(schedule, until).await?;
        Ok(planned)
    }
}

fn nights(
    schedule: &Schedule,
    until: Timestamp,
) -> Result<Vec<(Date, NightlySchedule)>, jiff::Error> {
    if !schedule.enabled {
        return Ok(Vec::new());
    }
    let nightly = schedule.nightly()?;
    let dates = nightly.nights_between(schedule.planned_until, until)?;
    Ok(dates
        .into_iter()
        .map(|date| (date, nightly.clone()))
        .collect())
}

/// `None` only for moments outside years −9999 to 9999.
fn sync(
    schedule: &Schedule,
    nightly: &NightlySchedule,
    date: Date,
    connection: ConnectionId,
    application: ApplicationId,
) -> Option<NewSync> {
    let due_at = nightly.due(date, connection).ok()?;
    let deadline = nightly
        .night_of(date)
        .ok()?
        .checked_add(nightly.window + DEADLINE)
        .ok();
    let id = JobId::deterministic(&[
        &schedule.id.to_string(),
        &connection.to_string(),
        schedule.dataset.as_str(),
        &date.to_string(),
    ]);
    Some(NewSync {
        tenant: schedule.tenant,
        id,
        connection,
        application,
        dataset: schedule.dataset,
        since: None,
        priority: Priority::NIGHT,
        due_at,
        deadline,
    })
}
