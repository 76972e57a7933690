use std::time::Duration;

use secrecy::SecretString;

use super::plaintext;
use super::problem::{ConfigError, Source};
use super::reader::Reader;

/// `[postgres]`
#[derive(Debug, Clone)]
pub struct Postgres {
    /// The database and the role of this class; `None` only in a process that does not need it.
    pub url: Option<SecretString>,
    /// Connections in this process's pool.
    pub max_connections: u32,
    /// How long a connection may take to open, or to come free in the pool.
    pub acquire_timeout: Duration,
}

impl Postgres {
    /// The URL, for a process that needs it.
    ///
    /// # Errors
    /// The setting is missing.
    pub fn url(&self) -> Result<&SecretString, ConfigError> {
        self.url
            .as_ref()
            .ok_or_else(|| ConfigError::one(Source::Whole, super::missing("postgres.url")))
    }

    pub(super) fn read(reader: &mut Reader) -> Postgres {
        Postgres {
            url: reader.secret_url("postgres.url", plaintext::postgres),
            max_connections: reader.integer("postgres.max_connections", 8, 1..=1_000),
            acquire_timeout: reader.milliseconds(
                "postgres.acquire_timeout_ms",
                5_000,
                100..=60_000,
            ),
        }
    }
}
