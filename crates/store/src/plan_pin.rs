//! Usage plans that operators have pinned. Redis obeys a copy.

use bulkhead_domain::{ApplicationId, ConnectionId, TenantId, UsagePlan};
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::{
    answer::{limit, within},
    audit::{self, NewAuditEvent},
    connect::Store,
    error::StoreError,
};

/// What a pinned plan is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlanSubject {
    /// Which application calls.
    pub application: ApplicationId,
    /// For which seller; `None`: the limit of the application over all its sellers.
    pub connection: Option<(TenantId, ConnectionId)>,
    /// Which operation: `orders/2026-01-01/searchOrders`.
    pub operation: String,
}

/// A pinned plan.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanPin {
    /// What it is for.
    pub subject: PlanSubject,
    /// At Amazon's pace, also where a simulator runs faster.
    pub plan: UsagePlan,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

/// The pins: the command line writes them, the scheduler brings them to Redis.
#[derive(Debug, Clone, Copy)]
pub struct PlanPins<'s>(&'s PgPool);

impl Store {
    /// Usage plans that operators have pinned.
    #[must_use]
    pub const fn plan_pins(&self) -> PlanPins<'_> {
        PlanPins(&self.pool)
    }
}

impl PlanPins<'_> {
    /// Pins a plan; returns whether it was another or none.
    ///
    /// # Errors
    /// As any statement; refused unless the rate is 10⁻⁶ to 10⁶ a second and the burst 1 to 10⁶.
    pub async fn set(
        &self,
        subject: &PlanSubject,
        plan: UsagePlan,
        reason: &str,
        actor: &str,
    ) -> Result<bool, StoreError> {
        const DOING: &str = "pin a usage plan";
        let mut transaction = within(DOING, self.0.begin()).await?;
        let set = sqlx::query_file!(
            "queries/plan_pins/set.sql",
            subject.tenant() as _,
            subject.connection() as _,
            subject.application.uuid(),
            subject.operation,
            plan.rate_per_s,
            i32::try_from(plan.burst).unwrap_or(i32::MAX),
            reason
        );
        let changed = within(DOING, set.execute(&mut *transaction)).await?;
        let changed = changed.rows_affected() > 0;
        if changed {
            let details = json!({
                "operation": subject.operation,
                "rate_per_s": plan.rate_per_s,
                "burst": plan.burst,
                "reason": reason,
            });
            let event = subject.event("plan.set", details, actor);
            audit::append(&mut transaction, &event.as_new()).await?;
        }
        within(DOING, transaction.commit()).await?;
        Ok(changed)
    }

    /// Takes a pin away, and notes that what was learned is forgotten; returns whether there was a pin.
    ///
    /// # Errors
    /// As any statement.
    pub async fn reset(&self, subject: &PlanSubject, actor: &str) -> Result<bool, StoreError> {
        const DOING: &str = "reset a usage plan";
        let mut transaction = within(DOING, self.0.begin()).await?;
        let clear = sqlx::query_file!(
            "queries/plan_pins/clear.sql",
            subject.tenant() as _,
            subject.connection() as _,
            subject.application.uuid(),
            subject.operation
        );
        let cleared = within(DOING, clear.execute(&mut *transaction)).await?;
        let was_pinned = cleared.rows_affected() > 0;
        let details = json!({ "operation": subject.operation, "was_pinned": was_pinned });
        let event = subject.event("plan.reset", details, actor);
        audit::append(&mut transaction, &event.as_new()).await?;
        within(DOING, transaction.commit()).await?;
        Ok(was_pinned)
    }

    /// Every pin, up to `rows`.
    ///
    /// # Errors
    /// As any statement.
    pub async fn list(&self, rows: u32) -> Result<Vec<PlanPin>, StoreError> {
        let list = sqlx::query_file!("queries/plan_pins/list.sql", limit(rows));
        let found = within("list pinned usage plans", list.fetch_all(self.0)).await?;
        let pins = found.into_iter().map(|row| PlanPin {
            subject: PlanSubject {
                application: ApplicationId::new(row.application_id),
                connection: row
                    .tenant_id
                    .zip(row.connection_id)
                    .map(|(tenant, one)| (TenantId::new(tenant), ConnectionId::new(one))),
                operation: row.operation,
            },
            plan: UsagePlan::new(row.rate_per_s, u32::try_from(row.burst).unwrap_or(1)),
            reason: row.reason,
            since: row.pinned_at.to_jiff(),
        });
        Ok(pins.collect())
    }
}

/// What the audit log is told.
struct Event<'a> {
    tenant: Option<TenantId>,
    actor: &'a str,
    action: &'a str,
    resource: String,
    details: Value,
}

impl Event<'_> {
    fn as_new(&self) -> NewAuditEvent<'_> {
        NewAuditEvent {
            tenant: self.tenant,
            actor: self.actor,
            action: self.action,
            resource: &self.resource,
            details: self.details.clone(),
        }
    }
}

impl PlanSubject {
    fn tenant(&self) -> Option<uuid::Uuid> {
        self.connection.map(|(tenant, _)| tenant.uuid())
    }

    fn connection(&self) -> Option<uuid::Uuid> {
        self.connection.map(|(_, connection)| connection.uuid())
    }

    fn event<'a>(&self, action: &'a str, details: Value, actor: &'a str) -> Event<'a> {
        let (tenant, resource) = match self.connection {
            Some((tenant, connection)) => (Some(tenant), format!("connection/{connection}")),
            None => (None, format!("application/{}", self.application)),
        };
        Event {
            tenant,
            actor,
            action,
            resource,
            details,
        }
    }
}
