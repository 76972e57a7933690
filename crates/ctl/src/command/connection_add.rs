//! `bulkhead connection add`

use std::path::PathBuf;

use bulkhead_domain::{ConnectionId, Region, TenantId};
use bulkhead_store::NewConnection;
use serde::Serialize;
use uuid::Uuid;

use crate::{
    choice::choice, directory, name::new_name, output::Answer, sealed::RefreshTokenSealer,
    secret_input, secret_shape::Wanted, session::Session, taken,
};

/// Adds a seller's authorization of a tenant in one region and seals its refresh token
///
/// Its first access token is owed at once. The refresh token comes from a file, from standard input, or from a prompt
/// that does not show it; never from the command line, where every user of the machine could read it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  bulkhead connection add shop-eu --tenant acme --application night-run --seller-id A2EXAMPLE \\
    --region eu --marketplace A1PA6795UKMFR9 --marketplace A13V1IB3VIYZZH < refresh-token")]
pub(crate) struct ConnectionAdd {
    /// Its name, unique among the tenant's connections
    #[arg(value_parser = new_name)]
    name: String,

    /// Whose it is: name or id
    #[arg(long)]
    tenant: String,

    /// What the seller has authorized: name or id
    #[arg(long)]
    application: String,

    /// Amazon's id of the seller
    #[arg(long, value_name = "ID", value_parser = new_name)]
    seller_id: String,

    /// Which of Amazon's regions the seller is in
    #[arg(long, value_parser = choice::<Region, _>(Region::ALL.map(Region::as_str)))]
    region: Region,

    /// A marketplace where the seller sells, by Amazon's id; may be repeated
    #[arg(long = "marketplace", value_name = "ID", required = true, value_parser = new_name)]
    marketplaces: Vec<String>,

    /// The application's roles make Amazon send buyers' personal data
    #[arg(long)]
    with_pii: bool,

    /// A file with the refresh token; otherwise it is read from standard input
    #[arg(long, value_name = "FILE")]
    refresh_token_file: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Added {
    id: ConnectionId,
    name: String,
    tenant: String,
    tenant_id: TenantId,
}

impl ConnectionAdd {
    pub(super) async fn run(self, session: &mut Session) -> anyhow::Result<()> {
        // Before the token is asked for: whoever has typed it wants it to be taken.
        let sealer = RefreshTokenSealer::new(&session.keyring()?)?;
        let store = session.store().await?;
        let tenant = directory::tenant(&store, &self.tenant).await?;
        let application = directory::application(&store, &self.application).await?;
        let token = secret_input::read(Wanted::RefreshToken, self.refresh_token_file.as_deref())?;
        let id = ConnectionId::new(Uuid::new_v4());
        let connection = NewConnection {
            tenant: tenant.id,
            id,
            application: application.id,
            name: &self.name,
            region: self.region,
            seller_id: &self.seller_id,
            marketplace_ids: &self.marketplaces,
            includes_pii: self.with_pii,
            refresh_token: &sealer.seal(tenant.id, id, &token)?,
        };
        store
            .connections()
            .add(&connection, session.actor())
            .await
            .map_err(|error| taken::explained(error, "connection", &self.name))?;
        session.show(&Added {
            id,
            name: self.name,
            tenant: tenant.name,
            tenant_id: tenant.id,
        })
    }
}

impl Answer for Added {
    fn for_people(&self, _: bool) -> String {
        format!(
            "connection {}/{} added: {}\nits first access token is owed now\n",
            self.tenant, self.name, self.id
        )
    }
}
