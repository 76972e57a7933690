//! A process's connection to Redis, for one class.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bulkhead_domain::{Class, ConnectionId};
use redis::{Client, RedisError, Value};
use secrecy::ExposeSecret;

use crate::{connection::Connection, keys::ShardKey, options::BrokerOptions, reply::bytes};

/// The queue of one class. Clones share the connection.
///
/// A lost connection is taken up again in the background; until then every call returns its error. One that has fallen
/// silent is made anew when nothing but errors has come for as long as an answer may take
/// ([`BrokerOptions::response_timeout`]).
#[derive(Clone)]
pub struct Broker {
    pub(crate) redis: Connection,
    pub(crate) client: Client,
    pub(crate) options: Arc<BrokerOptions>,
    pub(crate) class: Class,
    pub(crate) shards: Arc<[ShardKey]>,
}

/// Redis cannot be used at start.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Correct the configuration.
    #[error("the Redis URL is not one (expected redis://, rediss:// or redis+unix://)")]
    Url(#[source] RedisError),
    /// Nothing answers there, or it refuses the login; wait or correct the configuration.
    #[error("cannot reach Redis")]
    Unreachable(#[source] RedisError),
    /// Install a newer one.
    #[error("this Redis is version {version}; the broker's scripts need 7.0 or later")]
    TooOld {
        /// What it says that it is.
        version: String,
    },
}

/// The first major version whose scripts may say that they run when memory is full.
const OLDEST: u32 = 7;

impl Broker {
    /// Connects, and asks Redis for an answer, once.
    ///
    /// # Errors
    /// [`ConnectError`]: the URL is malformed, or Redis does not answer now.
    pub async fn connect(options: &BrokerOptions, class: Class) -> Result<Self, ConnectError> {
        // Redis over TLS takes the process's default provider; it stays whatever was installed before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::open(options.url.expose_secret()).map_err(ConnectError::Url)?;
        let mut redis = Connection::open(client.clone(), options.response_timeout)
            .await
            .map_err(ConnectError::Unreachable)?;
        let hello: HashMap<String, Value> = redis::cmd("HELLO")
            .query_async(&mut redis)
            .await
            .map_err(ConnectError::Unreachable)?;
        let version = hello.get("version").and_then(bytes).unwrap_or_default();
        check_version(&String::from_utf8_lossy(version))?;
        Ok(Self {
            redis,
            client,
            options: Arc::new(options.clone()),
            class,
            shards: shard_keys(class, options),
        })
    }

    /// The queue of another class, over the same connection.
    #[must_use]
    pub fn for_class(&self, class: Class) -> Self {
        Self {
            class,
            shards: shard_keys(class, &self.options),
            ..self.clone()
        }
    }

    /// The class whose jobs these are.
    #[must_use]
    pub const fn class(&self) -> Class {
        self.class
    }

    /// How many shards the class has; they are numbered from 0.
    #[must_use]
    pub fn shards(&self) -> u16 {
        self.options.shards.max(1)
    }

    /// The shard of a connection's lane.
    #[must_use]
    pub fn shard_of(&self, connection: ConnectionId) -> u16 {
        connection.shard(self.shards())
    }

    /// How long a lease lasts.
    #[must_use]
    pub fn visibility_timeout(&self) -> Duration {
        self.options.visibility_timeout
    }

    /// The keys of `shard`; of the first one for a number that no shard has.
    pub(crate) fn shard(&self, shard: u16) -> &ShardKey {
        self.shards
            .get(usize::from(shard))
            .unwrap_or(&self.shards[0])
    }

    pub(crate) fn now(&self) -> String {
        self.options.clock.argument()
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker")
            .field("class", &self.class)
            .field("shards", &self.shards())
            .finish_non_exhaustive()
    }
}

fn check_version(version: &str) -> Result<(), ConnectError> {
    let major = version.split('.').next().and_then(|part| part.parse().ok());
    if major.is_some_and(|major: u32| major >= OLDEST) {
        return Ok(());
    }
    Err(ConnectError::TooOld {
        version: version.to_owned(),
    })
}

fn shard_keys(class: Class, options: &BrokerOptions) -> Arc<[ShardKey]> {
    let keys = (0..options.shards.max(1)).map(|shard| ShardKey::new(class, shard));
    #[cfg(feature = "mutants")]
    let keys = keys.map(|key| key.without(options.mutant));
    keys.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redis_before_7_is_refused_by_its_version() {
        assert!(check_version("7.0.15").is_ok());
        assert!(check_version("8.2").is_ok());
        let refused = check_version("6.2.14").expect_err("too old").to_string();
        assert!(refused.contains("6.2.14"), "{refused}");
        assert!(check_version("").is_err());
    }
}
