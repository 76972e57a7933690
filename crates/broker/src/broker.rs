//! A process's connection to Redis, for one class.

use std::{sync::Arc, time::Duration};

use bulkhead_domain::{Class, ConnectionId};
use redis::Client;

use crate::{connection::Connection, keys::ShardKey, node::ConnectError, options::BrokerOptions};

/// The queue of one class. Clones share the connection.
///
/// A lost connection is taken up again in the background; until then every call returns its error. One that has fallen
/// silent is made anew when nothing but errors has come for as long as an answer may take
/// ([`BrokerOptions::response_timeout`]).
#[derive(Clone)]
pub struct Broker {
    pub(crate) redis: Connection,
    /// Where a subscription may be made.
    pub(crate) servers: Arc<[Client]>,
    pub(crate) options: Arc<BrokerOptions>,
    pub(crate) class: Class,
    pub(crate) shards: Arc<[ShardKey]>,
}

impl Broker {
    /// Connects to the server, or to every node of the cluster, and asks for an answer, once.
    ///
    /// # Errors
    /// [`ConnectError`]: an address is malformed or not of the kind that was said, or Redis does not answer now.
    pub async fn connect(options: &BrokerOptions, class: Class) -> Result<Self, ConnectError> {
        // Redis over TLS takes the process's default provider; it stays whatever was installed before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (redis, servers) = Connection::open(options).await?;
        Ok(Self {
            redis,
            servers: servers.into(),
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

fn shard_keys(class: Class, options: &BrokerOptions) -> Arc<[ShardKey]> {
    let keys = (0..options.shards.max(1)).map(|shard| ShardKey::new(class, shard));
    #[cfg(feature = "mutants")]
    let keys = keys.map(|key| key.without(options.mutant));
    keys.collect()
}
