//! What operators have set on the queues, with names; several commands show it.

use std::collections::HashMap;

use bulkhead_broker::Stats;
use bulkhead_domain::{Class, ConnectionId, TenantId};
use bulkhead_store::{
    Connection, QueueCap, QueueCapScope, QueueHold, QueueWeight, Store, StoreError, Tenant,
};
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    directory::{self, EVERYTHING},
    table::{Rows, time},
};

/// Every setting.
#[derive(Debug, Serialize)]
pub struct Settings {
    holds: Vec<HoldEntry>,
    weights: Vec<WeightEntry>,
    caps: Vec<CapEntry>,
}

#[derive(Debug, Serialize)]
struct HoldEntry {
    class: Class,
    /// Null: the whole class.
    tenant: Option<String>,
    tenant_id: Option<TenantId>,
    since: Timestamp,
    reason: String,
    /// Whether Redis obeys; null: it was not asked or not reached.
    in_redis: Option<bool>,
}

#[derive(Debug, Serialize)]
struct WeightEntry {
    class: Class,
    tenant: String,
    tenant_id: TenantId,
    weight: f64,
}

/// A cap.
#[derive(Debug, Serialize)]
pub struct CapEntry {
    class: Class,
    /// `each tenant`, `each connection`, `TENANT` or `TENANT/CONNECTION`
    of: String,
    /// Null: of each.
    tenant_id: Option<TenantId>,
    /// Null: of a tenant, or of each.
    connection_id: Option<ConnectionId>,
    max_in_flight: u32,
}

/// Names of tenants and connections.
#[derive(Debug)]
pub struct Names<'n> {
    tenants: HashMap<TenantId, &'n str>,
    connections: HashMap<ConnectionId, &'n Connection>,
}

/// The settings as Postgres has them.
#[derive(Debug, Default)]
pub struct Stored {
    holds: Vec<QueueHold>,
    weights: Vec<QueueWeight>,
    caps: Vec<QueueCap>,
}

impl Stored {
    /// Reads them.
    ///
    /// # Errors
    /// Postgres failed.
    pub async fn read(store: &Store) -> Result<Self, StoreError> {
        let settings = store.queue_settings();
        Ok(Self {
            holds: settings.holds(EVERYTHING).await?,
            weights: settings.weights(EVERYTHING).await?,
            caps: settings.caps(EVERYTHING).await?,
        })
    }

    /// With names; `stats` are what Redis says, if it was reached.
    #[must_use]
    pub fn named(&self, names: &Names<'_>, stats: Option<&[Stats]>) -> Settings {
        let holds = self.holds.iter().map(|hold| HoldEntry {
            class: hold.class,
            tenant: hold.tenant.map(|tenant| names.tenant(tenant)),
            tenant_id: hold.tenant,
            since: hold.since,
            reason: hold.reason.clone(),
            in_redis: stats.and_then(|stats| obeyed(hold, stats)),
        });
        let weights = self.weights.iter().map(|one| WeightEntry {
            class: one.class,
            tenant: names.tenant(one.tenant),
            tenant_id: one.tenant,
            weight: one.weight,
        });
        let caps = self.caps.iter().map(|cap| CapEntry::new(cap, names));
        Settings {
            holds: holds.collect(),
            weights: weights.collect(),
            caps: caps.collect(),
        }
    }
}

fn obeyed(hold: &QueueHold, stats: &[Stats]) -> Option<bool> {
    let class = stats.iter().find(|stats| stats.class == hold.class)?;
    Some(match &hold.tenant {
        Some(tenant) => class.paused_tenants.contains(tenant),
        None => class.paused,
    })
}

impl CapEntry {
    /// A cap with names.
    #[must_use]
    pub fn new(cap: &QueueCap, names: &Names<'_>) -> Self {
        let (of, tenant_id, connection_id) = match cap.scope {
            QueueCapScope::EveryConnection => ("each connection".to_owned(), None, None),
            QueueCapScope::EveryTenant => ("each tenant".to_owned(), None, None),
            QueueCapScope::Tenant(tenant) => (names.tenant(tenant), Some(tenant), None),
            QueueCapScope::Connection(tenant, connection) => {
                let path = names.connection(connection);
                (path, Some(tenant), Some(connection))
            }
        };
        Self {
            class: cap.class,
            of,
            tenant_id,
            connection_id,
            max_in_flight: cap.max_in_flight,
        }
    }

    /// Its cells: class, whose, how many.
    #[must_use]
    pub fn cells(&self) -> [String; 3] {
        let max = self.max_in_flight.to_string();
        [self.class.to_string(), self.of.clone(), max]
    }
}

impl<'n> Names<'n> {
    /// Of these.
    #[must_use]
    pub fn new(tenants: &'n [Tenant], connections: &'n [Connection]) -> Self {
        Self {
            tenants: tenants
                .iter()
                .map(|one| (one.id, one.name.as_str()))
                .collect(),
            connections: connections.iter().map(|one| (one.id, one)).collect(),
        }
    }

    fn tenant(&self, id: TenantId) -> String {
        // Added since the names were read.
        self.tenants
            .get(&id)
            .map_or_else(|| id.to_string(), |name| (*name).to_owned())
    }

    fn connection(&self, id: ConnectionId) -> String {
        self.connections
            .get(&id)
            .map_or_else(|| id.to_string(), |one| directory::path(one))
    }
}

impl Settings {
    /// A table of all; nothing if there are none.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        if self.holds.is_empty() && self.weights.is_empty() && self.caps.is_empty() {
            return String::new();
        }
        let mut rows = Rows::new(&["class", "of", "setting"], "");
        for hold in &self.holds {
            let of = hold.tenant.as_deref().unwrap_or("every tenant").to_owned();
            rows.add([hold.class.to_string(), of, hold.in_short()]);
        }
        for one in &self.weights {
            let weight = format!("weight {}", one.weight);
            rows.add([one.class.to_string(), one.tenant.clone(), weight]);
        }
        for cap in &self.caps {
            let [class, of, max] = cap.cells();
            rows.add([class, of, format!("at most {max} in flight")]);
        }
        rows.render(colour)
    }
}

impl HoldEntry {
    fn in_short(&self) -> String {
        let not_yet = if self.in_redis == Some(false) {
            " (not yet in Redis)"
        } else {
            ""
        };
        format!(
            "held since {}: {}{not_yet}",
            time(Some(self.since)),
            self.reason
        )
    }
}
