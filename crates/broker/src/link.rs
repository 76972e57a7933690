//! What a connection goes through: a single server, or all nodes of a cluster.

use std::time::Duration;

use futures_util::FutureExt;
use redis::{
    Client, Cmd, Pipeline, RedisFuture, RedisResult, Value,
    aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig},
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
};

/// A connection that is taken up again by itself; until then every call returns its error. Clones share it.
///
/// A cluster's commands go to the node that serves their first key, also while its slot moves to another.
#[derive(Clone)]
pub(crate) enum Link {
    Server(ConnectionManager),
    Cluster(ClusterConnection),
}

const MIN_RECONNECT_DELAY: Duration = Duration::from_millis(50);
const MAX_RECONNECT_DELAY: Duration = Duration::from_secs(1);

/// How often a call is sent on to another node, or again to one that says *try again*; how long all of it may take is
/// bounded by the response timeout.
const RETRIES: u32 = 32;
const MIN_RETRY_DELAY_MS: u64 = 5;
const MAX_RETRY_DELAY_MS: u64 = 100;

impl Link {
    /// Connects to a single server.
    pub(crate) async fn to_server(client: &Client, patience: Duration) -> RedisResult<Self> {
        let config = server_config(patience);
        let manager = ConnectionManager::new_with_config(client.clone(), config).await?;
        Ok(Self::Server(manager))
    }

    /// Connects to a single server with the first call.
    pub(crate) fn to_server_lazily(client: &Client, patience: Duration) -> RedisResult<Self> {
        let config = server_config(patience);
        ConnectionManager::new_lazy_with_config(client.clone(), config).map(Self::Server)
    }

    /// Connects to every node of the cluster that one of `clients` knows.
    pub(crate) async fn to_cluster(clients: &[Client], patience: Duration) -> RedisResult<Self> {
        let nodes = clients
            .iter()
            .map(|node| node.get_connection_info().clone());
        let cluster = ClusterClient::builder(nodes)
            // Whoever waits for a node that does not answer holds up the calls to all others.
            .connection_timeout(patience / 4)
            .response_timeout(patience)
            .overall_response_timeout(Some(patience))
            .retries(RETRIES)
            .min_retry_wait(MIN_RETRY_DELAY_MS)
            .max_retry_wait(MAX_RETRY_DELAY_MS)
            .build()?;
        Ok(Self::Cluster(cluster.get_async_connection().await?))
    }
}

fn server_config(patience: Duration) -> ConnectionManagerConfig {
    ConnectionManagerConfig::new()
        .set_connection_timeout(Some(patience))
        // Every call has a limit that does not depend on the library.
        .set_response_timeout(None)
        .set_number_of_retries(2)
        .set_min_delay(MIN_RECONNECT_DELAY)
        .set_max_delay(MAX_RECONNECT_DELAY)
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Server(server) => server.req_packed_command(command),
            Self::Cluster(cluster) => cluster.req_packed_command(command),
        }
    }

    /// The commands of a pipeline are of one shard, and so of one node; while its slot moves, each finds its own.
    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Server(server) => server.req_packed_commands(pipeline, offset, count),
            Self::Cluster(cluster) => together(cluster, pipeline, offset, count).boxed(),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Server(server) => server.get_db(),
            Self::Cluster(cluster) => cluster.get_db(),
        }
    }
}

/// A pipeline is sent on to another node as a whole, which answers nothing while a slot is half here and half there.
async fn together(
    cluster: &mut ClusterConnection,
    pipeline: &Pipeline,
    offset: usize,
    count: usize,
) -> RedisResult<Vec<Value>> {
    let answer = cluster.req_packed_commands(pipeline, offset, count).await;
    match answer {
        Err(error) if error.redirect_node().is_some() && !pipeline.is_transaction() => {
            one_by_one(cluster, pipeline).await
        }
        answered => answered,
    }
}

/// Not beside each other: a redirection is two commands, between which no other may come.
async fn one_by_one(
    cluster: &mut ClusterConnection,
    pipeline: &Pipeline,
) -> RedisResult<Vec<Value>> {
    let mut answers = Vec::new();
    for command in pipeline.cmd_iter() {
        answers.push(cluster.req_packed_command(command).await?);
    }
    Ok(answers)
}
