//! A worker on a cluster of which a node does not answer.

use std::time::Duration;

use bulkhead_broker::JobState;
use bulkhead_devstack::{RedisCluster, RedisServer};
use bulkhead_domain::Job;
use bulkhead_worker::Outcome;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::{
    fixture::{Fixture, Logs, Run, eventually, job, jobs},
    loss::alone,
};

/// Enough that each node has some.
const SHARDS: u16 = 7;

/// A beat is a quarter of it, and may wait as long for a node that does not answer: twice, and the leases elsewhere are
/// renewed in time still.
const VISIBILITY: Duration = Duration::from_secs(4);

/// The node that goes away.
const AWAY: usize = 1;

struct Clustered {
    fixture: Fixture<RedisCluster>,
    /// By shard; asked while every node answers.
    nodes: Vec<usize>,
}

impl Clustered {
    async fn start() -> Self {
        let fixture = Fixture::on_a_cluster(|options| {
            options.shards = SHARDS;
            options.visibility_timeout = VISIBILITY;
        })
        .await;
        for node in fixture.redis.nodes() {
            node.command("CONFIG SET cluster-require-full-coverage no")
                .unwrap();
        }
        let node_of = |shard| fixture.redis.node_of(&format!("{{sync.{shard}}}")).unwrap();
        let nodes = (0..SHARDS).map(node_of).collect();
        Self { fixture, nodes }
    }

    fn is_away(&self, shard: u16) -> bool {
        self.nodes[usize::from(shard)] == AWAY
    }

    /// The shards of the node that goes away, and the others.
    fn shards(&self) -> (Vec<u16>, Vec<u16>) {
        let (away, others): (Vec<u16>, Vec<u16>) =
            (0..SHARDS).partition(|shard| self.is_away(*shard));
        assert!(!away.is_empty() && !others.is_empty());
        (away, others)
    }

    fn node_away(&self) -> &RedisServer {
        &self.fixture.redis.nodes()[AWAY]
    }

    /// The number that a shard's node answers.
    fn ask(&self, shard: u16, command: &str) -> u64 {
        let node = &self.fixture.redis.nodes()[self.nodes[usize::from(shard)]];
        let answer = node.command(command).unwrap();
        answer.trim_start_matches(':').parse().unwrap()
    }

    /// Whether a shard has a lease that lasts beyond `time`.
    fn has_lease_beyond(&self, shard: u16, time: Timestamp) -> bool {
        let beyond = time.as_microsecond();
        self.ask(
            shard,
            &format!("ZCOUNT {{sync.{shard}}}:leases ({beyond} +inf"),
        ) == 1
    }

    /// How many first starts a shard has noted.
    fn starts(&self, shard: u16) -> u64 {
        let script = format!(
            "local starts = 0 \
             for _, hour in ipairs(redis.call('KEYS', '{{sync.{shard}}}:waits:*')) do \
             for _, count in ipairs(redis.call('HVALS', hour)) do starts = starts + count end end \
             return starts"
        );
        self.ask(shard, &format!("EVAL \"{script}\" 0"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_node_is_away_leases_elsewhere_are_renewed_and_its_jobs_are_stopped_in_time() {
    let _alone = alone().await;
    let mut cluster = Clustered::start().await;
    let worker = cluster.fixture.worker("a", SHARDS.into()).await;
    cluster.fixture.enqueue(&jobs(SHARDS.into())).await;
    let mut runs = Vec::new();
    for _ in 0..SHARDS {
        runs.push(cluster.fixture.started().await);
    }
    let (away, kept): (Vec<Run>, Vec<Run>) = runs
        .into_iter()
        .partition(|run| cluster.is_away(run.context.lease.shard()));
    let mut first = Vec::new();
    for run in kept {
        let state = cluster.fixture.state(&run.context.job).await;
        let Some(JobState::Running { expires, .. }) = state else {
            panic!("{state:?}");
        };
        first.push((run, expires));
    }
    cluster.node_away().stop();
    let since = Instant::now();
    let mut expected: Vec<_> = away.iter().map(Run::id).collect();
    let mut stopped = Vec::new();
    for _ in &away {
        stopped.push(cluster.fixture.stopped().await);
    }
    let within = since.elapsed();
    assert!(within < VISIBILITY + Duration::from_secs(1), "{within:?}");
    expected.sort();
    stopped.sort();
    assert_eq!(stopped, expected);
    // By then each would have run out, had it not been renewed while the node was away.
    for (run, expires) in &first {
        let shard = run.context.lease.shard();
        eventually(async || cluster.has_lease_beyond(shard, *expires + 2 * VISIBILITY)).await;
    }
    cluster.fixture.no_event();
    for (run, _) in first {
        run.end(Outcome::Done);
    }
    cluster.node_away().cont();
    for _ in &away {
        cluster.fixture.started().await.end(Outcome::Done);
    }
    cluster.fixture.until_empty().await;
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_node_is_away_waits_elsewhere_are_noted_and_its_own_are_kept() {
    let _alone = alone().await;
    let logs = Logs::capture();
    let before = logs.count("dependency is down");
    let mut cluster = Clustered::start().await;
    let (away, others) = cluster.shards();
    let worker = cluster.fixture.worker("a", 3 * usize::from(SHARDS)).await;
    cluster.fixture.enqueue(&jobs(SHARDS.into())).await;
    for _ in 0..SHARDS {
        cluster.fixture.started().await.end(Outcome::Done);
    }
    cluster.node_away().stop();
    // Of shards that answer; the others have what they had.
    let later: Vec<Job> = others
        .iter()
        .map(|shard| job(u128::from(SHARDS + shard)))
        .collect();
    cluster.fixture.enqueue(&later).await;
    for _ in &later {
        cluster.fixture.started().await.end(Outcome::Done);
    }
    for shard in &others {
        eventually(async || cluster.starts(*shard) == 2).await;
    }
    eventually(async || logs.count("dependency is down") > before).await;
    cluster.node_away().cont();
    for shard in away {
        // A call whose answer was lost is repeated.
        eventually(async || cluster.starts(shard) >= 1).await;
    }
    cluster.fixture.until_empty().await;
    worker.drain().await;
    assert_eq!(logs.count("dependency is down"), before + 1, "said once");
}
