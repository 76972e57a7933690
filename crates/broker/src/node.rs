//! The servers that a process is told of: who they are, before they are used.

use std::collections::{BTreeSet, HashMap};

use futures_util::future::join_all;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisError,
    RedisResult, Value,
};
use secrecy::ExposeSecret;

use crate::{options::BrokerOptions, reply::bytes};

/// Redis cannot be used at start.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Correct the configuration.
    #[error("the Redis URL is not one (expected redis://, rediss:// or redis+unix://)")]
    Url(#[source] RedisError),
    /// Correct the configuration.
    #[error("redis.nodes: {node:?} is not host:port")]
    Node {
        /// What was given.
        node: String,
    },
    /// Correct the configuration.
    #[error(
        "redis.nodes names nodes of a cluster, which has no Unix socket: redis.url must be redis:// or rediss://"
    )]
    Socket,
    /// Nothing answers there, or it refuses the login; wait or correct the configuration.
    #[error("cannot reach Redis")]
    Unreachable(#[source] RedisError),
    /// Install a newer one.
    #[error("this Redis is version {version}; the broker's scripts need 7.0 or later")]
    TooOld {
        /// What it says that it is.
        version: String,
    },
    /// Correct the configuration.
    #[error(
        "{node} is a node of a Redis Cluster: set redis.nodes to the host:port of its nodes, of one at least"
    )]
    IsCluster {
        /// Its address.
        node: String,
    },
    /// Correct the configuration.
    #[error(
        "{node} is a single Redis, not a node of a cluster: take redis.nodes out of the configuration"
    )]
    IsNoCluster {
        /// Its address.
        node: String,
    },
    /// Correct the configuration, or make it a node of the cluster.
    #[error("{node} is a Redis in cluster mode that has joined no cluster: it knows of no slot")]
    NotJoined {
        /// Its address.
        node: String,
    },
    /// Correct the configuration.
    #[error(
        "{node} and {other} are nodes of different Redis Clusters: correct redis.url or redis.nodes"
    )]
    Strangers {
        /// The address of one.
        node: String,
        /// The address of the other.
        other: String,
    },
}

/// The first major version whose scripts may say that they run when memory is full.
const OLDEST: u32 = 7;

/// A client for the URL's server, and for each further node, with the same login.
pub(crate) fn clients(options: &BrokerOptions) -> Result<Vec<Client>, ConnectError> {
    let first = options.url.expose_secret().into_connection_info();
    let first = first.map_err(ConnectError::Url)?;
    let mut all = vec![first.clone()];
    for node in &options.nodes {
        let one = beside(&first, node)?;
        if all.iter().all(|known| known.addr() != one.addr()) {
            all.push(one);
        }
    }
    let clients = all.into_iter().map(Client::open);
    clients
        .collect::<RedisResult<_>>()
        .map_err(ConnectError::Url)
}

/// Asks each server what it is; those that do not answer may be away, if one does.
pub(crate) async fn check(clients: &[Client], options: &BrokerOptions) -> Result<(), ConnectError> {
    let answers = join_all(clients.iter().map(|client| Seen::at(client, options))).await;
    let mut refusal = None;
    let mut known: Option<&Seen> = None;
    for answer in &answers {
        match answer {
            Ok(seen) => {
                seen.check(!options.nodes.is_empty())?;
                seen.check_known_to(known)?;
                known = known.or(Some(seen));
            }
            Err(error) => refusal = refusal.or_else(|| Some(error.clone())),
        }
    }
    match refusal {
        Some(error) if known.is_none() => Err(ConnectError::Unreachable(error)),
        _ => Ok(()),
    }
}

/// What a server says of itself.
struct Seen {
    node: String,
    version: String,
    is_cluster: bool,
    /// The ids of the nodes that serve its cluster.
    members: BTreeSet<Vec<u8>>,
}

impl Seen {
    async fn at(client: &Client, options: &BrokerOptions) -> RedisResult<Self> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(options.response_timeout))
            .set_response_timeout(Some(options.response_timeout));
        let mut redis = client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        let hello: HashMap<String, Value> = redis::cmd("HELLO").query_async(&mut redis).await?;
        let said = |name| hello.get(name).and_then(bytes).unwrap_or_default();
        let is_cluster = said("mode") == b"cluster";
        let mut members = BTreeSet::new();
        if is_cluster {
            let mut slots = redis::cmd("CLUSTER");
            slots.arg("SLOTS");
            members = members_of(&slots.query_async::<Vec<Value>>(&mut redis).await?);
        }
        Ok(Self {
            node: client.get_connection_info().addr().to_string(),
            version: String::from_utf8_lossy(said("version")).into_owned(),
            is_cluster,
            members,
        })
    }

    fn check(&self, wants_cluster: bool) -> Result<(), ConnectError> {
        check_version(&self.version)?;
        let node = || self.node.clone();
        match (wants_cluster, self.is_cluster) {
            (true, false) => Err(ConnectError::IsNoCluster { node: node() }),
            (false, true) => Err(ConnectError::IsCluster { node: node() }),
            (true, true) if self.members.is_empty() => {
                Err(ConnectError::NotJoined { node: node() })
            }
            _ => Ok(()),
        }
    }

    fn check_known_to(&self, other: Option<&Self>) -> Result<(), ConnectError> {
        match other {
            Some(other) if self.is_cluster && self.members.is_disjoint(&other.members) => {
                Err(ConnectError::Strangers {
                    node: self.node.clone(),
                    other: other.node.clone(),
                })
            }
            _ => Ok(()),
        }
    }
}

/// The node called `host:port`, with the login and the encryption of `first`.
fn beside(first: &ConnectionInfo, node: &str) -> Result<ConnectionInfo, ConnectError> {
    let malformed = || ConnectError::Node {
        node: node.to_owned(),
    };
    let (host, port) = node.rsplit_once(':').ok_or_else(malformed)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let (host, port) = (host.to_owned(), port.parse().map_err(|_| malformed())?);
    let address = match first.addr() {
        ConnectionAddr::Tcp(..) => ConnectionAddr::Tcp(host, port),
        ConnectionAddr::TcpTls {
            insecure,
            tls_params,
            ..
        } => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: *insecure,
            tls_params: tls_params.clone(),
        },
        _ => return Err(ConnectError::Socket),
    };
    Ok(first.clone().set_addr(address))
}

/// The ids in an answer of `CLUSTER SLOTS`: of each range its first and last slot, then nodes as address, port and id.
fn members_of(slots: &[Value]) -> BTreeSet<Vec<u8>> {
    let ranges = slots.iter().filter_map(array);
    let nodes = ranges.flat_map(|range| range.iter().skip(2));
    let ids = nodes.filter_map(|node| bytes(array(node)?.get(2)?));
    ids.map(<[u8]>::to_vec).collect()
}

fn array(value: &Value) -> Option<&Vec<Value>> {
    match value {
        Value::Array(items) => Some(items),
        _ => None,
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

    #[test]
    fn a_node_is_reached_with_the_login_and_the_encryption_of_the_url() {
        let options = |url: &str, nodes: &[&str]| BrokerOptions {
            nodes: nodes.iter().map(|&node| node.to_owned()).collect(),
            ..BrokerOptions::new(url.to_owned().into())
        };
        let url = "rediss://me:secret@one:7001";
        let all = clients(&options(url, &["two:7002", "one:7001", "[::1]:7003"])).expect("a list");
        let infos: Vec<_> = all.iter().map(Client::get_connection_info).collect();
        let addresses: Vec<_> = infos.iter().map(|info| info.addr().to_string()).collect();
        assert_eq!(addresses, ["one:7001", "two:7002", "::1:7003"]);
        for info in infos {
            assert!(matches!(
                info.addr(),
                ConnectionAddr::TcpTls {
                    insecure: false,
                    ..
                }
            ));
            assert_eq!(info.redis_settings().username(), Some("me"));
            assert_eq!(info.redis_settings().password(), Some("secret"));
        }
        for (url, node) in [
            (url, "two"),
            (url, "two:"),
            ("unix:///redis.sock", "two:7002"),
        ] {
            clients(&options(url, &[node])).expect_err(node);
        }
    }
}
