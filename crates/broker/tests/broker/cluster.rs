//! The same on a Redis Cluster: three real nodes, shards on each of them.

mod flows;
mod nodes;
mod plans;
mod resharding;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bulkhead_broker::{
    Acknowledged, Acknowledgement, Broker, BrokerClock, BrokerOptions, FetchRequest, Leased,
    Outcome, TestClock,
};
use bulkhead_devstack::RedisCluster;
use bulkhead_domain::{Class, JobId, WorkerId};

use crate::fixture::start;

/// Of each class; an odd number, since a connection's shard is its id modulo this.
pub(crate) const SHARDS: u16 = 7;

pub(crate) struct Clustered {
    pub(crate) cluster: RedisCluster,
    pub(crate) broker: Broker,
    pub(crate) clock: TestClock,
}

/// How to reach a cluster by one of its nodes.
pub(crate) fn options(cluster: &RedisCluster) -> BrokerOptions {
    let mut options = BrokerOptions::new(cluster.url().into());
    options.nodes = cluster.addresses();
    options.shards = SHARDS;
    options
}

impl Clustered {
    pub(crate) async fn start() -> Self {
        Self::with(|_| ()).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut BrokerOptions)) -> Self {
        let cluster = RedisCluster::start().await.unwrap();
        let clock = TestClock::frozen_at(start());
        let mut options = options(&cluster);
        options.clock = BrokerClock::Injected(clock.clone());
        change(&mut options);
        let broker = Broker::connect(&options, Class::Sync).await.unwrap();
        let clustered = Self {
            cluster,
            broker,
            clock,
        };
        assert_eq!(clustered.nodes_in_use(), BTreeSet::from([0, 1, 2]));
        clustered
    }

    /// The nodes that serve the class's shards.
    fn nodes_in_use(&self) -> BTreeSet<usize> {
        (0..SHARDS).map(|shard| self.node_of(shard)).collect()
    }

    pub(crate) fn node_of(&self, shard: u16) -> usize {
        self.cluster.node_of(&tag(shard)).unwrap()
    }

    /// A shard of the class on this node.
    pub(crate) fn shard_on(&self, node: usize) -> u16 {
        (0..SHARDS)
            .find(|shard| self.node_of(*shard) == node)
            .unwrap()
    }

    /// Up to `max` jobs of each shard, by shard.
    pub(crate) async fn fetch_everywhere(
        &self,
        worker: &WorkerId,
        sequence: u64,
        max: usize,
    ) -> BTreeMap<u16, Vec<Leased>> {
        let mut leased = BTreeMap::new();
        for shard in 0..SHARDS {
            let request = FetchRequest {
                worker,
                shard,
                sequence,
                max,
            };
            leased.insert(shard, self.broker.fetch(&request).await.unwrap().leased);
        }
        leased
    }

    /// How jobs of one shard ended, all in the same way.
    pub(crate) async fn acknowledge(
        &self,
        shard: u16,
        leased: &[Leased],
        outcome: &Outcome,
    ) -> Vec<Acknowledged> {
        let acknowledgements: Vec<_> = leased
            .iter()
            .map(|one| Acknowledgement {
                lease: one.lease.clone(),
                outcome: outcome.clone(),
            })
            .collect();
        let answers = self.broker.acknowledge(shard, &acknowledgements).await;
        answers.unwrap()
    }

    /// What Redis holds, fetch replies, which expire, and the last tokens aside.
    pub(crate) async fn leftovers(&self) -> Vec<String> {
        let mut left = Vec::new();
        for node in self.cluster.nodes() {
            let client = redis::Client::open(node.url()).unwrap();
            let mut connection = client.get_multiplexed_async_connection().await.unwrap();
            let mut keys = redis::cmd("KEYS");
            let keys: Vec<Vec<u8>> = keys.arg("*").query_async(&mut connection).await.unwrap();
            let names = keys.iter().map(|key| String::from_utf8_lossy(key));
            let kept = |name: &str| name.contains(":fetch:") || name.ends_with(":token");
            left.extend(names.map(String::from).filter(|name| !kept(name)));
        }
        left
    }
}

pub(crate) fn tag(shard: u16) -> String {
    format!("{{sync.{shard}}}")
}

pub(crate) fn all(leased: &BTreeMap<u16, Vec<Leased>>) -> BTreeSet<JobId> {
    let jobs = leased.values().flatten();
    jobs.map(|one| one.job.id).collect()
}

/// Repeats a call while it fails, as a worker does; each try lasts up to the response timeout.
pub(crate) async fn until_ok<T, E: std::fmt::Debug>(
    mut call: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let begun = std::time::Instant::now();
    loop {
        match call().await {
            Ok(answer) => return answer,
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(30), "{error:?}"),
        }
        tokio::task::yield_now().await;
    }
}
