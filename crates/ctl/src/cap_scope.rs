//! Whose jobs in flight a cap counts.

use bulkhead_broker::CapScope;
use bulkhead_service::StartError;
use bulkhead_store::{Connection, QueueCapScope, Store, Tenant};

use crate::directory;

/// One connection, one tenant, or each of them.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct CapScopeArgs {
    /// Of this tenant, over all of its connections: name or id
    #[arg(long)]
    tenant: Option<String>,

    /// Of this connection: TENANT/NAME, name or id
    #[arg(long)]
    connection: Option<String>,

    /// Of each tenant that has no cap of its own
    #[arg(long)]
    every_tenant: bool,

    /// Of each connection that has no cap of its own
    #[arg(long)]
    every_connection: bool,
}

/// Whom a cap is for.
#[derive(Debug)]
pub enum Capped {
    /// Each connection that has no cap of its own.
    EveryConnection,
    /// Each tenant that has no cap of its own.
    EveryTenant,
    /// This tenant.
    Tenant(Tenant),
    /// This connection.
    Connection(Connection),
}

impl CapScopeArgs {
    /// Whom they name.
    ///
    /// # Errors
    /// An unknown name; or Postgres failed.
    pub async fn find(&self, store: &Store) -> anyhow::Result<Capped> {
        if let Some(given) = &self.connection {
            let connection = directory::connection(store, None, given).await?;
            return Ok(Capped::Connection(connection));
        }
        if let Some(given) = &self.tenant {
            return Ok(Capped::Tenant(directory::tenant(store, given).await?));
        }
        Ok(if self.every_tenant {
            Capped::EveryTenant
        } else {
            Capped::EveryConnection
        })
    }

    /// Refuses a cap of tenants that the `shards` of a class cannot split.
    ///
    /// # Errors
    /// Exit code 2: it is less than one for each shard.
    pub fn check(&self, max: u32, shards: u16) -> Result<(), StartError> {
        let is_tenants = self.tenant.is_some() || self.every_tenant;
        if !is_tenants || max >= u32::from(shards) {
            return Ok(());
        }
        Err(StartError::refused(format!(
            "a tenant's cap is split over the {shards} shards of a class: it must be {shards} or more, not {max}"
        )))
    }
}

impl Capped {
    /// As Postgres knows them.
    #[must_use]
    pub const fn in_postgres(&self) -> QueueCapScope {
        match self {
            Self::EveryConnection => QueueCapScope::EveryConnection,
            Self::EveryTenant => QueueCapScope::EveryTenant,
            Self::Tenant(tenant) => QueueCapScope::Tenant(tenant.id),
            Self::Connection(one) => QueueCapScope::Connection(one.tenant, one.id),
        }
    }

    /// As Redis knows them.
    #[must_use]
    pub const fn in_redis(&self) -> CapScope {
        match self {
            Self::EveryConnection => CapScope::EveryConnection,
            Self::EveryTenant => CapScope::EveryTenant,
            Self::Tenant(tenant) => CapScope::Tenant(tenant.id),
            Self::Connection(one) => CapScope::Connection(one.id),
        }
    }

    /// As people are told.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::EveryConnection => "each connection".to_owned(),
            Self::EveryTenant => "each tenant".to_owned(),
            Self::Tenant(tenant) => tenant.name.clone(),
            Self::Connection(one) => directory::path(one),
        }
    }
}
