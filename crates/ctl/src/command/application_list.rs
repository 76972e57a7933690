//! `bulkhead application list`

use bulkhead_domain::ApplicationId;
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    directory::EVERYTHING,
    output::Answer,
    session::Session,
    table::{Rows, time},
};

/// Lists the applications
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  bulkhead application list --json")]
pub(crate) struct ApplicationList {}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Applications(Vec<ApplicationEntry>);

#[derive(Debug, Serialize)]
struct ApplicationEntry {
    id: ApplicationId,
    name: String,
    client_id: String,
    /// Of the client secret in use; null: there is none.
    secret_version: Option<i32>,
    created_at: Timestamp,
}

impl ApplicationList {
    pub(super) async fn run(self, session: &mut Session) -> anyhow::Result<()> {
        let store = session.store().await?;
        let applications = store.applications().list(EVERYTHING).await?;
        let entries = applications.into_iter().map(|one| ApplicationEntry {
            id: one.id,
            name: one.name,
            client_id: one.client_id,
            secret_version: one.secret_version,
            created_at: one.created_at,
        });
        session.show(&Applications(entries.collect()))
    }
}

impl Answer for Applications {
    fn for_people(&self, colour: bool) -> String {
        let none =
            "no applications yet: add one with `bulkhead application add NAME --client-id ID`";
        let mut rows = Rows::new(&["name", "client id", "secret", "added", "id"], none);
        for one in &self.0 {
            let secret = one.secret_version.map(|version| format!("v{version}"));
            rows.add([
                one.name.clone(),
                one.client_id.clone(),
                secret.unwrap_or_else(|| "none".to_owned()),
                time(Some(one.created_at)),
                one.id.to_string(),
            ]);
        }
        rows.render(colour)
    }
}
