use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::plaintext;
use super::problem::{ConfigError, Source};
use super::reader::Reader;

/// `[redis]`
#[derive(Debug, Clone)]
pub struct Redis {
    /// The server and the user of this class; `None` only in a process that does not need it.
    pub url: Option<SecretString>,
    /// Nodes of the Redis Cluster that `url` names a node of, as `host:port`; empty for a single server.
    pub nodes: Vec<String>,
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
        let url = reader.secret_url("redis.url", plaintext::redis);
        let nodes = reader.list("redis.nodes");
        let redis = Redis { url, nodes };
        redis.check_nodes(reader);
        redis
    }

    /// They are reached as the URL says: with its login, and encrypted if that is.
    fn check_nodes(&self, reader: &mut Reader) {
        let url = self.url.as_ref().map(|url| Url::parse(url.expose_secret()));
        let Some(Ok(mut url)) = url else {
            return;
        };
        let source = reader.source("redis.nodes");
        if !self.nodes.is_empty() && !matches!(url.scheme(), "redis" | "rediss") {
            let message = "redis.nodes names nodes of a cluster, which has no Unix socket: redis.url must begin with \
                           rediss:// or redis://";
            reader.problem(source, message);
            return;
        }
        for node in &self.nodes {
            let problem = match host_and_port(node) {
                Some((host, port)) if url.set_host(Some(host)).is_ok() => {
                    let _ = url.set_port(Some(port));
                    reader.check_plaintext(url.as_str(), plaintext::redis).err()
                }
                _ => Some("is not host:port, as in \"redis-2.example.com:6379\"".to_owned()),
            };
            if let Some(problem) = problem {
                let message = format!("redis.nodes: {node:?} {problem}");
                reader.problem(source.clone(), message);
            }
        }
    }
}

fn host_and_port(node: &str) -> Option<(&str, u16)> {
    let (host, port) = node.rsplit_once(':')?;
    // An IPv6 address has brackets, as in a URL.
    let is_host = !host.is_empty() && (host.starts_with('[') || !host.contains([':', '@', '/']));
    Some((host, port.parse().ok().filter(|_| is_host)?))
}
