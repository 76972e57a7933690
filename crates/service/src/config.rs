//! The configuration of the whole fleet: one TOML file, then the environment, then flags; later wins.
//!
//! Checked whole before anything starts: unknown keys, types, ranges, settings that contradict each other,
//! connections that would not be encrypted, and what this process needs and nobody set.

mod amazon;
mod broker;
mod health;
mod plaintext;
mod postgres;
mod problem;
mod reader;
mod redis;
mod scheduler;
mod security;
mod sources;
mod suggestion;
mod telemetry;
mod testing;
mod vault;
mod worker;

pub use amazon::{Amazon, Endpoints};
pub use broker::Broker;
pub use health::Health;
pub use postgres::Postgres;
pub use problem::{ConfigError, Problem, Source};
pub use redis::Redis;
pub use scheduler::Scheduler;
pub use security::Security;
pub use sources::Sources;
pub use telemetry::{Format, Telemetry};
pub use testing::Testing;
pub use vault::Vault;
pub use worker::Worker;

use reader::Reader;
use sources::{Gathered, variable};

/// What a process cannot start without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// `postgres.url`
    Postgres,
    /// `redis.url`
    Redis,
    /// `vault.keyring`
    Vault,
}

impl Need {
    const fn key(self) -> &'static str {
        match self {
            Need::Postgres => "postgres.url",
            Need::Redis => "redis.url",
            Need::Vault => "vault.keyring",
        }
    }
}

/// Every setting of every process. Debug hides the secrets.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[security]`
    pub security: Security,
    /// `[postgres]`
    pub postgres: Postgres,
    /// `[redis]`
    pub redis: Redis,
    /// `[broker]`
    pub broker: Broker,
    /// `[vault]`
    pub vault: Vault,
    /// `[amazon]`
    pub amazon: Amazon,
    /// `[telemetry]`
    pub telemetry: Telemetry,
    /// `[health]`
    pub health: Health,
    /// `[worker]`
    pub worker: Worker,
    /// `[scheduler]`
    pub scheduler: Scheduler,
    /// `[testing]`
    pub testing: Testing,
}

impl Config {
    /// Reads and checks every source; `needs` are the settings that must not be missing.
    ///
    /// # Errors
    /// Every problem found, each naming its source and what to do.
    pub fn load(sources: &Sources, needs: &[Need]) -> Result<Config, ConfigError> {
        let gathered = Gathered::from(sources);
        // What stands in a file that could not be read is not missing.
        let needs = if gathered.is_file_read() { needs } else { &[] };
        let mut reader = Reader::new(gathered);
        let config = Config::read(&mut reader);
        config.check_needs(&mut reader, needs);
        reader.finish().map(|()| config)
    }

    /// The documented example: every setting with its default.
    #[must_use]
    pub const fn example() -> &'static str {
        include_str!("../../../deploy/bulkhead.example.toml")
    }

    fn read(reader: &mut Reader) -> Config {
        // First: it decides which URLs are refused.
        let security = Security::read(reader);
        reader.allow_plaintext(&security.allow_plaintext_hosts);
        let config = Config {
            security,
            postgres: Postgres::read(reader),
            redis: Redis::read(reader),
            broker: Broker::read(reader),
            vault: Vault::read(reader),
            amazon: Amazon::read(reader),
            telemetry: Telemetry::read(reader),
            health: Health::read(reader),
            worker: Worker::read(reader),
            scheduler: Scheduler::read(reader),
            testing: Testing::read(reader),
        };
        config.testing.refuse_in_production(&config.vault, reader);
        config
    }

    fn check_needs(&self, reader: &mut Reader, needs: &[Need]) {
        for need in needs {
            let present = match need {
                Need::Postgres => self.postgres.url.is_some(),
                Need::Redis => self.redis.url.is_some(),
                Need::Vault => self.vault.keyring.is_some(),
            };
            // A value that was refused has already been reported.
            if !present && reader.source(need.key()) == Source::Whole {
                reader.problem(Source::Whole, missing(need.key()));
            }
        }
    }
}

/// A setting that is not there where it is needed.
pub(crate) fn missing(key: &str) -> String {
    let (section, name) = key.split_once('.').unwrap_or((key, ""));
    format!(
        "{key} is not set; set {name} under [{section}] in the --config file, or {}",
        variable(key)
    )
}

#[cfg(test)]
mod tests;
