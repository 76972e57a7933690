//! Whose work a command is about: a connection, a tenant's connections, or all.

use bulkhead_store::{Connection, Store};

use crate::directory::{self, EVERYTHING};

/// A connection, all of a tenant, or all.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Whom {
    /// This connection: TENANT/NAME, name or id
    #[arg(long)]
    pub connection: Option<String>,

    /// All connections of this tenant: name or id
    #[arg(long)]
    tenant: Option<String>,

    /// All connections of all tenants
    #[arg(long)]
    all: bool,
}

impl Whom {
    /// The connections.
    ///
    /// # Errors
    /// An unknown name; or Postgres failed.
    pub async fn connections(&self, store: &Store) -> anyhow::Result<Vec<Connection>> {
        if let Some(given) = &self.connection {
            return Ok(vec![directory::connection(store, None, given).await?]);
        }
        let tenant = match &self.tenant {
            Some(given) => Some(directory::tenant(store, given).await?.id),
            None => None,
        };
        Ok(store.connections().list(tenant, EVERYTHING).await?)
    }
}
