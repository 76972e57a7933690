//! Whether Postgres and Redis answer.

use bulkhead_store::Migrator;
use serde::Serialize;

use super::{Queued, tenant::Owed};
use crate::exit;

#[derive(Debug, Serialize)]
pub(super) struct PostgresStatus {
    reachable: bool,
    /// Why not.
    error: Option<String>,
    /// The schema that this build was made for, which the database has at least.
    schema_version: i64,
}

#[derive(Debug, Serialize)]
pub(super) struct RedisStatus {
    reachable: bool,
    /// Why not.
    error: Option<String>,
    /// Under which permits are granted; null: none are, since Redis was lost or no scheduler has run.
    boot_nonce: Option<String>,
}

impl PostgresStatus {
    pub(super) fn new(seen: &anyhow::Result<Owed>) -> Self {
        Self {
            reachable: seen.is_ok(),
            error: seen.as_ref().err().map(exit::line),
            schema_version: Migrator::newest_version(),
        }
    }

    pub(super) fn for_people(&self) -> String {
        match &self.error {
            None => format!(
                "Postgres  ok, schema version {} or newer\n",
                self.schema_version
            ),
            Some(error) => format!("Postgres  down: {error}\n"),
        }
    }
}

impl RedisStatus {
    pub(super) fn new(seen: &anyhow::Result<Queued>) -> Self {
        Self {
            reachable: seen.is_ok(),
            error: seen.as_ref().err().map(exit::line),
            boot_nonce: seen
                .as_ref()
                .ok()
                .and_then(|queued| queued.boot_nonce.clone()),
        }
    }

    pub(super) fn for_people(&self) -> String {
        match (&self.error, &self.boot_nonce) {
            (Some(error), _) => format!("Redis     down: {error}\n"),
            (None, Some(nonce)) => format!("Redis     ok, boot nonce {nonce}\n"),
            (None, None) => {
                "Redis     ok, but no boot nonce: Amazon is not called until a scheduler has set one\n".to_owned()
            }
        }
    }
}
