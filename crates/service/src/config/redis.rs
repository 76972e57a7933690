use secrecy::SecretString;

use super::plaintext;
use super::problem::{ConfigError, Source};
use super::reader::Reader;

/// `[redis]`
#[derive(Debug, Clone)]
pub struct Redis {
    /// The server and the user of this class; `None` only in a process that does not need it.
    pub url: Option<SecretString>,
}

impl Redis {
    /// The URL, for a process that needs it.
    ///
    /// # Errors
    /// The setting is missing.
    pub fn url(&self) -> Result<&SecretString, ConfigError> {
        self.url
            .as_ref()
            .ok_or_else(|| ConfigError::one(Source::Whole, super::missing("redis.url")))
    }

    pub(super) fn read(reader: &mut Reader) -> Redis {
        Redis {
            url: reader.secret_url("redis.url", plaintext::redis),
        }
    }
}
