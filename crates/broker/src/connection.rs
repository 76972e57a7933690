//! A connection that is watched: while Redis gives no answer on it, it is made anew again and again.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use redis::{
    Client, Cmd, Pipeline, RedisError, RedisFuture, RedisResult, Value, aio::ConnectionLike,
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
/// call makes another.
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
    /// When the first call was made of those that failed since the last answer.
    failing_since: Option<Instant>,
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
                failing_since: None,
                told: false,
            }),
        };
        Ok((Self(Arc::new(watched)), servers))
    }

    /// Makes a call on the connection as it is now, which must answer in time whatever the client library does.
    async fn call<T>(&self, call: impl AsyncFnOnce(Link) -> RedisResult<T>) -> RedisResult<T> {
        let (redis, generation) = self.0.current();
        let asked_at = Instant::now();
        let answer = timeout(self.0.patience, call(redis)).await;
        let answer = answer.unwrap_or_else(|_| Err(no_answer()));
        match &answer {
            Ok(_) => self.0.answered(generation),
            Err(error) => self.0.failed(generation, asked_at, error),
        }
        answer
    }
}

impl State {
    fn renew(&mut self, link: Link) {
        self.redis = link;
        self.generation += 1;
        self.failing_since = None;
    }
}

impl Watched {
    fn current(&self) -> (Link, u64) {
        let state = self.state();
        (state.redis.clone(), state.generation)
    }

    fn answered(&self, generation: u64) {
        let mut state = self.state();
        if state.generation == generation {
            state.failing_since = None;
            state.told = false;
        }
    }

    fn failed(self: &Arc<Self>, generation: u64, asked_at: Instant, error: &RedisError) {
        let mut state = self.state();
        if state.generation != generation {
            return;
        }
        let since = *state.failing_since.get_or_insert(asked_at);
        if since.elapsed() >= self.patience {
            self.rebuild(&mut state, since, error);
        }
    }

    /// The old connection ends with the last call that still waits in it.
    fn rebuild(self: &Arc<Self>, state: &mut State, since: Instant, error: &RedisError) {
        match &state.redis {
            Link::Server(_) => match Link::to_server_lazily(&self.servers[0], self.patience) {
                Ok(link) => state.renew(link),
                // It cannot: the same client and configuration have made one before.
                Err(refused) => return debug!(error = %refused, "no new connection"),
            },
            // Where each node is must be asked first; until that is known the old one is used.
            Link::Cluster(_) => {
                state.failing_since = None;
                let (watched, generation) = (Arc::clone(self), state.generation);
                tokio::spawn(async move { watched.rebuild_cluster(generation).await });
            }
        }
        if std::mem::replace(&mut state.told, true) {
            count_rebuilt("commands");
        } else {
            rebuilt("commands", since.elapsed(), error);
        }
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

/// Nothing came in time.
pub(crate) fn no_answer() -> RedisError {
    io::Error::from(io::ErrorKind::TimedOut).into()
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(self.call(async move |mut redis| redis.req_packed_command(command).await))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(
            self.call(async move |mut redis| {
                redis.req_packed_commands(pipeline, offset, count).await
            }),
        )
    }

    fn get_db(&self) -> i64 {
        self.0.state().redis.get_db()
    }
}
