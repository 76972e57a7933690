use std::path::{Path, PathBuf};

use super::problem::{ConfigError, Source};
use super::reader::Reader;

/// `[vault]`
#[derive(Debug, Clone)]
pub struct Vault {
    /// The keyring file of this class; `None` only in a process that does not need it.
    pub keyring: Option<PathBuf>,
    /// Bound into everything sealed: what one environment sealed, another cannot open.
    pub environment: String,
}

impl Vault {
    /// The keyring's path, for a process that needs it.
    ///
    /// # Errors
    /// The setting is missing.
    pub fn keyring(&self) -> Result<&Path, ConfigError> {
        self.keyring
            .as_deref()
            .ok_or_else(|| ConfigError::one(Source::Whole, super::missing("vault.keyring")))
    }

    pub(super) fn read(reader: &mut Reader) -> Vault {
        Vault {
            keyring: reader.path("vault.keyring"),
            environment: reader
                .text("vault.environment")
                .unwrap_or_else(|| "development".to_owned()),
        }
    }
}
