//! Whether Postgres and Redis answer.

use serde::Serialize;

use super::{Queued, tenant::Owed};
use crate::exit;

#[derive(Debug, Serialize)]
pub(super) struct PostgresStatus {
    reachable: bool,
    /// Why not.
    error: Option<String>,
    /// Of the schema; null: Postgres was not reached.
    schema_version: Option<i64>,
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
            schema_version: seen.as_ref().ok().and_then(|owed| owed.schema_version),
        }
    }

    pub(super) fn for_people(&self) -> String {
        match (&self.error, self.schema_version) {
            (Some(error), _) => format!("Postgres  down: {error}\n"),
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
