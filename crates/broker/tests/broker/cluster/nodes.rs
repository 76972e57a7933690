//! Nodes that die, come back empty, or are not what the configuration says.

use std::{collections::BTreeSet, time::Duration};

use bulkhead_broker::{Broker, BrokerOptions, ConnectError, Fences, Presence};
use bulkhead_devstack::{RedisCluster, RedisOptions, RedisServer};
use bulkhead_domain::{Class, JobId, WorkerId};

use super::{Clustered, SHARDS, all, options, until_ok};
use crate::fixture::job;

#[tokio::test]
async fn a_node_that_comes_back_empty_has_lost_its_shards_and_the_nonce_says_so() {
    let mut clustered =
        Clustered::with(|options| options.response_timeout = Duration::from_millis(500)).await;
    let jobs: Vec<_> = (0..40).map(|n| job(n, 1, n)).collect();
    clustered.broker.enqueue(&jobs).await.unwrap();
    let fences = Fences::new(&clustered.broker);
    fences.establish("first", None).await.unwrap();
    clustered.cluster.restart_empty(1).await.unwrap();

    assert_eq!(until_ok(async || fences.boot_nonce().await).await, None);
    let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
    let presence = until_ok(async || clustered.broker.presence(&ids).await).await;
    for (job, presence) in jobs.iter().zip(presence) {
        let shard = clustered.broker.shard_of(job.connection);
        let lost = clustered.node_of(shard) == 1;
        assert_eq!(presence == Presence::Absent, lost, "shard {shard}");
    }
    fences.establish("second", None).await.unwrap();
    let nonce = fences.boot_nonce().await.unwrap();
    assert_eq!(nonce.as_deref(), Some("second"));
    clustered.broker.enqueue(&jobs).await.unwrap();
    let total = clustered.broker.stats().await.unwrap().total;
    assert_eq!(total.queued, 40);
}

#[tokio::test]
async fn whoever_waits_is_woken_from_every_node_also_after_any_of_them_has_died() {
    let mut clustered =
        Clustered::with(|options| options.response_timeout = Duration::from_millis(500)).await;
    let wakes = clustered.broker.wakes();
    let unlimited = Duration::from_secs(60);
    // The subscription itself counts once, on all shards.
    wakes.wait(&wakes.mark(), unlimited).await;
    for died in 0..3 {
        for n in 0..20 {
            let mark = wakes.mark();
            let one = job(died * 100 + n, 1, died * 100 + n);
            let shard = clustered.broker.shard_of(one.connection);
            clustered.broker.enqueue(&[one]).await.unwrap();
            assert!(wakes.wait(&mark, unlimited).await.contains(&shard));
            // Only what makes a shard busy is said.
            let worker = WorkerId::new(format!("{died}.{n}"));
            let leased = clustered.fetch_everywhere(&worker, 1, 9).await;
            assert_eq!(all(&leased).len(), 1);
        }
        let mark = wakes.mark();
        let node = usize::try_from(died).unwrap();
        clustered.cluster.restart_empty(node).await.unwrap();
        until_ok(async || clustered.broker.stats().await).await;
        // If it was the one that was listened to, another is, and whoever waits looks once.
        let woken: BTreeSet<u16> = wakes
            .wait(&mark, Duration::from_millis(500))
            .await
            .into_iter()
            .collect();
        assert!(woken.is_empty() || woken.len() == usize::from(SHARDS));
    }
}

#[tokio::test]
async fn a_process_starts_by_whichever_node_answers() {
    let mut clustered = Clustered::start().await;
    clustered.cluster.kill(0);
    let mut options = options(&clustered.cluster);
    options.response_timeout = Duration::from_millis(500);
    let broker = Broker::connect(&options, Class::Sync).await.unwrap();
    clustered.cluster.restart(0).await.unwrap();
    let jobs: Vec<_> = (0..40).map(|n| job(n, 1, n)).collect();
    until_ok(async || broker.enqueue(&jobs).await).await;
    assert_eq!(broker.stats().await.unwrap().total.queued, 40);
}

#[tokio::test]
async fn a_cluster_that_was_away_as_a_whole_is_taken_up_again_by_the_same_broker() {
    let mut clustered =
        Clustered::with(|options| options.response_timeout = Duration::from_millis(500)).await;
    let broker = clustered.broker.clone();
    broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    for node in 0..3 {
        clustered.cluster.kill(node);
    }
    broker.enqueue(&[job(2, 1, 1)]).await.unwrap_err();
    broker.stats().await.unwrap_err();
    clustered.cluster.restart_all_empty().await.unwrap();
    until_ok(async || broker.enqueue(&[job(2, 1, 1)]).await).await;
    assert_eq!(broker.stats().await.unwrap().total.queued, 1);
}

async fn refusal(options: &BrokerOptions) -> ConnectError {
    Broker::connect(options, Class::Sync).await.unwrap_err()
}

#[tokio::test]
async fn a_cluster_given_as_a_server_and_a_server_given_as_a_cluster_are_one_clear_error_each() {
    let cluster = RedisCluster::start().await.unwrap();
    let server = RedisServer::start(RedisOptions {
        tcp: true,
        ..RedisOptions::default()
    });
    let server = server.await.unwrap();
    let address = |server: &RedisServer| format!("127.0.0.1:{}", server.port().unwrap());
    let first = &cluster.addresses()[0];

    let mut options = BrokerOptions::new(cluster.url().into());
    let error = refusal(&options).await.to_string();
    let wanted = format!("{first} is a node of a Redis Cluster: set redis.nodes");
    assert!(error.starts_with(&wanted), "{error}");

    options.nodes = vec![first.clone(), address(&server)];
    let error = refusal(&options).await.to_string();
    let wanted = format!(
        "{} is a single Redis, not a node of a cluster",
        address(&server)
    );
    assert!(error.starts_with(&wanted), "{error}");

    let alone = RedisServer::start(RedisOptions {
        tcp: true,
        config: vec!["cluster-enabled yes".into()],
        ..RedisOptions::default()
    });
    let alone = alone.await.unwrap();
    options.nodes = vec![first.clone(), address(&alone)];
    assert!(matches!(
        refusal(&options).await,
        ConnectError::NotJoined { .. }
    ));

    options.nodes = vec![first.clone(), "nonsense".to_owned()];
    assert!(matches!(refusal(&options).await, ConnectError::Node { .. }));

    let other = RedisCluster::start().await.unwrap();
    options.nodes = other.addresses();
    assert!(matches!(
        refusal(&options).await,
        ConnectError::Strangers { .. }
    ));
    cluster.kill(0);
    cluster.kill(1);
    cluster.kill(2);
    options.nodes = cluster.addresses();
    assert!(matches!(
        refusal(&options).await,
        ConnectError::Unreachable(_)
    ));
}
