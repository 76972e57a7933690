//! Asking for a job that lives already to run sooner.

use std::time::Duration;

use bulkhead_broker::{Enqueued, JobState, Outcome};
use bulkhead_domain::{Job, Priority};
use jiff::{Timestamp, ToSpan};

use crate::fixture::{Fixture, Worker, connection, ids, job, job_id, retry, start};

fn urgent(n: u128) -> Job {
    Job {
        priority: Priority::URGENT,
        ..job(n, 1, 1)
    }
}

fn later(seconds: i64) -> Option<Timestamp> {
    Some(start() + seconds.seconds())
}

async fn forward(fixture: &Fixture, job: Job, not_before: Option<Timestamp>) -> Enqueued {
    let jobs = [(job, not_before)];
    fixture.broker.enqueue_forward(&jobs).await.unwrap()[0]
}

#[tokio::test]
async fn a_delayed_job_gets_the_earlier_time_and_never_a_later_one() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    let jobs = [(job(1, 1, 1), later(60)), (job(2, 1, 1), later(60))];
    fixture.broker.enqueue_at(&jobs).await.unwrap();
    let answer = forward(&fixture, job(1, 1, 1), later(90)).await;
    assert_eq!(answer, Enqueued::Exists);
    let answer = forward(&fixture, job(1, 1, 1), later(30)).await;
    assert_eq!(answer, Enqueued::MovedForward);
    let entry = fixture.broker.job(job_id(1)).await.unwrap().unwrap();
    let until = start() + 30.seconds();
    assert_eq!(entry.state, JobState::Delayed { until });
    let answer = forward(&fixture, job(2, 1, 1), None).await;
    assert_eq!(answer, Enqueued::MovedForward);
    assert_eq!(ids(&fixture.fetch(&mut worker, 9).await), [job_id(2)]);
    fixture.clock.advance(Duration::from_secs(30));
    assert_eq!(ids(&fixture.fetch(&mut worker, 9).await), [job_id(1)]);
}

#[tokio::test]
async fn a_job_that_waits_for_its_next_attempt_is_moved_forward_with_what_happened_to_it() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    let leased = fixture.fetch(&mut worker, 1).await;
    fixture.acknowledge(&leased[0], retry(600)).await;
    let answer = forward(&fixture, job(1, 1, 1), None).await;
    assert_eq!(answer, Enqueued::MovedForward);
    let leased = fixture.fetch(&mut worker, 1).await;
    assert_eq!(leased[0].attempt, 2);
}

#[tokio::test]
pub(crate) async fn a_queued_or_delayed_job_gets_the_more_urgent_priority_and_runs_once() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    let jobs: Vec<Job> = (1..4).map(|n| job(n, 1, 1)).collect();
    fixture.broker.enqueue(&jobs).await.unwrap();
    let delayed = [(job(4, 1, 1), later(10)), (job(5, 1, 1), later(10))];
    fixture.broker.enqueue_at(&delayed).await.unwrap();
    for (job, not_before, expected) in [
        (urgent(3), None, Enqueued::MovedForward),
        (urgent(3), None, Enqueued::Exists),
        (job(3, 1, 1), None, Enqueued::Exists),
        (urgent(5), later(20), Enqueued::MovedForward),
    ] {
        assert_eq!(forward(&fixture, job, not_before).await, expected);
    }
    let leased = fixture.fetch(&mut worker, 9).await;
    assert_eq!(ids(&leased), [3, 1, 2].map(job_id));
    assert_eq!(leased[0].job, urgent(3));
    for one in &leased {
        fixture.acknowledge(one, Outcome::Complete).await;
    }
    fixture.clock.advance(Duration::from_secs(10));
    let leased = fixture.fetch(&mut worker, 9).await;
    assert_eq!(ids(&leased), [5, 4].map(job_id));
    for one in &leased {
        fixture.acknowledge(one, Outcome::Complete).await;
    }
    assert_eq!(fixture.leftovers().await, Vec::<String>::new());
}

#[tokio::test]
pub(crate) async fn a_running_job_is_left_alone_and_an_absent_one_is_enqueued() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    let answer = forward(&fixture, job(1, 1, 1), None).await;
    assert_eq!(answer, Enqueued::Added);
    fixture.fetch(&mut worker, 1).await;
    assert_eq!(forward(&fixture, urgent(1), None).await, Enqueued::Exists);
    assert_eq!(fixture.fetch(&mut worker, 9).await.len(), 0);
}

#[tokio::test]
async fn a_job_moved_forward_keeps_its_lane_and_a_held_lane_stays_held() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    fixture.broker.pause_lane(connection(1)).await.unwrap();
    let jobs = [(job(1, 1, 1), later(60))];
    fixture.broker.enqueue_at(&jobs).await.unwrap();
    let answer = forward(&fixture, job(1, 1, 2), None).await;
    assert_eq!(answer, Enqueued::MovedForward);
    assert_eq!(fixture.fetch(&mut worker, 9).await.len(), 0);
    fixture.broker.resume_lane(connection(1)).await.unwrap();
    let leased = fixture.fetch(&mut worker, 9).await;
    assert_eq!(leased[0].job, job(1, 1, 1));
}

#[tokio::test]
async fn a_waiting_worker_is_woken_by_a_job_moved_forward() {
    let fixture = Fixture::start().await;
    let unlimited = Duration::from_secs(60);
    let jobs = [(job(1, 1, 1), later(3_600))];
    let wakes = fixture.broker.wakes();
    wakes.wait(&wakes.mark(), unlimited).await;
    let mark = wakes.mark();
    fixture.broker.enqueue_at(&jobs).await.unwrap();
    wakes.wait(&mark, unlimited).await;
    let mark = wakes.mark();
    forward(&fixture, job(1, 1, 1), None).await;
    assert!(!wakes.wait(&mark, unlimited).await.is_empty());
}
