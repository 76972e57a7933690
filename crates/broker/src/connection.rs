//! A connection that is watched: while Redis gives no answer on it, it is made anew again and again.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use redis::{
    Client, Cmd, Pipeline, RedisError, RedisFuture, RedisResult, Value,
    aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig},
};
use tokio::time::{Instant, timeout};
use tracing::{debug, warn};

const MIN_RECONNECT_DELAY: Duration = Duration::from_millis(50);
const MAX_RECONNECT_DELAY: Duration = Duration::from_secs(1);

/// Clones share the connection.
///
/// The client library takes up a connection again that was closed. It keeps one that has fallen silent (the other end is
/// gone and nobody said so), and one whose login was refused for a while. So this is a watchdog over it: when nothing but
/// errors has come for as long as an answer may take, the connection is dropped with whatever waits in it, and the next
/// call makes another.
#[derive(Clone)]
pub(crate) struct Connection(Arc<Watched>);

struct Watched {
    client: Client,
    /// How long an answer may take, with connecting if that is needed.
    patience: Duration,
    state: Mutex<State>,
}

struct State {
    redis: ConnectionManager,
    /// How often it was made anew: what an older one brings says nothing about this one.
    generation: u64,
    /// When the first call was made of those that failed since the last answer.
    failing_since: Option<Instant>,
    /// The log says already that nothing comes.
    told: bool,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(client: Client, patience: Duration) -> RedisResult<Self> {
        let config = config(patience);
        let redis = ConnectionManager::new_with_config(client.clone(), config).await?;
        Ok(Self(Arc::new(Watched {
            client,
            patience,
            state: Mutex::new(State {
                redis,
                generation: 0,
                failing_since: None,
                told: false,
            }),
        })))
    }

    /// Makes a call on the connection as it is now, which must answer in time whatever the client library does.
    async fn call<T>(
        &self,
        call: impl AsyncFnOnce(ConnectionManager) -> RedisResult<T>,
    ) -> RedisResult<T> {
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

impl Watched {
    fn current(&self) -> (ConnectionManager, u64) {
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

    fn failed(&self, generation: u64, asked_at: Instant, error: &RedisError) {
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
    fn rebuild(&self, state: &mut State, since: Instant, error: &RedisError) {
        let config = config(self.patience);
        match ConnectionManager::new_lazy_with_config(self.client.clone(), config) {
            Ok(redis) => state.redis = redis,
            // It cannot: the same client and configuration have made one before.
            Err(refused) => return debug!(error = %refused, "no new connection"),
        }
        state.generation += 1;
        state.failing_since = None;
        if std::mem::replace(&mut state.told, true) {
            count_rebuilt("commands");
        } else {
            rebuilt("commands", since.elapsed(), error);
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

fn config(patience: Duration) -> ConnectionManagerConfig {
    ConnectionManagerConfig::new()
        .set_connection_timeout(Some(patience))
        // Every call has a limit that does not depend on the library.
        .set_response_timeout(None)
        .set_number_of_retries(2)
        .set_min_delay(MIN_RECONNECT_DELAY)
        .set_max_delay(MAX_RECONNECT_DELAY)
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(self.call(async move |mut redis| redis.send_packed_command(command).await))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(
            self.call(async move |mut redis| {
                redis.send_packed_commands(pipeline, offset, count).await
            }),
        )
    }

    fn get_db(&self) -> i64 {
        self.0.client.get_connection_info().redis_settings().db()
    }
}
