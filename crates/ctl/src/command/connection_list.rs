//! `bulkhead connection list`

use std::collections::HashMap;

use bulkhead_domain::{ApplicationId, ConnectionId, Region, TenantId};
use bulkhead_store::{Connection, ConnectionState};
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    choice::choice,
    directory::{self, EVERYTHING},
    output::Answer,
    session::Session,
    table::{Rows, time},
};

/// Lists the connections
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bulkhead connection list --tenant acme
  bulkhead connection list --state reauthorize --json")]
pub(crate) struct ConnectionList {
    /// Only this tenant's: name or id
    #[arg(long)]
    tenant: Option<String>,

    /// Only those in this state
    #[arg(long, value_parser = choice::<ConnectionState, _>(ConnectionState::ALL.map(ConnectionState::as_str)))]
    state: Option<ConnectionState>,
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Connections(Vec<ConnectionEntry>);

#[derive(Debug, Serialize)]
struct ConnectionEntry {
    id: ConnectionId,
    name: String,
    tenant: String,
    tenant_id: TenantId,
    application: String,
    application_id: ApplicationId,
    region: Region,
    seller_id: String,
    marketplace_ids: Vec<String>,
    state: &'static str,
    includes_pii: bool,
    /// Null: it has no access token yet.
    token_expires_at: Option<Timestamp>,
    created_at: Timestamp,
}

impl ConnectionList {
    pub(super) async fn run(self, session: &mut Session) -> anyhow::Result<()> {
        let store = session.store().await?;
        let tenant = match &self.tenant {
            Some(given) => Some(directory::tenant(&store, given).await?.id),
            None => None,
        };
        let applications = store.applications().list(EVERYTHING).await?;
        let names: HashMap<ApplicationId, String> = applications
            .into_iter()
            .map(|one| (one.id, one.name))
            .collect();
        let connections = store.connections().list(tenant, EVERYTHING).await?;
        let wanted = |one: &Connection| self.state.is_none_or(|state| state == one.state);
        let entries = connections.into_iter().filter(wanted).map(|one| {
            let application = names.get(&one.application).cloned();
            ConnectionEntry::new(one, application.unwrap_or_default())
        });
        session.show(&Connections(entries.collect()))
    }
}

impl ConnectionEntry {
    fn new(connection: Connection, application: String) -> Self {
        Self {
            id: connection.id,
            name: connection.name,
            tenant: connection.tenant_name,
            tenant_id: connection.tenant,
            application,
            application_id: connection.application,
            region: connection.region,
            seller_id: connection.seller_id,
            marketplace_ids: connection.marketplace_ids,
            state: connection.state.as_str(),
            includes_pii: connection.includes_pii,
            token_expires_at: connection.token_expires_at,
            created_at: connection.created_at,
        }
    }
}

impl Answer for Connections {
    fn for_people(&self, colour: bool) -> String {
        let heads = [
            "tenant",
            "name",
            "region",
            "seller",
            "marketplaces",
            "state",
            "pii",
            "token until",
            "id",
        ];
        let mut rows = Rows::new(&heads, "no such connections");
        for one in &self.0 {
            rows.add([
                one.tenant.clone(),
                one.name.clone(),
                one.region.to_string(),
                one.seller_id.clone(),
                one.marketplace_ids.join(","),
                one.state.to_owned(),
                if one.includes_pii { "yes" } else { "no" }.to_owned(),
                time(one.token_expires_at),
                one.id.to_string(),
            ]);
        }
        rows.render(colour)
    }
}
