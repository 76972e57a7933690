//! What became of connections that were paused, resumed or authorized again.

use bulkhead_domain::{ConnectionId, TenantId};
use bulkhead_store::{Connection, ConnectionState};
use serde::Serialize;

use crate::output::Answer;

/// The connections of one command.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Moved(Vec<MovedEntry>);

/// One of them.
#[derive(Debug, Serialize)]
pub struct MovedEntry {
    id: ConnectionId,
    name: String,
    tenant: String,
    tenant_id: TenantId,
    /// Where it stands now.
    state: &'static str,
    /// Whether this command moved it there.
    changed: bool,
    #[serde(skip)]
    hint: &'static str,
}

impl Moved {
    /// Adds one.
    pub fn add(&mut self, entry: MovedEntry) {
        self.0.push(entry);
    }
}

impl MovedEntry {
    /// A connection that was to be paused.
    #[must_use]
    pub fn paused(connection: &Connection, changed: bool) -> Self {
        Self::new(connection, ConnectionState::Paused, changed)
    }

    /// A connection that was to be resumed.
    #[must_use]
    pub fn resumed(connection: &Connection, changed: bool) -> Self {
        Self::new(connection, ConnectionState::Active, changed)
    }

    /// A connection with a new refresh token.
    #[must_use]
    pub fn reauthorized(connection: &Connection) -> Self {
        Self::new(connection, ConnectionState::Active, true)
    }

    fn new(connection: &Connection, to: ConnectionState, changed: bool) -> Self {
        let state = if changed { to } else { connection.state };
        Self {
            id: connection.id,
            name: connection.name.clone(),
            tenant: connection.tenant_name.clone(),
            tenant_id: connection.tenant,
            state: state.as_str(),
            changed,
            hint: match state {
                ConnectionState::Reauthorize => {
                    ": the seller must authorize it again, then `bulkhead connection reauthorize`"
                }
                ConnectionState::Contained => ": an incident holds it",
                ConnectionState::Active | ConnectionState::Paused => "",
            },
        }
    }
}

impl Answer for Moved {
    fn for_people(&self, _: bool) -> String {
        if self.0.is_empty() {
            return "the tenant has no connections\n".to_owned();
        }
        let lines = self.0.iter().map(|one| {
            let word = if one.changed { "is now" } else { "was already" };
            let word = if one.changed || one.hint.is_empty() {
                word
            } else {
                "stays"
            };
            format!(
                "{}/{} {word} {}{}\n",
                one.tenant, one.name, one.state, one.hint
            )
        });
        lines.collect()
    }
}
