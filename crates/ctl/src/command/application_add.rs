//! `bulkhead application add`

use std::path::PathBuf;

use bulkhead_domain::ApplicationId;
use bulkhead_store::NewApplication;
use serde::Serialize;
use uuid::Uuid;

use crate::{
    name::new_name, output::Answer, sealed::ClientSecretSealer, secret_input, secret_shape::Wanted,
    session::Session, taken,
};

/// Adds a Login-with-Amazon client and seals its client secret
///
/// The secret comes from a file, from standard input, or from a prompt that does not show it; never from the command
/// line, where every user of the machine could read it. This command cannot open what it has sealed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pass show amazon/night-run | bulkhead application add night-run --client-id amzn1.application-oa2-client.0123
  bulkhead application add night-run --client-id amzn1.application-oa2-client.0123 --secret-file ./secret")]
pub(crate) struct ApplicationAdd {
    /// Its name, unique among applications
    #[arg(value_parser = new_name)]
    name: String,

    /// Its client id, `amzn1.application-oa2-client.…`
    #[arg(long, value_name = "ID", value_parser = client_id)]
    client_id: String,

    /// A file with its client secret; otherwise it is read from standard input
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Added {
    id: ApplicationId,
    name: String,
}

impl ApplicationAdd {
    pub(super) async fn run(self, session: &mut Session) -> anyhow::Result<()> {
        // Before the secret is asked for: whoever has typed it wants it to be taken.
        let sealer = ClientSecretSealer::new(&session.keyring()?)?;
        let store = session.store().await?;
        let secret = secret_input::read(Wanted::ClientSecret, self.secret_file.as_deref())?;
        let id = ApplicationId::new(Uuid::new_v4());
        let application = NewApplication {
            id,
            name: &self.name,
            client_id: &self.client_id,
            client_secret: &sealer.seal(id, &secret)?,
        };
        store
            .applications()
            .add(&application, session.actor())
            .await
            .map_err(|error| taken::explained(error, "application", &self.name))?;
        session.show(&Added {
            id,
            name: self.name,
        })
    }
}

impl Answer for Added {
    fn for_people(&self, _: bool) -> String {
        format!("application {} added: {}\n", self.name, self.id)
    }
}

fn client_id(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("must be the client id that Amazon shows beside the client secret".to_owned());
    }
    Ok(text.to_owned())
}
