//! A private Redis, a broker of one shard on it, and a clock that the test moves.

use std::{cell::Cell, time::Duration};

use bulkhead_broker::{
    Acknowledged, Acknowledgement, Broker, BrokerClock, BrokerOptions, Fences, FetchRequest,
    Fetched, Leased, Outcome, TestClock,
};
use bulkhead_devstack::{RedisOptions, RedisServer};
use bulkhead_domain::{
    ApplicationId, Class, ConnectionId, Job, JobId, JobKind, JobParams, Priority, TenantId,
    WorkerId,
};
use jiff::{Timestamp, civil::date};
use uuid::Uuid;

pub(crate) const VISIBILITY: Duration = Duration::from_secs(10);

pub(crate) struct Fixture {
    pub(crate) redis: RedisServer,
    pub(crate) broker: Broker,
    pub(crate) clock: TestClock,
}

/// Establishes a nonce, and vouches for the fences for longer than any test lasts.
pub(crate) async fn open(broker: &Broker, nonce: &str) {
    let fences = Fences::new(broker);
    fences.establish(nonce, None).await.unwrap();
    grant(broker).await;
}

/// Vouches for fences that stop nothing, for longer than any test lasts; again after the clock went back.
pub(crate) async fn grant(broker: &Broker) {
    let fences = Fences::new(broker);
    let clocks = fences.grant_clocks().await.unwrap();
    let long = Duration::from_secs(1 << 32);
    fences.grant(&clocks, &[], long).await.unwrap();
}

thread_local! {
    /// The guard without which this thread's fixtures run the scripts.
    pub(crate) static MUTANT: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// A worker with its sequence number.
pub(crate) struct Worker {
    pub(crate) id: WorkerId,
    pub(crate) sequence: u64,
}

impl Fixture {
    pub(crate) async fn start() -> Self {
        Self::with(|_| ()).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut BrokerOptions)) -> Self {
        let redis = RedisServer::start(RedisOptions::default()).await.unwrap();
        let clock = TestClock::frozen_at(start());
        let mut options = BrokerOptions::new(redis.url().into());
        options.shards = 1;
        options.clock = BrokerClock::Injected(clock.clone());
        options.mutant = MUTANT.get();
        change(&mut options);
        let broker = Broker::connect(&options, Class::Sync).await.unwrap();
        Self {
            redis,
            broker,
            clock,
        }
    }

    /// For another broker on the same Redis.
    pub(crate) fn options(&self) -> BrokerOptions {
        BrokerOptions::new(self.redis.url().into())
    }

    pub(crate) async fn fetch(&self, worker: &mut Worker, max: usize) -> Vec<Leased> {
        self.fetch_all(worker, max).await.leased
    }

    pub(crate) async fn fetch_all(&self, worker: &mut Worker, max: usize) -> Fetched {
        worker.sequence += 1;
        self.fetch_again(worker, max).await
    }

    /// With the same sequence number as before.
    pub(crate) async fn fetch_again(&self, worker: &Worker, max: usize) -> Fetched {
        let request = FetchRequest {
            worker: &worker.id,
            shard: 0,
            sequence: worker.sequence,
            max,
        };
        self.broker.fetch(&request).await.unwrap()
    }

    pub(crate) async fn acknowledge(&self, leased: &Leased, outcome: Outcome) -> Acknowledged {
        let acknowledgement = Acknowledgement {
            lease: leased.lease.clone(),
            outcome,
        };
        self.broker
            .acknowledge(0, &[acknowledgement])
            .await
            .unwrap()[0]
    }

    /// Whether Redis holds nothing of the queue; fetch replies, which expire, and the last token aside.
    pub(crate) async fn leftovers(&self) -> Vec<String> {
        let client = redis::Client::open(self.redis.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let keys: Vec<Vec<u8>> = redis::cmd("KEYS")
            .arg("*")
            .query_async(&mut connection)
            .await
            .unwrap();
        keys.iter()
            .map(|key| String::from_utf8_lossy(key).into_owned())
            .filter(|key| !key.contains(":fetch:") && !key.ends_with(":token"))
            .collect()
    }
}

impl Worker {
    pub(crate) fn named(name: &str) -> Self {
        Self {
            id: WorkerId::new(name.to_owned()),
            sequence: 0,
        }
    }
}

pub(crate) fn start() -> Timestamp {
    "2026-11-24T02:00:00Z".parse().unwrap()
}

pub(crate) fn tenant(n: u128) -> TenantId {
    TenantId::new(Uuid::from_u128(n << 64 | 0x7e))
}

pub(crate) fn connection(n: u128) -> ConnectionId {
    ConnectionId::new(Uuid::from_u128(n << 64 | 0xc0))
}

pub(crate) fn job_id(n: u128) -> JobId {
    JobId::new(Uuid::from_u128(n << 64 | 0x1b))
}

/// Job `n` of a tenant's connection.
pub(crate) fn job(n: u128, tenant_number: u128, connection_number: u128) -> Job {
    Job {
        id: job_id(n),
        kind: JobKind::Sync,
        tenant: tenant(tenant_number),
        connection: connection(connection_number),
        application: ApplicationId::new(Uuid::from_u128(0xa)),
        day: date(2026, 11, 24),
        priority: Priority::NIGHT,
        params: JobParams::default(),
        trace: None,
    }
}

pub(crate) fn ids(leased: &[Leased]) -> Vec<JobId> {
    leased.iter().map(|one| one.job.id).collect()
}

pub(crate) fn snooze(seconds: u64, park_lane: bool) -> Outcome {
    Outcome::Snooze {
        for_: Duration::from_secs(seconds),
        park_lane,
    }
}

pub(crate) fn retry(seconds: u64) -> Outcome {
    Outcome::Retry {
        after: Duration::from_secs(seconds),
        error: "it failed".to_owned(),
    }
}
