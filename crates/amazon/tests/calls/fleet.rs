//! Permits as workers get them: a job, its lease, a bucket.

use std::time::Duration;

use bulkhead_broker::{
    Broker, BrokerOptions, Fences, FetchRequest, Lease, Permit, PermitAnswer, PermitSubject,
    Permits,
};
use bulkhead_devstack::{RedisOptions, RedisServer};
use bulkhead_domain::{
    ApplicationId, Class, ConnectionId, Dataset, FenceEpoch, Job, JobId, JobKind, JobParams,
    Margins, Operation, Priority, TenantId, WorkerId,
};
use uuid::Uuid;

/// One leased job and what it may call.
pub(crate) struct Fleet {
    permits: Permits,
    lease: Lease,
    subject: PermitSubject,
    _redis: RedisServer,
}

impl Fleet {
    pub(crate) async fn start() -> Self {
        // Another test of this process may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let redis = RedisServer::start(RedisOptions::default()).await.unwrap();
        let options = BrokerOptions::new(redis.url().into());
        let broker = Broker::connect(&options, Class::Sync).await.unwrap();
        let fences = Fences::new(&broker);
        fences.establish("boot", None).await.unwrap();
        let clocks = fences.grant_clocks().await.unwrap();
        let hour = Duration::from_secs(3_600);
        fences.grant(&clocks, &[], hour).await.unwrap();
        let job = job();
        broker.enqueue(std::slice::from_ref(&job)).await.unwrap();
        let request = FetchRequest {
            worker: &WorkerId::new("test/1/1".to_owned()),
            shard: broker.shard_of(job.connection),
            sequence: 1,
            max: 1,
        };
        let fetched = broker.fetch(&request).await.unwrap();
        Self {
            // So fast that a permit is never waited for.
            permits: Permits::new(&broker, Margins::default(), 1e6),
            lease: fetched.leased[0].lease.clone(),
            subject: PermitSubject {
                application: job.application,
                tenant: job.tenant,
                connection: job.connection,
                epoch: FenceEpoch::NEVER_FENCED,
            },
            _redis: redis,
        }
    }

    pub(crate) async fn permit(&self, operation: &'static Operation) -> Permit {
        let answer = self.permits.request(&self.lease, &self.subject, operation);
        match answer.await.unwrap() {
            PermitAnswer::Granted(permit) => permit,
            other => panic!("no permit for {operation}: {other:?}"),
        }
    }
}

fn job() -> Job {
    Job {
        id: JobId::deterministic(&["calls"]),
        kind: JobKind::Sync,
        tenant: TenantId::new(Uuid::from_u128(1)),
        connection: ConnectionId::new(Uuid::from_u128(2)),
        application: ApplicationId::new(Uuid::from_u128(3)),
        day: "2026-11-24".parse().unwrap(),
        priority: Priority::NIGHT,
        params: JobParams {
            dataset: Some(Dataset::Orders),
            since: None,
        },
        trace: None,
    }
}
