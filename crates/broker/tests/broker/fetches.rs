//! What a fetch brings, and in which order; what a repeated one brings.

use std::time::Duration;

use bulkhead_broker::{FetchError, FetchRequest, Outcome};
use bulkhead_domain::Priority;

use crate::fixture::{Fixture, VISIBILITY, Worker, ids, job, job_id, start};

#[tokio::test]
pub(crate) async fn a_lost_fetch_reply_is_answered_again() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    let jobs: Vec<_> = (0..5).map(|n| job(n, 1, 1)).collect();
    fixture.broker.enqueue(&jobs).await.unwrap();
    let lost = fixture.fetch(&mut worker, 3).await;
    let answered = fixture.fetch_again(&worker, 3).await.leased;
    assert_eq!(ids(&answered), ids(&lost));
    assert_eq!(answered[0].lease, lost[0].lease);
    fixture.acknowledge(&lost[0], Outcome::Complete).await;
    let rest = fixture.fetch_again(&worker, 3).await.leased;
    assert_eq!(ids(&rest), ids(&lost)[1..]);
    assert_eq!(fixture.fetch(&mut worker, 3).await.len(), 2);
}

#[tokio::test]
pub(crate) async fn a_repeated_fetch_does_not_bring_what_another_worker_holds() {
    let fixture = Fixture::start().await;
    let (mut slow, mut fast) = (Worker::named("slow"), Worker::named("fast"));
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    assert_eq!(fixture.fetch(&mut slow, 1).await.len(), 1);
    fixture.clock.advance(VISIBILITY);
    fixture.broker.reap(0, 9).await.unwrap();
    assert_eq!(fixture.fetch(&mut fast, 1).await.len(), 1);
    assert_eq!(ids(&fixture.fetch_again(&slow, 1).await.leased), []);
}

#[tokio::test]
pub(crate) async fn tokens_rise_though_the_clock_goes_back_or_everything_is_lost() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    let mut last = None;
    let hour = Duration::from_secs(3_600);
    for n in 0..4 {
        fixture.broker.enqueue(&[job(n, 1, 1)]).await.unwrap();
        let leased = fixture.fetch(&mut worker, 1).await;
        let token = Some(leased[0].lease.token());
        assert!(token > last, "{token:?} after {last:?}");
        last = token;
        if n < 2 {
            fixture.clock.rewind(hour);
        } else {
            fixture.redis.flush().unwrap();
            fixture.clock.advance(3 * hour);
        }
    }
}

#[tokio::test]
pub(crate) async fn a_fetch_moves_a_bounded_number_of_jobs_and_lanes_whose_time_has_come() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    let soon = Some(start() + Duration::from_secs(1));
    let jobs: Vec<_> = (0..150).map(|n| (job(n, 1, n), soon)).collect();
    fixture.broker.enqueue_at(&jobs).await.unwrap();
    fixture.clock.advance(Duration::from_secs(1));
    assert_eq!(fixture.fetch(&mut worker, 256).await.len(), 100);
    assert_eq!(fixture.broker.stats().await.unwrap().total.delayed, 50);
    assert_eq!(fixture.fetch(&mut worker, 256).await.len(), 50);
}

#[tokio::test]
pub(crate) async fn a_sequence_number_is_not_used_again() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    fixture.fetch(&mut worker, 3).await;
    let request = FetchRequest {
        worker: &worker.id,
        shard: 0,
        sequence: worker.sequence - 1,
        max: 1,
    };
    let error = fixture.broker.fetch(&request).await.unwrap_err();
    assert!(matches!(error, FetchError::Stale { .. }), "{error}");
}

#[tokio::test]
async fn inside_a_lane_priority_comes_first_and_then_the_order_of_arrival() {
    let fixture = Fixture::start().await;
    let jobs: Vec<_> = [(1, 5), (2, 8), (3, 0), (4, 5), (5, 0), (6, 8)]
        .map(|(n, priority)| {
            let mut one = job(n, 1, 1);
            one.priority = Priority::new(priority);
            one
        })
        .into();
    fixture.broker.enqueue(&jobs).await.unwrap();
    let mut order = Vec::new();
    let mut worker = Worker::named("a");
    for _ in 0..3 {
        order.extend(ids(&fixture.fetch(&mut worker, 2).await));
    }
    assert_eq!(order, [3, 5, 1, 4, 2, 6].map(job_id));
}

#[tokio::test]
pub(crate) async fn a_delayed_job_runs_at_its_time_by_redis_and_the_fetch_says_when() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    let later = start() + Duration::from_secs(90);
    let jobs = [(job(1, 1, 1), Some(later)), (job(2, 1, 2), None)];
    fixture.broker.enqueue_at(&jobs).await.unwrap();
    let fetched = fixture.fetch_all(&mut worker, 9).await;
    assert_eq!(ids(&fetched.leased), [job_id(2)]);
    assert_eq!(fetched.next_wake, Some(Duration::from_secs(90)));
    fixture.clock.advance(Duration::from_secs(90));
    assert_eq!(ids(&fixture.fetch(&mut worker, 9).await), [job_id(1)]);
}
