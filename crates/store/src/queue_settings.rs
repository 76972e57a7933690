//! What operators set on the queues: weights, holds and caps. Redis obeys a copy.

use std::{fmt, str::FromStr};

use bulkhead_domain::{Class, ConnectionId, TenantId, job::UnknownName};
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    answer::{limit, within},
    audit::{self, NewAuditEvent},
    connect::Store,
    error::StoreError,
};

/// A tenant's share of the workers in a class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QueueWeight {
    /// Whose.
    pub tenant: TenantId,
    /// Where.
    pub class: Class,
    /// Times the share of a tenant without one: 0.01 to 100, and not 1.
    pub weight: f64,
}

/// What an operator holds: its queued jobs stay where they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueHold {
    /// Whose; `None`: every tenant's.
    pub tenant: Option<TenantId>,
    /// Where.
    pub class: Class,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

/// How many jobs may be in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueCap {
    /// Of whom.
    pub scope: QueueCapScope,
    /// Where.
    pub class: Class,
    /// At once; at least 1.
    pub max_in_flight: u32,
}

/// Whose jobs in flight a cap counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum QueueCapScope {
    /// Of each connection that has no cap of its own.
    EveryConnection,
    /// Of each tenant that has no cap of its own.
    EveryTenant,
    /// Of this tenant.
    Tenant(TenantId),
    /// Of this tenant's connection.
    Connection(TenantId, ConnectionId),
}

impl QueueCapScope {
    const fn tenant(self) -> Option<TenantId> {
        match self {
            Self::Tenant(tenant) | Self::Connection(tenant, _) => Some(tenant),
            Self::EveryConnection | Self::EveryTenant => None,
        }
    }

    const fn connection(self) -> Option<ConnectionId> {
        match self {
            Self::Connection(_, connection) => Some(connection),
            Self::EveryConnection | Self::EveryTenant | Self::Tenant(_) => None,
        }
    }

    /// The scope as it stands in Postgres.
    const fn kind(self) -> &'static str {
        match self {
            Self::EveryConnection => "every_connection",
            Self::EveryTenant => "every_tenant",
            Self::Tenant(_) => "tenant",
            Self::Connection(..) => "connection",
        }
    }

    fn read(
        kind: &str,
        tenant: Option<Uuid>,
        connection: Option<Uuid>,
    ) -> Result<Self, UnknownName> {
        match (kind, tenant, connection) {
            ("every_connection", None, None) => Ok(Self::EveryConnection),
            ("every_tenant", None, None) => Ok(Self::EveryTenant),
            ("tenant", Some(tenant), None) => Ok(Self::Tenant(TenantId::new(tenant))),
            ("connection", Some(tenant), Some(connection)) => Ok(Self::Connection(
                TenantId::new(tenant),
                ConnectionId::new(connection),
            )),
            _ => Err(UnknownName {
                what: "scope of a cap",
                name: kind.to_owned(),
            }),
        }
    }
}

/// As the audit log names the resource.
impl fmt::Display for QueueCapScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EveryConnection => f.write_str("connections"),
            Self::EveryTenant => f.write_str("tenants"),
            Self::Tenant(tenant) => write!(f, "tenant/{tenant}"),
            Self::Connection(_, connection) => write!(f, "connection/{connection}"),
        }
    }
}

/// The settings: the command line writes them, the scheduler brings them to Redis.
#[derive(Debug, Clone, Copy)]
pub struct QueueSettings<'s>(&'s PgPool);

impl Store {
    /// What operators set on the queues.
    #[must_use]
    pub const fn queue_settings(&self) -> QueueSettings<'_> {
        QueueSettings(&self.pool)
    }
}

impl QueueSettings<'_> {
    /// Gives a tenant `weight` times the share of others in `classes`. Returns those where it had another.
    ///
    /// # Errors
    /// As any statement; refused unless it is 0.01 to 100.
    pub async fn set_weight(
        &self,
        tenant: TenantId,
        classes: &[Class],
        weight: f64,
        actor: &str,
    ) -> Result<Vec<Class>, StoreError> {
        const DOING: &str = "set a tenant's weight";
        let mut transaction = within(DOING, self.0.begin()).await?;
        let changed = write_weight(&mut transaction, tenant, classes, weight).await?;
        let change = Change {
            tenant: Some(tenant),
            action: "tenant.weight",
            resource: format!("tenant/{tenant}"),
            details: json!({ "classes": changed, "weight": weight }),
        };
        change.note(&mut transaction, &changed, actor).await?;
        within(DOING, transaction.commit()).await?;
        Ok(changed)
    }

    /// Holds a tenant, or with `None` every one, in `classes`. Returns those that were running.
    ///
    /// # Errors
    /// As any statement.
    pub async fn hold(
        &self,
        tenant: Option<TenantId>,
        classes: &[Class],
        reason: &str,
        actor: &str,
    ) -> Result<Vec<Class>, StoreError> {
        const DOING: &str = "hold a queue";
        let mut transaction = within(DOING, self.0.begin()).await?;
        let hold = sqlx::query_file_scalar!(
            "queries/queue_holds/set.sql",
            tenant.map(TenantId::uuid) as _,
            &names(classes),
            reason
        );
        let changed = changed(DOING, hold.fetch_all(&mut *transaction)).await?;
        let details = json!({ "classes": changed, "reason": reason });
        let change = Change::of_hold(tenant, "pause", &changed, details);
        change.note(&mut transaction, &changed, actor).await?;
        within(DOING, transaction.commit()).await?;
        Ok(changed)
    }

    /// Lets a tenant, or with `None` the classes themselves, go on in `classes`. Returns those that were held.
    ///
    /// # Errors
    /// As any statement.
    pub async fn let_go(
        &self,
        tenant: Option<TenantId>,
        classes: &[Class],
        actor: &str,
    ) -> Result<Vec<Class>, StoreError> {
        const DOING: &str = "let a queue go on";
        let mut transaction = within(DOING, self.0.begin()).await?;
        let clear = sqlx::query_file_scalar!(
            "queries/queue_holds/clear.sql",
            tenant.map(TenantId::uuid) as _,
            &names(classes)
        );
        let changed = changed(DOING, clear.fetch_all(&mut *transaction)).await?;
        let details = json!({ "classes": changed });
        let change = Change::of_hold(tenant, "resume", &changed, details);
        change.note(&mut transaction, &changed, actor).await?;
        within(DOING, transaction.commit()).await?;
        Ok(changed)
    }

    /// Caps what is in flight of `scope` in `classes`; `None`: no cap any more. Returns those where it was another.
    ///
    /// # Errors
    /// As any statement; refused if the cap is 0.
    pub async fn set_cap(
        &self,
        scope: QueueCapScope,
        classes: &[Class],
        max_in_flight: Option<u32>,
        actor: &str,
    ) -> Result<Vec<Class>, StoreError> {
        const DOING: &str = "set a cap";
        let mut transaction = within(DOING, self.0.begin()).await?;
        let changed = match max_in_flight {
            Some(max) => write_cap(&mut transaction, scope, classes, max).await?,
            None => clear_cap(&mut transaction, scope, classes).await?,
        };
        let change = Change {
            tenant: scope.tenant(),
            action: if max_in_flight.is_some() {
                "cap.set"
            } else {
                "cap.clear"
            },
            resource: scope.to_string(),
            details: json!({ "classes": changed, "max_in_flight": max_in_flight }),
        };
        change.note(&mut transaction, &changed, actor).await?;
        within(DOING, transaction.commit()).await?;
        Ok(changed)
    }

    /// Every weight that is not 1, up to `rows`.
    ///
    /// # Errors
    /// As any statement.
    pub async fn weights(&self, rows: u32) -> Result<Vec<QueueWeight>, StoreError> {
        const DOING: &str = "list weights";
        let list = sqlx::query_file!("queries/queue_weights/list.sql", limit(rows));
        let found = within(DOING, list.fetch_all(self.0)).await?;
        let read = found.into_iter().map(|row| {
            Ok(QueueWeight {
                tenant: TenantId::new(row.tenant_id),
                class: class(DOING, &row.class)?,
                weight: row.weight,
            })
        });
        read.collect()
    }

    /// Every hold, up to `rows`; those of whole classes first.
    ///
    /// # Errors
    /// As any statement.
    pub async fn holds(&self, rows: u32) -> Result<Vec<QueueHold>, StoreError> {
        const DOING: &str = "list holds";
        let list = sqlx::query_file!("queries/queue_holds/list.sql", limit(rows));
        let found = within(DOING, list.fetch_all(self.0)).await?;
        let read = found.into_iter().map(|row| {
            Ok(QueueHold {
                tenant: row.tenant_id.map(TenantId::new),
                class: class(DOING, &row.class)?,
                reason: row.reason,
                since: row.since.to_jiff(),
            })
        });
        read.collect()
    }

    /// Every cap, up to `rows`; the defaults first.
    ///
    /// # Errors
    /// As any statement.
    pub async fn caps(&self, rows: u32) -> Result<Vec<QueueCap>, StoreError> {
        const DOING: &str = "list caps";
        let list = sqlx::query_file!("queries/queue_caps/list.sql", limit(rows));
        let found = within(DOING, list.fetch_all(self.0)).await?;
        let read = found.into_iter().map(|row| {
            let scope = QueueCapScope::read(&row.scope, row.tenant_id, row.connection_id);
            Ok(QueueCap {
                scope: scope.map_err(StoreError::unreadable(DOING))?,
                class: class(DOING, &row.class)?,
                max_in_flight: u32::try_from(row.max_in_flight).unwrap_or(1),
            })
        });
        read.collect()
    }
}

/// What the audit log says of a change.
struct Change {
    tenant: Option<TenantId>,
    action: &'static str,
    resource: String,
    details: Value,
}

impl Change {
    /// Of a tenant or of whole classes; `verb` is `pause` or `resume`.
    fn of_hold(
        tenant: Option<TenantId>,
        verb: &'static str,
        changed: &[Class],
        details: Value,
    ) -> Self {
        let resource = tenant.map_or_else(
            || format!("class/{}", names(changed).join(",")),
            |tenant| format!("tenant/{tenant}"),
        );
        let action = match (tenant, verb) {
            (Some(_), "pause") => "tenant.pause",
            (Some(_), _) => "tenant.resume",
            (None, "pause") => "class.pause",
            (None, _) => "class.resume",
        };
        Self {
            tenant,
            action,
            resource,
            details,
        }
    }

    /// Appends it to the transaction that is open in `session`, unless nothing changed.
    async fn note(
        self,
        session: &mut PgConnection,
        changed: &[Class],
        actor: &str,
    ) -> Result<(), StoreError> {
        if changed.is_empty() {
            return Ok(());
        }
        let event = NewAuditEvent {
            tenant: self.tenant,
            actor,
            action: self.action,
            resource: &self.resource,
            details: self.details,
        };
        audit::append(session, &event).await
    }
}

/// Sets a weight in the transaction that is open in `session`; returns the classes where it was another.
pub(crate) async fn write_weight(
    session: &mut PgConnection,
    tenant: TenantId,
    classes: &[Class],
    weight: f64,
) -> Result<Vec<Class>, StoreError> {
    const DOING: &str = "set a tenant's weight";
    if weight == 1.0 {
        let clear = sqlx::query_file_scalar!(
            "queries/queue_weights/clear.sql",
            tenant.uuid(),
            &names(classes)
        );
        changed(DOING, clear.fetch_all(session)).await
    } else {
        let set = sqlx::query_file_scalar!(
            "queries/queue_weights/set.sql",
            tenant.uuid(),
            &names(classes),
            weight
        );
        changed(DOING, set.fetch_all(session)).await
    }
}

async fn write_cap(
    session: &mut PgConnection,
    scope: QueueCapScope,
    classes: &[Class],
    max_in_flight: u32,
) -> Result<Vec<Class>, StoreError> {
    const DOING: &str = "set a cap";
    let set = sqlx::query_file_scalar!(
        "queries/queue_caps/set.sql",
        scope.tenant().map(TenantId::uuid) as _,
        scope.connection().map(ConnectionId::uuid) as _,
        scope.kind(),
        &names(classes),
        i32::try_from(max_in_flight).unwrap_or(i32::MAX)
    );
    changed(DOING, set.fetch_all(session)).await
}

async fn clear_cap(
    session: &mut PgConnection,
    scope: QueueCapScope,
    classes: &[Class],
) -> Result<Vec<Class>, StoreError> {
    const DOING: &str = "take a cap away";
    let clear = sqlx::query_file_scalar!(
        "queries/queue_caps/clear.sql",
        scope.tenant().map(TenantId::uuid) as _,
        scope.connection().map(ConnectionId::uuid) as _,
        scope.kind(),
        &names(classes)
    );
    changed(DOING, clear.fetch_all(session)).await
}

fn names(classes: &[Class]) -> Vec<String> {
    classes.iter().map(ToString::to_string).collect()
}

fn class(doing: &'static str, name: &str) -> Result<Class, StoreError> {
    Class::from_str(name).map_err(StoreError::unreadable(doing))
}

/// The classes that a statement names, in their order.
async fn changed(
    doing: &'static str,
    statement: impl Future<Output = Result<Vec<String>, sqlx::Error>>,
) -> Result<Vec<Class>, StoreError> {
    let names = within(doing, statement).await?;
    let classes: Result<Vec<Class>, StoreError> =
        names.iter().map(|name| class(doing, name)).collect();
    let mut classes = classes?;
    classes.sort_unstable();
    Ok(classes)
}
