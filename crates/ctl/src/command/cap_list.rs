//! `bulkhead cap list`

use serde::Serialize;

use crate::{
    directory::EVERYTHING,
    output::Answer,
    session::Session,
    setting_entry::{CapEntry, Names},
    table::Rows,
};

/// Lists the caps
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bulkhead cap list
  bulkhead cap list --json | jq '.[] | {class, of, max_in_flight}'")]
pub(crate) struct CapList {}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Caps(Vec<CapEntry>);

impl CapList {
    pub(super) async fn run(self, session: &mut Session) -> anyhow::Result<()> {
        let store = session.store().await?;
        let caps = store.queue_settings().caps(EVERYTHING).await?;
        let tenants = store.tenants().list(EVERYTHING).await?;
        let connections = store.connections().list(None, EVERYTHING).await?;
        let names = Names::new(&tenants, &connections);
        let entries = caps.iter().map(|cap| CapEntry::new(cap, &names));
        session.show(&Caps(entries.collect()))
    }
}

impl Answer for Caps {
    fn for_people(&self, colour: bool) -> String {
        let none = "no caps: set one with `bulkhead cap set --every-connection MAX`";
        let mut rows = Rows::new(&["class", "of", "at most in flight"], none);
        for cap in &self.0 {
            rows.add(cap.cells());
        }
        rows.render(colour)
    }
}
