//! What a command works with: the configuration, the stores it opens, and where it answers.

use std::{convert::Infallible, sync::Arc};

use bulkhead_broker::{Broker, BrokerOptions};
use bulkhead_domain::Class;
use bulkhead_service::{Config, Shell, StartError, reach};
use bulkhead_store::{ConnectError, Role, Store, StoreOptions};
use bulkhead_vault::Keyring;
use secrecy::ExposeSecret;

use crate::{
    actor,
    output::{Answer, Output},
};

/// As `pg_stat_activity` shows this command.
const APPLICATION_NAME: &str = "bulkhead";

/// What a command works with.
#[derive(Debug)]
pub struct Session {
    config: Arc<Config>,
    output: Output,
    actor: String,
}

impl Session {
    /// A session that answers on `output`; `actor` is who the audit log names, or else this process's user.
    #[must_use]
    pub fn new(shell: &Shell, output: Output, actor: Option<String>) -> Self {
        Self {
            config: Arc::clone(&shell.config),
            output,
            actor: actor.unwrap_or_else(actor::of_this_process),
        }
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Who the audit log names.
    #[must_use]
    pub fn actor(&self) -> &str {
        &self.actor
    }

    /// Answers.
    ///
    /// # Errors
    /// The answer cannot be written.
    pub fn show<A: Answer>(&mut self, answer: &A) -> anyhow::Result<()> {
        Ok(self.output.show(answer)?)
    }

    /// Writes bytes to standard output as they are.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self.output.write(bytes)?)
    }

    /// Logs in to Postgres as the operator.
    ///
    /// # Errors
    /// Exit code 2: the URL is missing, names another login, or the schema is too old; 3: no answer.
    pub async fn store(&self) -> Result<Store, StartError> {
        let url = self.config.postgres.url()?.expose_secret();
        let options = StoreOptions {
            max_connections: 2,
            acquire_timeout: self.config.postgres.acquire_timeout,
            ..StoreOptions::new(url, APPLICATION_NAME)
        };
        let connect = async { Ok::<_, Infallible>(Store::connect(&options, Role::Operator).await) };
        match reach("Postgres", url, connect).await? {
            Ok(store) => Ok(store),
            Err(ConnectError::Unreachable(source)) => {
                Err(StartError::dependency("Postgres", url, source))
            }
            Err(error) => Err(StartError::refused(in_full(error))),
        }
    }

    /// Connects to Redis; [`Broker::for_class`] gives the other classes.
    ///
    /// # Errors
    /// Exit code 2: the URL is missing or none; 3: no answer.
    pub async fn broker(&self) -> Result<Broker, StartError> {
        let url = self.config.redis.url()?;
        let options = BrokerOptions {
            shards: self.config.broker.shards,
            high_water_bytes: self.config.broker.high_water_bytes,
            tenant_high_water_bytes: self.config.broker.tenant_high_water_bytes,
            nodes: self.config.redis.nodes.clone(),
            ..BrokerOptions::new(url.clone())
        };
        let connect = async { Ok::<_, Infallible>(Broker::connect(&options, Class::Sync).await) };
        match reach("Redis", url.expose_secret(), connect).await? {
            Ok(broker) => Ok(broker),
            Err(bulkhead_broker::ConnectError::Unreachable(source)) => {
                Err(StartError::dependency("Redis", url.expose_secret(), source))
            }
            Err(error) => Err(StartError::refused(in_full(error))),
        }
    }

    /// Reads the keyring.
    ///
    /// # Errors
    /// Exit code 2: it is not configured; 4: it is refused.
    pub fn keyring(&self) -> Result<Keyring, StartError> {
        let path = self.config.vault.keyring()?;
        Keyring::load(path, &self.config.vault.environment).map_err(StartError::keyring)
    }
}

fn in_full(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}
