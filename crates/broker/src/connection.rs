//! A connection that is watched: while Redis gives no answer on it, it is made anew again and again.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use redis::{
    Arg, Client, Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult, Value,
    aio::ConnectionLike,
};
use tokio::time::{Instant, timeout};
use tracing::{debug, warn};

use crate::{
    link::Link,
    node::{self, ConnectError},
    options::BrokerOptions,
};

/// Clones share the connection.
///
/// The client library takes up a connection again that was closed. It keeps one that has fallen silent (the other end is
/// gone and nobody said so), and one whose login was refused for a while. So this is a watchdog over it: when nothing but
/// errors has come for as long as an answer may take, the connection is dropped with whatever waits in it, and the next
/// call makes another. On a cluster every shard is watched by itself: that others answer is not the end of a silence.
#[derive(Clone)]
pub(crate) struct Connection(Arc<Watched>);

struct Watched {
    /// The server, or nodes of the cluster.
    servers: Vec<Client>,
    /// How long an answer may take, with connecting if that is needed.
    patience: Duration,
    state: Mutex<State>,
}

struct State {
    redis: Link,
    /// How often it was made anew: what an older one brings says nothing about this one.
    generation: u64,
    /// What has failed since its last answer, by the tag of its shard; by none on a single server.
    failing: BTreeMap<Vec<u8>, Failing>,
}

#[derive(Default)]
struct Failing {
    /// When the first of these calls was made on this connection.
    since: Option<Instant>,
    /// The log says already that nothing comes.
    told: bool,
}

impl Connection {
    /// Connects, and asks every server that answers what it is. Returns also a client for each, for subscriptions.
    pub(crate) async fn open(options: &BrokerOptions) -> Result<(Self, Vec<Client>), ConnectError> {
        let servers = node::clients(options)?;
        node::check(&servers, options).await?;
        let patience = options.response_timeout;
        let link = if options.nodes.is_empty() {
            Link::to_server(&servers[0], patience).await
        } else {
            Link::to_cluster(&servers, patience).await
        };
        let watched = Watched {
            servers: servers.clone(),
            patience,
            state: Mutex::new(State {
                redis: link.map_err(ConnectError::Unreachable)?,
                generation: 0,
                failing: BTreeMap::new(),
            }),
        };
        Ok((Self(Arc::new(watched)), servers))
    }

    /// Makes a call on the connection as it is now, which must answer in time whatever the client library does.
    async fn call<T>(
        &self,
        first: Option<&Cmd>,
        call: impl AsyncFnOnce(Link) -> RedisResult<T>,
    ) -> RedisResult<T> {
        let (redis, generation) = self.0.current();
        let shard = match redis {
            Link::Server(_) => &[],
            Link::Cluster(_) => first.map(tag).unwrap_or_default(),
        };
        let asked_at = Instant::now();
        let answer = timeout(self.0.patience, call(redis)).await;
        let answer = answer.unwrap_or_else(|_| Err(no_answer()));
        match &answer {
            Ok(_) => self.0.answered(generation, shard),
            Err(error) if is_answer(error) => self.0.answered(generation, shard),
            Err(error) => self.0.failed(generation, shard, asked_at, error),
        }
        answer
    }
}

impl State {
    fn renew(&mut self, link: Link) {
        self.redis = link;
        self.generation += 1;
        self.wait_anew();
    }

    fn wait_anew(&mut self) {
        for failing in self.failing.values_mut() {
            failing.since = None;
        }
    }
}

impl Watched {
    fn current(&self) -> (Link, u64) {
        let state = self.state();
        (state.redis.clone(), state.generation)
    }

    fn answered(&self, generation: u64, shard: &[u8]) {
        let mut state = self.state();
        if state.generation == generation {
            state.failing.remove(shard);
        }
    }

    fn failed(
        self: &Arc<Self>,
        generation: u64,
        shard: &[u8],
        asked_at: Instant,
        error: &RedisError,
    ) {
        let mut state = self.state();
        if state.generation != generation {
            return;
        }
        let failing = state.failing.entry(shard.to_owned()).or_default();
        let since = *failing.since.get_or_insert(asked_at);
        if since.elapsed() < self.patience {
            return;
        }
        let told = std::mem::replace(&mut failing.told, true);
        if !self.rebuild(&mut state) {
            return;
        }
        if told {
            count_rebuilt("commands");
        } else {
            rebuilt("commands", since.elapsed(), error);
        }
    }

    /// The old connection ends with the last call that still waits in it. Returns whether there is to be a new one.
    fn rebuild(self: &Arc<Self>, state: &mut State) -> bool {
        match &state.redis {
            Link::Server(_) => match Link::to_server_lazily(&self.servers[0], self.patience) {
                Ok(link) => state.renew(link),
                // It cannot: the same client and configuration have made one before.
                Err(refused) => {
                    debug!(error = %refused, "no new connection");
                    return false;
                }
            },
            // Where each node is must be asked first; until that is known the old one is used.
            Link::Cluster(_) => {
                state.wait_anew();
                let (watched, generation) = (Arc::clone(self), state.generation);
                tokio::spawn(async move { watched.rebuild_cluster(generation).await });
            }
        }
        true
    }

    async fn rebuild_cluster(&self, generation: u64) {
        match timeout(
            self.patience,
            Link::to_cluster(&self.servers, self.patience),
        )
        .await
        {
            Ok(Ok(link)) => {
                let mut state = self.state();
                if state.generation == generation {
                    state.renew(link);
                }
            }
            // The next call that fails for so long tries again.
            Ok(Err(error)) => debug!(error = %error, "no new connection to the cluster"),
            Err(_) => debug!("no new connection to the cluster in time"),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tag of the shard that a command is for: its first argument that begins with one.
fn tag(command: &Cmd) -> &[u8] {
    let tags = command.args_iter().filter_map(|argument| match argument {
        Arg::Simple(key) if key.starts_with(b"{") => Some(key),
        _ => None,
    });
    let key = tags.into_iter().next().unwrap_or_default();
    let end = key.iter().position(|byte| *byte == b'}');
    &key[..end.unwrap_or_default()]
}

/// Counts a connection that is made anew, and says so.
///
/// Metric: `bulkhead_redis_connections_rebuilt_total{connection}`.
pub(crate) fn rebuilt(connection: &'static str, silent: Duration, error: &RedisError) {
    count_rebuilt(connection);
    let silent_ms = u64::try_from(silent.as_millis()).unwrap_or(u64::MAX);
    warn!(connection, silent_ms, error = %error, "no answer from Redis; connecting anew until there is one");
}

fn count_rebuilt(connection: &'static str) {
    metrics::counter!("bulkhead_redis_connections_rebuilt_total", "connection" => connection)
        .increment(1);
}

/// Whether Redis itself refused: a connection that brings that is not silent. One whose login is refused is as good as.
fn is_answer(error: &RedisError) -> bool {
    let refused = matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension);
    refused && !matches!(error.code(), Some("NOAUTH" | "WRONGPASS"))
}

/// Nothing came in time.
pub(crate) fn no_answer() -> RedisError {
    io::Error::from(io::ErrorKind::TimedOut).into()
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        let call = async move |mut redis: Link| redis.req_packed_command(command).await;
        Box::pin(self.call(Some(command), call))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let call =
            async move |mut redis: Link| redis.req_packed_commands(pipeline, offset, count).await;
        Box::pin(self.call(pipeline.cmd_iter().next(), call))
    }

    fn get_db(&self) -> i64 {
        self.0.state().redis.get_db()
    }
}

#[cfg(test)]
mod tests {
    use bulkhead_devstack::RedisCluster;

    use super::*;

    async fn ask(connection: &Connection, shard: u16) -> RedisResult<bool> {
        let command = Cmd::exists(format!("{{sync.{shard}}}:jobs"));
        command.query_async(&mut connection.clone()).await
    }

    #[tokio::test]
    async fn a_silent_node_is_connected_to_again_and_again_and_told_of_once_while_others_answer() {
        let cluster = RedisCluster::start().await.unwrap();
        for node in cluster.nodes() {
            node.command("CONFIG SET cluster-require-full-coverage no")
                .unwrap();
        }
        let mut options = BrokerOptions::new(cluster.url().into());
        options.nodes = cluster.addresses();
        options.response_timeout = Duration::from_millis(500);
        let (connection, _) = Connection::open(&options).await.unwrap();
        let node_of = |shard: u16| cluster.node_of(&format!("{{sync.{shard}}}")).unwrap();
        let silent = node_of(0);
        let other = (1..9).find(|shard| node_of(*shard) != silent).unwrap();
        cluster.nodes()[silent].stop();
        let mut asked = 0;
        while connection.0.state().generation < 2 {
            asked += 1;
            assert!(asked < 20, "nothing is connected anew");
            ask(&connection, 0).await.unwrap_err();
            ask(&connection, other).await.unwrap();
            let told = |shard: &Failing| shard.told;
            assert!(connection.0.state().failing.values().any(told));
        }
        cluster.nodes()[silent].cont();
        while ask(&connection, 0).await.is_err() {}
        assert!(connection.0.state().failing.is_empty());
    }

    #[test]
    fn a_command_is_of_the_shard_that_its_first_key_names() {
        let mut script = redis::cmd("EVAL");
        script
            .arg("return {}")
            .arg(2)
            .arg("{sync.3}")
            .arg("{sync.3}");
        assert_eq!(tag(&script), b"{sync.3");
        assert_eq!(tag(&Cmd::get("{token.11}:boot")), b"{token.11");
        assert_eq!(tag(&redis::cmd("PING")), b"");
    }
}
