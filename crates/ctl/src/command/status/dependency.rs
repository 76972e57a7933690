//! Whether Postgres and Redis answer.

use bulkhead_service::{ConfigError, StartError};
use serde::Serialize;

use super::{Queued, tenant::Owed};

use crate::exit;

#[derive(Debug, Serialize)]
pub(super) struct PostgresStatus {
    reachable: bool,
    /// Why not.
    error: Option<String>,
    #[serde(skip)]
    word: &'static str,
    /// Of the schema; null: Postgres was not reached.
    schema_version: Option<i64>,
}

#[derive(Debug, Serialize)]
pub(super) struct RedisStatus {
    reachable: bool,
    /// Why not.
    error: Option<String>,
    #[serde(skip)]
    word: &'static str,
    /// Under which permits are granted; null: none are, since Redis was lost or no scheduler has run.
    boot_nonce: Option<String>,
}

impl PostgresStatus {
    pub(super) fn new(seen: &anyhow::Result<Owed>) -> Self {
        Self {
            reachable: seen.is_ok(),
            error: seen.as_ref().err().map(exit::line),
            word: seen.as_ref().err().map_or("ok", word),
            schema_version: seen.as_ref().ok().and_then(|owed| owed.schema_version),
        }
    }

    pub(super) fn for_people(&self) -> String {
        match (&self.error, self.schema_version) {
            (Some(error), _) => format!("Postgres  {}: {error}\n", self.word),
            (None, Some(version)) => format!("Postgres  ok, schema version {version}\n"),
            (None, None) => "Postgres  ok\n".to_owned(),
        }
    }
}

impl RedisStatus {
    pub(super) fn new(seen: &anyhow::Result<Queued>) -> Self {
        Self {
            reachable: seen.is_ok(),
            error: seen.as_ref().err().map(exit::line),
            word: seen.as_ref().err().map_or("ok", word),
            boot_nonce: seen
                .as_ref()
                .ok()
                .and_then(|queued| queued.boot_nonce.clone()),
        }
    }

    pub(super) fn for_people(&self) -> String {
        match (&self.error, &self.boot_nonce) {
            (Some(error), _) => format!("Redis     {}: {error}\n", self.word),
            (None, Some(nonce)) => format!("Redis     ok, boot nonce {nonce}\n"),
            (None, None) => {
                "Redis     ok, but no boot nonce: Amazon is not called until a scheduler has set one\n".to_owned()
            }
        }
    }
}

/// What is the matter, in a word: a server that nobody has named is not down.
fn word(error: &anyhow::Error) -> &'static str {
    for cause in error.chain() {
        match cause.downcast_ref::<StartError>() {
            Some(StartError::Configuration(_)) => return "not configured",
            Some(StartError::Refused { .. }) => return "refused",
            Some(StartError::Dependency { .. } | StartError::Keyring(_)) => return "down",
            None if cause.is::<ConfigError>() => return "not configured",
            None => {}
        }
    }
    "down"
}
