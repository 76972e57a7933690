//! Leases: kept, lost, given back; fencing.

use std::time::Duration;

use bulkhead_broker::{Acknowledged, Acknowledgement, Outcome, Renewed};

use crate::fixture::{Fixture, VISIBILITY, Worker, ids, job, job_id, retry, snooze};

#[tokio::test]
async fn a_finished_job_leaves_nothing_behind() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    let jobs: Vec<_> = (0..300).map(|n| job(n, n % 3, n % 7)).collect();
    fixture.broker.enqueue(&jobs).await.unwrap();
    let mut seen = Vec::new();
    loop {
        let leased = fixture.fetch(&mut worker, 64).await;
        if leased.is_empty() {
            break;
        }
        for one in &leased {
            assert_eq!(
                one.job,
                jobs[jobs.iter().position(|j| j.id == one.job.id).unwrap()]
            );
            seen.push(one.job.id);
            assert_eq!(
                fixture.acknowledge(one, Outcome::Complete).await,
                Acknowledged::Completed
            );
        }
    }
    seen.sort();
    assert_eq!(seen, jobs.iter().map(|job| job.id).collect::<Vec<_>>());
    assert_eq!(fixture.leftovers().await, Vec::<String>::new());
}

#[tokio::test]
pub(crate) async fn a_fenced_worker_cannot_complete() {
    let fixture = Fixture::start().await;
    let (mut slow, mut fast) = (Worker::named("slow"), Worker::named("fast"));
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    let old = fixture.fetch(&mut slow, 1).await;
    fixture.clock.advance(VISIBILITY);
    assert_eq!(
        fixture.broker.reap(0, 10).await.unwrap().requeued,
        [job_id(1)]
    );
    assert_eq!(
        fixture.acknowledge(&old[0], Outcome::Complete).await,
        Acknowledged::NotLeased
    );
    let new = fixture.fetch(&mut fast, 1).await;
    assert!(new[0].lease.token() > old[0].lease.token());
    let renewed = fixture.broker.renew(0, &[old[0].lease.clone()]).await;
    assert_eq!(renewed.unwrap(), [Renewed::Lost]);
    for outcome in [
        Outcome::Complete,
        snooze(1, true),
        snooze(1, false),
        retry(1),
        Outcome::Release,
        Outcome::DeadLetter {
            reason: "no".to_owned(),
        },
    ] {
        assert_eq!(
            fixture.acknowledge(&old[0], outcome).await,
            Acknowledged::Fenced
        );
    }
    assert_eq!(
        fixture.acknowledge(&new[0], Outcome::Complete).await,
        Acknowledged::Completed
    );
}

#[tokio::test]
async fn an_acknowledgement_said_twice_counts_once() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    let leased = fixture.fetch(&mut worker, 1).await;
    assert_eq!(
        fixture.acknowledge(&leased[0], retry(5)).await,
        Acknowledged::Retrying
    );
    assert_eq!(
        fixture.acknowledge(&leased[0], retry(5)).await,
        Acknowledged::NotLeased
    );
    fixture.clock.advance(Duration::from_secs(5));
    assert_eq!(fixture.fetch(&mut worker, 9).await[0].attempt, 2);
}

#[tokio::test]
pub(crate) async fn a_batch_that_names_a_lease_twice_ends_it_once() {
    let fixture = Fixture::start().await;
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    let leased = fixture.fetch(&mut Worker::named("a"), 1).await;
    let release = Acknowledgement {
        lease: leased[0].lease.clone(),
        outcome: Outcome::Release,
    };
    let answers = fixture
        .broker
        .acknowledge(0, &[release.clone(), release])
        .await
        .unwrap();
    assert_eq!(answers, [Acknowledged::NotLeased, Acknowledged::Released]);
    assert_eq!(fixture.broker.stats().await.unwrap().total.queued, 1);
}

#[tokio::test]
pub(crate) async fn an_expired_lease_is_lost_even_before_it_is_reaped() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    let lease = fixture.fetch(&mut worker, 1).await[0].lease.clone();
    let leases = [lease];
    let almost = VISIBILITY - Duration::from_micros(1);
    fixture.clock.advance(almost);
    assert_eq!(
        fixture.broker.renew(0, &leases).await.unwrap(),
        [Renewed::Extended]
    );
    fixture.clock.advance(almost);
    assert_eq!(fixture.broker.reap(0, 10).await.unwrap().total(), 0);
    fixture.clock.advance(Duration::from_micros(1));
    assert_eq!(
        fixture.broker.renew(0, &leases).await.unwrap(),
        [Renewed::Lost]
    );
    assert_eq!(
        fixture.broker.reap(0, 10).await.unwrap().requeued,
        [job_id(1)]
    );
    assert_eq!(
        fixture.broker.renew(0, &leases).await.unwrap(),
        [Renewed::Lost]
    );
}

#[tokio::test]
pub(crate) async fn reaping_is_bounded_and_keeps_the_order() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    let jobs: Vec<_> = (0..10).map(|n| job(n, 1, 1)).collect();
    fixture.broker.enqueue(&jobs).await.unwrap();
    fixture.fetch(&mut worker, 6).await;
    fixture.clock.advance(VISIBILITY);
    assert_eq!(fixture.broker.reap(0, 4).await.unwrap().total(), 4);
    assert_eq!(fixture.broker.reap(0, 4).await.unwrap().total(), 2);
    let again = fixture.fetch(&mut worker, 10).await;
    assert_eq!(again.len(), 10);
    assert!(again.iter().filter(|one| one.crashes == 1).count() == 6);
    assert_eq!(again[9].job.id, job_id(9));
}

#[tokio::test]
async fn released_jobs_go_first_again_in_their_order() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    let jobs: Vec<_> = (0..6).map(|n| job(n, 1, 1)).collect();
    fixture.broker.enqueue(&jobs).await.unwrap();
    let leased = fixture.fetch(&mut worker, 3).await;
    let acknowledgements: Vec<_> = leased
        .iter()
        .map(|one| Acknowledgement {
            lease: one.lease.clone(),
            outcome: Outcome::Release,
        })
        .collect();
    let answers = fixture
        .broker
        .acknowledge(0, &acknowledgements)
        .await
        .unwrap();
    assert_eq!(answers, [Acknowledged::Released; 3]);
    let again = fixture.fetch(&mut worker, 6).await;
    assert_eq!(ids(&again), (0..6).map(job_id).collect::<Vec<_>>());
    assert!(again.iter().all(|one| one.attempt == 1 && one.crashes == 0));
}
