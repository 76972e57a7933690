//! The fleet's Redis: one server, or a cluster.

use std::{
    io,
    ops::{Deref, DerefMut},
};

use crate::{RedisCluster, RedisOptions, RedisServer, RedisUser, StartError};

/// One server or a cluster of three. What is asked of it as of a server is asked of a cluster's first node.
#[derive(Debug)]
pub enum FleetRedis {
    /// A single server.
    Server(RedisServer),
    /// Three nodes.
    Cluster(RedisCluster),
}

impl FleetRedis {
    pub(super) async fn start(as_cluster: bool, users: Vec<RedisUser>) -> Result<Self, StartError> {
        if as_cluster {
            let cluster = RedisCluster::start_with(users).await?;
            return Ok(Self::Cluster(cluster));
        }
        let options = RedisOptions {
            users,
            ..RedisOptions::default()
        };
        let server = RedisServer::start(options).await?;
        Ok(Self::Server(server))
    }

    /// Where one of its logins reaches it: `redis.url`.
    #[must_use]
    pub fn url_of(&self, user: &RedisUser) -> String {
        match self {
            Self::Server(server) => server.url_of(user),
            Self::Cluster(cluster) => cluster.url_of(user),
        }
    }

    /// Where whoever may do everything reaches it.
    #[must_use]
    pub fn url(&self) -> String {
        match self {
            Self::Server(server) => server.url(),
            Self::Cluster(cluster) => cluster.url(),
        }
    }

    /// The nodes of a cluster: `redis.nodes`.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        match self {
            Self::Server(_) => Vec::new(),
            Self::Cluster(cluster) => cluster.addresses(),
        }
    }

    /// Removes every key, of every node; blocks until it is done.
    ///
    /// # Errors
    /// A server does not answer or refuses.
    pub fn flush(&self) -> io::Result<()> {
        match self {
            Self::Server(server) => server.flush(),
            Self::Cluster(cluster) => cluster.flush(),
        }
    }

    /// The cluster, if it is one.
    ///
    /// # Errors
    /// It is not: the fleet was not asked for one.
    pub fn cluster(&mut self) -> anyhow::Result<&mut RedisCluster> {
        match self {
            Self::Server(_) => anyhow::bail!("the fleet's Redis is a single server"),
            Self::Cluster(cluster) => Ok(cluster),
        }
    }

    /// Process ids by name.
    #[must_use]
    pub fn processes(&self) -> Vec<(String, u32)> {
        match self {
            Self::Server(server) => vec![("redis".to_owned(), server.pid())],
            Self::Cluster(cluster) => (1..)
                .zip(cluster.nodes())
                .map(|(n, node)| (format!("redis-{n}"), node.pid()))
                .collect(),
        }
    }
}

impl Deref for FleetRedis {
    type Target = RedisServer;

    fn deref(&self) -> &RedisServer {
        match self {
            Self::Server(server) => server,
            Self::Cluster(cluster) => &cluster.nodes()[0],
        }
    }
}

impl DerefMut for FleetRedis {
    fn deref_mut(&mut self) -> &mut RedisServer {
        match self {
            Self::Server(server) => server,
            Self::Cluster(cluster) => cluster.first(),
        }
    }
}
