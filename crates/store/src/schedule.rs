//! Nightly schedules, and how far they are planned.

use std::time::Duration;

use bulkhead_domain::{Dataset, NightlySchedule, ScheduleId, TenantId};
use jiff::{SignedDuration, civil::Time as CivilTime, tz::TimeZone};
use jiff_sqlx::{Time, Timestamp, ToSqlx};
use serde_json::json;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    answer::{count, limit, millis, within},
    audit::{self, NewAuditEvent},
    connect::Store,
    error::{AddError, StoreError},
};

/// A schedule to be.
#[derive(Debug, Clone, Copy)]
pub struct NewSchedule<'a> {
    /// Whose.
    pub tenant: TenantId,
    /// Its id.
    pub id: ScheduleId,
    /// Which dataset it keeps; one schedule per tenant and dataset.
    pub dataset: Dataset,
    /// The tenant's time zone, an IANA name.
    pub time_zone: &'a str,
    /// When its night begins there.
    pub starts_at: CivilTime,
    /// Over how long the connections are spread, a day at most.
    pub window: Duration,
    /// Nights that begin until here are not planned.
    pub planned_until: jiff::Timestamp,
}

/// A schedule.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Whose.
    pub tenant: TenantId,
    /// Its id.
    pub id: ScheduleId,
    /// Which dataset it keeps.
    pub dataset: Dataset,
    /// The name of its time zone.
    pub time_zone: String,
    /// When its night begins there.
    pub starts_at: CivilTime,
    /// Over how long the connections are spread.
    pub window: Duration,
    /// Whether nights are planned.
    pub enabled: bool,
    /// Nights that begin until here have their obligations.
    pub planned_until: jiff::Timestamp,
}

impl Schedule {
    /// Its arithmetic.
    ///
    /// # Errors
    /// If this host does not know the time zone.
    pub fn nightly(&self) -> Result<NightlySchedule, jiff::Error> {
        Ok(NightlySchedule {
            time_zone: TimeZone::get(&self.time_zone)?,
            starts_at: self.starts_at,
            window: SignedDuration::from_millis(millis(self.window)),
        })
    }
}

/// The schedules.
#[derive(Debug, Clone, Copy)]
pub struct Schedules<'s>(&'s PgPool);

impl Store {
    /// The schedules.
    #[must_use]
    pub const fn schedules(&self) -> Schedules<'_> {
        Schedules(&self.pool)
    }
}

impl Schedules<'_> {
    /// Adds a schedule; `actor` goes into the audit log. For the command line.
    ///
    /// # Errors
    /// [`AddError`].
    pub async fn add(&self, schedule: &NewSchedule<'_>, actor: &str) -> Result<(), AddError> {
        let mut transaction = within("add a schedule", self.0.begin()).await?;
        insert(&mut transaction, schedule, actor).await?;
        within("add a schedule", transaction.commit()).await?;
        Ok(())
    }

    /// Switches a schedule on or off; what is planned stays. Returns whether there is such a schedule.
    ///
    /// # Errors
    /// As any statement.
    pub async fn set_enabled(
        &self,
        tenant: TenantId,
        id: ScheduleId,
        enabled: bool,
        actor: &str,
    ) -> Result<bool, StoreError> {
        const DOING: &str = "switch a schedule";
        let mut transaction = within(DOING, self.0.begin()).await?;
        let switch = sqlx::query_file!(
            "queries/schedules/set_enabled.sql",
            tenant.uuid(),
            id.uuid(),
            enabled
        );
        let switched = within(DOING, switch.execute(&mut *transaction)).await?;
        if switched.rows_affected() == 0 {
            return Ok(false);
        }
        let event = NewAuditEvent {
            tenant: Some(tenant),
            actor,
            action: "schedule.enable",
            resource: &format!("schedule/{id}"),
            details: json!({ "enabled": enabled }),
        };
        audit::append(&mut transaction, &event).await?;
        within(DOING, transaction.commit()).await?;
        Ok(true)
    }

    /// Schedules, of one tenant if given, up to `rows`.
    ///
    /// # Errors
    /// As any statement.
    pub async fn list(
        &self,
        tenant: Option<TenantId>,
        rows: u32,
    ) -> Result<Vec<Schedule>, StoreError> {
        const DOING: &str = "list schedules";
        let list = sqlx::query_file_as!(
            ScheduleRow,
            "queries/schedules/list.sql",
            tenant.map(TenantId::uuid),
            limit(rows)
        );
        let found = within(DOING, list.fetch_all(self.0)).await?;
        found.into_iter().map(|row| row.read(DOING)).collect()
    }

    /// Up to `rows` enabled schedules that are planned less far than `until`, the furthest behind first. For the
    /// scheduler.
    ///
    /// # Errors
    /// As any statement.
    pub async fn to_plan(
        &self,
        until: jiff::Timestamp,
        rows: u32,
    ) -> Result<Vec<Schedule>, StoreError> {
        const DOING: &str = "find schedules to plan";
        let list = sqlx::query_file_as!(
            ScheduleRow,
            "queries/schedules/to_plan.sql",
            until.to_sqlx() as _,
            limit(rows)
        );
        let found = within(DOING, list.fetch_all(self.0)).await?;
        found.into_iter().map(|row| row.read(DOING)).collect()
    }

    /// Notes that the nights of `schedule` until `until` have their obligations: call it after
    /// [`crate::Obligations::plan`], since planning twice is harmless and not planning is not. Returns whether it was
    /// still planned as far as `schedule` says; if not, another scheduler did it.
    ///
    /// # Errors
    /// As any statement.
    pub async fn advance(
        &self,
        schedule: &Schedule,
        until: jiff::Timestamp,
    ) -> Result<bool, StoreError> {
        let advance = sqlx::query_file!(
            "queries/schedules/advance.sql",
            schedule.tenant.uuid(),
            schedule.id.uuid(),
            schedule.planned_until.to_sqlx() as _,
            until.to_sqlx() as _
        );
        let advanced = within("advance a schedule", advance.execute(self.0)).await?;
        Ok(advanced.rows_affected() == 1)
    }
}

/// Adds a schedule in the transaction that is open in `session`.
pub(crate) async fn insert(
    session: &mut PgConnection,
    schedule: &NewSchedule<'_>,
    actor: &str,
) -> Result<(), AddError> {
    let insert = sqlx::query_file!(
        "queries/schedules/insert.sql",
        schedule.tenant.uuid(),
        schedule.id.uuid(),
        schedule.dataset.as_str(),
        schedule.time_zone,
        schedule.starts_at.to_sqlx() as _,
        millis(schedule.window),
        schedule.planned_until.to_sqlx() as _
    );
    within("add a schedule", insert.execute(&mut *session))
        .await
        .map_err(AddError::of("schedule"))?;
    let event = NewAuditEvent {
        tenant: Some(schedule.tenant),
        actor,
        action: "schedule.add",
        resource: &format!("schedule/{}", schedule.id),
        details: json!({
            "dataset": schedule.dataset, "time_zone": schedule.time_zone, "starts_at": schedule.starts_at
        }),
    };
    audit::append(session, &event).await?;
    Ok(())
}

struct ScheduleRow {
    tenant_id: Uuid,
    id: Uuid,
    dataset: String,
    time_zone: String,
    starts_at: Time,
    window_ms: i64,
    enabled: bool,
    planned_until: Timestamp,
}

impl ScheduleRow {
    fn read(self, doing: &'static str) -> Result<Schedule, StoreError> {
        Ok(Schedule {
            tenant: TenantId::new(self.tenant_id),
            id: ScheduleId::new(self.id),
            dataset: self
                .dataset
                .parse()
                .map_err(StoreError::unreadable(doing))?,
            time_zone: self.time_zone,
            starts_at: self.starts_at.to_jiff(),
            window: Duration::from_millis(count(self.window_ms)),
            enabled: self.enabled,
            planned_until: self.planned_until.to_jiff(),
        })
    }
}
