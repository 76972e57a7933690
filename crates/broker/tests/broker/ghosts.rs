//! Entries of queues that stand for no job: it was cancelled, or moved forward.

use std::time::Duration;

use bulkhead_broker::{JobFilter, Outcome};
use bulkhead_domain::{Job, JobId, Priority};

use crate::fixture::{Fixture, Worker, connection, ids, job, job_id, tenant};

fn jobs(numbers: std::ops::Range<u128>) -> Vec<Job> {
    numbers.map(|n| job(n, 1, 1)).collect()
}

async fn cancel(fixture: &Fixture, n: u128) {
    let only = JobFilter {
        id: Some(job_id(n)),
        ..JobFilter::default()
    };
    let cancelled = fixture.broker.cancel(&only).await.unwrap();
    assert_eq!(cancelled.removed, [job_id(n)]);
}

/// How many entries the queues have, and what stands for no job is among them.
async fn entries(fixture: &Fixture) -> u64 {
    fixture.broker.stats().await.unwrap().total.queued
}

/// Fetches all there is, and completes it.
async fn drain(fixture: &Fixture) -> Vec<JobId> {
    let mut worker = Worker::named("last");
    let mut order = Vec::new();
    loop {
        let fetched = fixture.fetch_all(&mut worker, 64).await;
        if fetched.next_wake.is_none() && fetched.leased.is_empty() {
            return order;
        }
        order.extend(ids(&fetched.leased));
        for one in &fetched.leased {
            fixture.acknowledge(one, Outcome::Complete).await;
        }
    }
}

#[tokio::test]
pub(crate) async fn cancelling_in_a_held_lane_leaves_no_more_entries_than_it_has_jobs() {
    let fixture = Fixture::start().await;
    fixture.broker.pause_tenant(tenant(1)).await.unwrap();
    fixture.broker.enqueue(&jobs(0..50)).await.unwrap();
    let mut most = 0;
    for round in 1..100 {
        let new = 1_000 * round..1_000 * round + 10;
        fixture.broker.enqueue(&jobs(new.clone())).await.unwrap();
        for n in new {
            cancel(&fixture, n).await;
        }
        // The same ones again and again, too.
        let again = [job(round % 50, 1, 1)];
        cancel(&fixture, round % 50).await;
        fixture.broker.enqueue(&again).await.unwrap();
        most = most.max(entries(&fixture).await);
    }
    assert!((50..=150).contains(&most), "{most} entries for 50 jobs");
    fixture.broker.resume_tenant(tenant(1)).await.unwrap();
    let mut drained = drain(&fixture).await;
    drained.sort();
    assert_eq!(drained, (0..50).map(job_id).collect::<Vec<_>>());
    assert_eq!(fixture.leftovers().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_paused_lane_whose_jobs_are_all_cancelled_again_and_again_keeps_few_entries() {
    let fixture = Fixture::start().await;
    fixture.broker.pause_lane(connection(1)).await.unwrap();
    for _ in 0..3 {
        fixture.broker.enqueue(&jobs(0..600)).await.unwrap();
        fixture.broker.cancel(&JobFilter::default()).await.unwrap();
        assert!(entries(&fixture).await <= 600);
    }
    fixture.broker.resume_lane(connection(1)).await.unwrap();
    assert_eq!(drain(&fixture).await, []);
    assert_eq!(fixture.leftovers().await, Vec::<String>::new());
}

#[tokio::test]
pub(crate) async fn a_cancel_looks_at_few_entries_and_leaves_the_order_as_it_is() {
    let fixture = Fixture::start().await;
    fixture.broker.enqueue(&jobs(0..200)).await.unwrap();
    let mut left: Vec<u128> = (0..200).collect();
    let mut redis = redis::Client::open(fixture.redis.url())
        .unwrap()
        .get_multiplexed_async_connection()
        .await
        .unwrap();
    for (cancelled, n) in (1..).zip([150, 40, 41, 0, 199]) {
        cancel(&fixture, n).await;
        left.retain(|other| *other != n);
        let lane = connection(1).uuid();
        let queue = [&b"{sync.0}:queue:"[..], lane.as_bytes(), b"5"].concat();
        let rest: u64 = redis::cmd("LLEN")
            .arg(queue)
            .query_async(&mut redis)
            .await
            .unwrap();
        assert_eq!(rest, 200 - 2 * cancelled, "not swept yet");
    }
    assert_eq!(
        drain(&fixture).await,
        left.into_iter().map(job_id).collect::<Vec<_>>()
    );
    assert_eq!(fixture.leftovers().await, Vec::<String>::new());
}

#[tokio::test]
pub(crate) async fn a_job_that_is_cancelled_and_comes_again_takes_its_place_again() {
    let fixture = Fixture::start().await;
    fixture.broker.enqueue(&jobs(0..10)).await.unwrap();
    for _ in 0..2 {
        cancel(&fixture, 8).await;
        fixture.broker.enqueue(&jobs(8..9)).await.unwrap();
    }
    let later = Some(crate::fixture::start() - Duration::from_secs(1));
    cancel(&fixture, 9).await;
    let again = [(job(9, 1, 1), later)];
    fixture.broker.enqueue_at(&again).await.unwrap();
    assert_eq!(entries(&fixture).await, 10);
    assert_eq!(
        drain(&fixture).await,
        (0..10).map(job_id).collect::<Vec<_>>()
    );
    assert_eq!(fixture.leftovers().await, Vec::<String>::new());
}

#[tokio::test]
pub(crate) async fn a_released_job_goes_before_those_that_were_swept() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    fixture.broker.enqueue(&jobs(0..10)).await.unwrap();
    let first = fixture.fetch(&mut worker, 1).await;
    cancel(&fixture, 8).await;
    fixture.acknowledge(&first[0], Outcome::Release).await;
    let order = [0, 1, 2, 3, 4, 5, 6, 7, 9].map(job_id);
    let entry = fixture.broker.stats().await.unwrap();
    assert_eq!(entry.total.queued, 10, "with one that stands for no job");
    assert_eq!(drain(&fixture).await, order);
    assert_eq!(fixture.leftovers().await, Vec::<String>::new());
}

#[tokio::test]
pub(crate) async fn a_fetch_clears_a_bounded_number_of_entries_that_stand_for_no_job() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    let lanes = 100;
    let batch: Vec<_> = (0..3 * lanes).map(|n| job(n, 1, n % lanes)).collect();
    fixture.broker.enqueue(&batch).await.unwrap();
    // The last of each lane: what is swept for it are the two before it.
    for n in 2 * lanes..3 * lanes {
        cancel(&fixture, n).await;
    }
    for one in fixture.fetch(&mut worker, 200).await {
        fixture.acknowledge(&one, Outcome::Complete).await;
    }
    assert_eq!(entries(&fixture).await, 100);
    let fetched = fixture.fetch_all(&mut worker, 1).await;
    assert_eq!(ids(&fetched.leased), []);
    assert_eq!(
        fetched.next_wake,
        Some(Duration::ZERO),
        "there is more to look at"
    );
    for _ in 0..50 {
        fixture.fetch(&mut worker, 1).await;
    }
    assert_eq!(fixture.leftovers().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_job_that_moves_forward_and_is_cancelled_again_and_again_leaves_few_entries() {
    let fixture = Fixture::start().await;
    fixture.broker.pause_tenant(tenant(1)).await.unwrap();
    fixture.broker.enqueue(&jobs(0..9)).await.unwrap();
    for n in 100..200 {
        let urgent = Job {
            priority: Priority::URGENT,
            ..job(n, 1, 1)
        };
        fixture.broker.enqueue(&jobs(n..n + 1)).await.unwrap();
        let forward = [(urgent, None)];
        fixture.broker.enqueue_forward(&forward).await.unwrap();
        cancel(&fixture, n).await;
    }
    assert!(entries(&fixture).await <= 20);
    fixture.broker.resume_tenant(tenant(1)).await.unwrap();
    assert_eq!(
        drain(&fixture).await,
        (0..9).map(job_id).collect::<Vec<_>>()
    );
    assert_eq!(fixture.leftovers().await, Vec::<String>::new());
}
