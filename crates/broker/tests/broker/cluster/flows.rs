//! Every call, over shards of all three nodes.

use std::{collections::BTreeSet, time::Duration};

use bulkhead_broker::{
    Acknowledged, Enqueued, Fences, JobFilter, JobState, Outcome, PermitAnswer, PermitSubject,
    Permits, Presence, Renewed, Stop, StopScope,
};
use bulkhead_domain::{
    ApplicationId, FenceEpoch, Job, JobId, Margins, WorkerId, operation::GET_ORDER,
};
use uuid::Uuid;

use super::{Clustered, SHARDS, all};
use crate::fixture::{VISIBILITY, connection, grant, job, job_id, retry, snooze, start, tenant};

/// One each of 40 connections in four tenants.
fn jobs() -> Vec<Job> {
    (0..40).map(|n| job(n, n % 4, n)).collect()
}

fn ids(jobs: &[Job]) -> BTreeSet<JobId> {
    jobs.iter().map(|job| job.id).collect()
}

fn worker() -> WorkerId {
    WorkerId::new("a".to_owned())
}

#[tokio::test]
async fn jobs_on_every_node_are_enqueued_fetched_renewed_and_acknowledged_once() {
    let clustered = Clustered::start().await;
    let (broker, jobs) = (&clustered.broker, jobs());
    let answers = broker.enqueue(&jobs).await.unwrap();
    assert_eq!(answers, vec![Enqueued::Added; 40]);
    let answers = broker.enqueue(&jobs).await.unwrap();
    assert_eq!(answers, vec![Enqueued::Exists; 40]);

    let leased = clustered.fetch_everywhere(&worker(), 1, 40).await;
    assert_eq!(all(&leased), ids(&jobs));
    let again = clustered.fetch_everywhere(&worker(), 1, 40).await;
    assert_eq!(all(&again), ids(&jobs), "a fetch is repeated");
    for (shard, leased) in &leased {
        let leases: Vec<_> = leased.iter().map(|one| one.lease.clone()).collect();
        let renewed = broker.renew(*shard, &leases).await.unwrap();
        assert_eq!(renewed, vec![Renewed::Extended; leases.len()]);
        let answers = clustered
            .acknowledge(*shard, leased, &Outcome::Complete)
            .await;
        assert_eq!(answers, vec![Acknowledged::Completed; leased.len()]);
    }
    assert_eq!(clustered.leftovers().await, Vec::<String>::new());
}

#[tokio::test]
async fn crashed_jobs_of_every_node_are_reaped_and_their_workers_fenced() {
    let clustered = Clustered::start().await;
    let (broker, jobs) = (&clustered.broker, jobs());
    broker.enqueue(&jobs).await.unwrap();
    let first = clustered.fetch_everywhere(&worker(), 1, 40).await;
    clustered.clock.advance(VISIBILITY * 2);
    let mut reaped = BTreeSet::new();
    for shard in 0..SHARDS {
        reaped.extend(broker.reap(shard, 100).await.unwrap().requeued);
    }
    assert_eq!(reaped, ids(&jobs));
    let second = clustered.fetch_everywhere(&worker(), 2, 40).await;
    assert_eq!(all(&second), ids(&jobs));
    for (shard, leased) in &first {
        let answers = clustered
            .acknowledge(*shard, leased, &Outcome::Complete)
            .await;
        assert_eq!(answers, vec![Acknowledged::Fenced; leased.len()]);
    }
}

#[tokio::test]
async fn operators_see_and_move_the_jobs_of_every_node() {
    let clustered = Clustered::start().await;
    let (broker, jobs) = (&clustered.broker, jobs());
    let later: Vec<_> = (40..60)
        .map(|n| (job(n, 9, n), Some(start() + Duration::from_secs(600))))
        .collect();
    broker.enqueue(&jobs).await.unwrap();
    broker.enqueue_at(&later).await.unwrap();
    broker.set_weight(tenant(1), 3.0).await.unwrap();
    assert_eq!(broker.weights().await.unwrap().len(), 1);
    assert!(broker.pause_lane(connection(1)).await.unwrap());
    assert!(broker.pause_tenant(tenant(2)).await.unwrap());

    let stats = broker.stats().await.unwrap();
    assert_eq!((stats.total.queued, stats.total.delayed), (40, 20));
    assert_eq!(stats.paused_tenants, [tenant(2)]);
    assert_eq!((stats.lanes.len(), stats.paused_lanes), (60, 1));
    let leased = clustered.fetch_everywhere(&worker(), 1, 40).await;
    assert_eq!(
        all(&leased).len(),
        29,
        "neither the tenant's 10 nor the lane's 1"
    );
    for (n, (shard, leased)) in leased.iter().enumerate() {
        let outcomes = [
            snooze(5, true),
            retry(5),
            Outcome::DeadLetter {
                reason: "no".to_owned(),
            },
        ];
        clustered
            .acknowledge(*shard, leased, &outcomes[n % outcomes.len()])
            .await;
    }
    let entries = broker.jobs(&JobFilter::default(), 100).await.unwrap();
    assert_eq!(entries.len(), 60);
    let is_dead = |state: &JobState| matches!(state, JobState::Dead { .. });
    let dead = entries.iter().filter(|entry| is_dead(&entry.state)).count();
    assert!(dead > 0);
    let three = [job_id(0), job_id(59), job_id(60)];
    let presence = broker.presence(&three).await.unwrap();
    assert_ne!(presence[0], Presence::Absent);
    assert_eq!(presence[1..], [Presence::Alive, Presence::Absent]);

    let redriven = broker.redrive(&JobFilter::default()).await.unwrap();
    assert_eq!(redriven.len(), dead);
    assert!(broker.resume_tenant(tenant(2)).await.unwrap());
    assert!(broker.resume_lane(connection(1)).await.unwrap());
    clustered.clock.advance(Duration::from_secs(600));
    let leased = clustered.fetch_everywhere(&worker(), 2, 100).await;
    assert_eq!(all(&leased).len(), 60);
    let cancelled = broker.cancel(&JobFilter::default()).await.unwrap();
    assert_eq!(cancelled.told.len(), 60);
}

#[tokio::test]
async fn permits_and_fences_hold_on_every_node() {
    let clustered =
        Clustered::with(|options| options.visibility_timeout = Duration::from_secs(100_000)).await;
    let (broker, fences) = (&clustered.broker, Fences::new(&clustered.broker));
    broker.enqueue(&jobs()).await.unwrap();
    let leased = clustered.fetch_everywhere(&worker(), 1, 1).await;
    let permits = Permits::new(broker, Margins::default(), 1.0);
    let subject = |n: u128| PermitSubject {
        application: ApplicationId::new(Uuid::from_u128(0xa)),
        tenant: tenant(n % 4),
        connection: connection(n),
        epoch: FenceEpoch::NEVER_FENCED,
    };
    let ask = async |n: u128| {
        let mut leases = leased.values().flatten();
        let lease = leases.find(|one| one.job.connection == connection(n));
        let lease = &lease.unwrap().lease;
        permits
            .request(lease, &subject(n), &GET_ORDER)
            .await
            .unwrap()
    };
    let numbers: Vec<u128> = (0..40)
        .filter(|n| all(&leased).contains(&job_id(*n)))
        .collect();
    assert_eq!(numbers.len(), usize::from(SHARDS));
    for n in &numbers {
        assert!(
            matches!(ask(*n).await, PermitAnswer::Stopped(_)),
            "no nonce"
        );
    }
    fences.establish("first", None).await.unwrap();
    assert_eq!(fences.boot_nonce().await.unwrap().as_deref(), Some("first"));
    clustered.clock.advance(Duration::from_secs(3_600));
    for n in &numbers {
        let answer = ask(*n).await;
        let nobody_vouches = matches!(answer, PermitAnswer::Stopped(Stop::NoGrant));
        assert!(nobody_vouches, "{n}: {answer:?}");
    }
    grant(broker).await;
    for n in &numbers {
        assert!(matches!(ask(*n).await, PermitAnswer::Granted(_)), "{n}");
    }
    for scope in numbers
        .iter()
        .map(|n| StopScope::Connection(connection(*n)))
    {
        fences.stop(scope).await.unwrap();
        assert!(fences.is_stopped(scope).await.unwrap());
    }
    for n in &numbers {
        assert!(matches!(ask(*n).await, PermitAnswer::Stopped(_)), "{n}");
    }
}

#[tokio::test]
async fn every_node_is_sent_the_scripts_that_it_has_forgotten() {
    let clustered = Clustered::start().await;
    for n in 0..3 {
        for node in clustered.cluster.nodes() {
            assert_eq!(node.command("SCRIPT FLUSH").unwrap(), "+OK");
        }
        let jobs: Vec<Job> = (n * 20..n * 20 + 20).map(|n| job(n, 1, n)).collect();
        clustered.broker.enqueue(&jobs).await.unwrap();
        let sequence = u64::try_from(n).unwrap() + 1;
        let leased = clustered.fetch_everywhere(&worker(), sequence, 20).await;
        assert_eq!(all(&leased), ids(&jobs));
    }
}
