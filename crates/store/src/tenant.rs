//! Customers of the platform.

use bulkhead_domain::{Class, TenantId};
use jiff_sqlx::Timestamp;
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    answer::{limit, within},
    audit::{self, NewAuditEvent},
    connect::Store,
    error::{AddError, StoreError},
    queue_settings,
    schedule::{self, NewSchedule},
};

/// A tenant to be.
#[derive(Debug, Clone, Copy)]
pub struct NewTenant<'a> {
    /// Its id.
    pub id: TenantId,
    /// Unique among tenants.
    pub name: &'a str,
    /// Its retention policy.
    pub policy: &'a str,
    /// Its share of the workers in `classes` relative to other tenants, 0.01 to 100; 1 is the rule.
    pub weight: f64,
    /// Where its weight is to count.
    pub classes: &'a [Class],
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Unique among tenants.
    pub name: String,
    /// Its retention policy.
    pub policy: String,
    /// When it was added.
    pub created_at: jiff::Timestamp,
}

/// The tenants, for the command line.
#[derive(Debug, Clone, Copy)]
pub struct Tenants<'s>(&'s PgPool);

impl Store {
    /// The tenants.
    #[must_use]
    pub const fn tenants(&self) -> Tenants<'_> {
        Tenants(&self.pool)
    }
}

struct TenantRow {
    id: Uuid,
    name: String,
    policy: String,
    created_at: Timestamp,
}

impl From<TenantRow> for Tenant {
    fn from(row: TenantRow) -> Self {
        Self {
            id: TenantId::new(row.id),
            name: row.name,
            policy: row.policy,
            created_at: row.created_at.to_jiff(),
        }
    }
}

impl Tenants<'_> {
    /// Adds a tenant, with its nightly schedule if it has one already; `actor` goes into the audit log.
    ///
    /// # Errors
    /// [`AddError`]; then neither is added.
    pub async fn add(
        &self,
        tenant: &NewTenant<'_>,
        schedule: Option<&NewSchedule<'_>>,
        actor: &str,
    ) -> Result<(), AddError> {
        const DOING: &str = "add a tenant";
        let mut transaction = within(DOING, self.0.begin()).await?;
        let insert = sqlx::query_file!(
            "queries/tenants/insert.sql",
            tenant.id.uuid(),
            tenant.name,
            tenant.policy
        );
        within(DOING, insert.execute(&mut *transaction))
            .await
            .map_err(AddError::of("tenant"))?;
        queue_settings::write_weight(&mut transaction, tenant.id, tenant.classes, tenant.weight)
            .await
            .map_err(AddError::of("tenant"))?;
        let event = NewAuditEvent {
            tenant: Some(tenant.id),
            actor,
            action: "tenant.add",
            resource: &format!("tenant/{}", tenant.id),
            details: serde_json::json!({
                "name": tenant.name,
                "policy": tenant.policy,
                "weight": tenant.weight,
            }),
        };
        audit::append(&mut transaction, &event).await?;
        if let Some(schedule) = schedule {
            schedule::insert(&mut transaction, schedule, actor).await?;
        }
        within(DOING, transaction.commit()).await?;
        Ok(())
    }

    /// Tenants by name, up to `rows`.
    ///
    /// # Errors
    /// As any statement.
    pub async fn list(&self, rows: u32) -> Result<Vec<Tenant>, StoreError> {
        let list = sqlx::query_file_as!(TenantRow, "queries/tenants/list.sql", limit(rows));
        let found = within("list tenants", list.fetch_all(self.0)).await?;
        Ok(found.into_iter().map(Tenant::from).collect())
    }

    /// The tenant of this name.
    ///
    /// # Errors
    /// As any statement.
    pub async fn find(&self, name: &str) -> Result<Option<Tenant>, StoreError> {
        let find = sqlx::query_file_as!(TenantRow, "queries/tenants/find.sql", name);
        let found = within("find a tenant", find.fetch_optional(self.0)).await?;
        Ok(found.map(Tenant::from))
    }
}
