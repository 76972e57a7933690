//! Which connections a command is for.

use bulkhead_store::{Connection, Store};

use crate::directory::{self, EVERYTHING};

/// One connection, or all of a tenant.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Scope {
    /// This connection: TENANT/NAME, name or id
    #[arg(long)]
    connection: Option<String>,

    /// All connections of this tenant: name or id
    #[arg(long)]
    tenant: Option<String>,
}

impl Scope {
    /// The connections.
    ///
    /// # Errors
    /// An unknown name; or Postgres failed.
    pub async fn connections(&self, store: &Store) -> anyhow::Result<Vec<Connection>> {
        if let Some(given) = &self.connection {
            return Ok(vec![directory::connection(store, None, given).await?]);
        }
        let Some(given) = &self.tenant else {
            return Ok(Vec::new());
        };
        let tenant = directory::tenant(store, given).await?;
        Ok(store
            .connections()
            .list(Some(tenant.id), EVERYTHING)
            .await?)
    }
}
