//! Crashes and failures: what is counted, and what comes of it.

use std::time::Duration;

use crate::fixture::{Fixture, VISIBILITY, Worker, job, job_id, retry, start};

#[tokio::test]
pub(crate) async fn three_crashes_quarantine_a_job_with_the_workers_that_died_on_it() {
    let fixture = Fixture::start().await;
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    for (crashes, name) in (0..).zip(["one", "two", "three"]) {
        let leased = fixture.fetch(&mut Worker::named(name), 1).await;
        assert_eq!((leased[0].attempt, leased[0].crashes), (1, crashes));
        fixture.clock.advance(VISIBILITY);
        let reaped = fixture.broker.reap(0, 10).await.unwrap();
        assert_eq!(reaped.quarantined.len(), usize::from(crashes == 2));
        if let Some(letter) = reaped.quarantined.first() {
            assert_eq!(letter.job, Some(job(1, 1, 1)));
            let died: Vec<&str> = letter.history.iter().map(|one| &one.worker[..]).collect();
            assert_eq!(died, ["one", "two", "three"]);
            assert_eq!(letter.reason, "its workers crashed 3 times");
        }
    }
    assert_eq!(fixture.fetch(&mut Worker::named("four"), 1).await.len(), 0);
    assert_eq!(fixture.broker.stats().await.unwrap().dead, 1);
}

#[tokio::test]
pub(crate) async fn a_job_that_gets_on_is_forgiven_the_crashes_before_but_not_by_an_older_lease() {
    let fixture = Fixture::start().await;
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    let mut older = None;
    for name in ["one", "two", "three", "four"] {
        let leased = fixture.fetch(&mut Worker::named(name), 1).await;
        let lease = leased[0].lease.clone();
        assert_eq!(leased[0].crashes, u32::from(older.is_some()));
        if let Some(older) = older.replace(lease.clone()) {
            assert!(!fixture.broker.forgive_crashes(&older).await.unwrap());
            assert!(fixture.broker.forgive_crashes(&lease).await.unwrap());
            assert!(!fixture.broker.forgive_crashes(&lease).await.unwrap());
        }
        fixture.clock.advance(VISIBILITY);
        assert_eq!(
            fixture.broker.reap(0, 10).await.unwrap().requeued,
            [job_id(1)]
        );
        assert!(!fixture.broker.forgive_crashes(&lease).await.unwrap());
    }
}

#[tokio::test]
pub(crate) async fn jobs_that_shared_a_worker_survive_three_crashes_and_are_then_run_apart() {
    let fixture = Fixture::start().await;
    let jobs: Vec<_> = (0..10).map(|n| job(n, 1, n)).collect();
    fixture.broker.enqueue(&jobs).await.unwrap();
    for crashes in 1..=3 {
        let name = format!("worker {crashes}");
        assert_eq!(fixture.fetch(&mut Worker::named(&name), 64).await.len(), 10);
        fixture.clock.advance(VISIBILITY);
        let reaped = fixture.broker.reap(0, 64).await.unwrap();
        assert_eq!((reaped.requeued.len(), reaped.total()), (10, 10));
    }
    let again = fixture.fetch(&mut Worker::named("worker 4"), 64).await;
    assert_eq!(again.len(), 10, "all at once, still");
    fixture.clock.advance(VISIBILITY);
    assert_eq!(fixture.broker.reap(0, 64).await.unwrap().requeued.len(), 10);
    assert_eq!(fixture.broker.stats().await.unwrap().total.delayed, 10);
    fixture.clock.advance(Duration::from_secs(60));
    for left in [10, 0] {
        let worker = &mut Worker::named("another");
        worker.sequence = 10 - left;
        assert_eq!(fixture.fetch(worker, 64).await.len(), 10);
        fixture.clock.advance(VISIBILITY);
        let reaped = fixture.broker.reap(0, 64).await.unwrap();
        assert_eq!(reaped.requeued.len() as u64, left);
        assert_eq!(reaped.quarantined.len() as u64, 10 - left);
        fixture.clock.advance(Duration::from_secs(60));
    }
}

#[tokio::test]
pub(crate) async fn a_reaping_of_a_few_at_a_time_does_not_take_company_for_solitude() {
    let fixture = Fixture::start().await;
    let jobs = [job(1, 1, 1), job(2, 1, 2)];
    fixture.broker.enqueue(&jobs).await.unwrap();
    for name in ["one", "two", "three"] {
        assert_eq!(fixture.fetch(&mut Worker::named(name), 9).await.len(), 2);
        fixture.clock.advance(VISIBILITY);
        for _ in 0..2 {
            let reaped = fixture.broker.reap(0, 1).await.unwrap();
            assert_eq!((reaped.requeued.len(), reaped.quarantined.len()), (1, 0));
        }
    }
}

#[tokio::test]
pub(crate) async fn the_history_of_a_job_keeps_its_last_ten_incidents() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    for _ in 0..12 {
        let leased = fixture.fetch(&mut worker, 1).await;
        fixture.acknowledge(&leased[0], retry(1)).await;
        fixture.clock.advance(Duration::from_secs(1));
    }
    let entry = fixture.broker.job(job_id(1)).await.unwrap().unwrap();
    assert_eq!((entry.attempt, entry.history.len()), (13, 10));
    assert_eq!(entry.history[9].at, start() + Duration::from_secs(11));
}

#[tokio::test]
async fn failures_count_attempts_and_crashes_do_not() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    for attempt in 1..=4 {
        let leased = fixture.fetch(&mut worker, 1).await;
        assert_eq!((leased[0].attempt, leased[0].crashes), (attempt, 0));
        fixture.acknowledge(&leased[0], retry(3)).await;
        assert!(fixture.fetch(&mut worker, 1).await.is_empty());
        fixture.clock.advance(Duration::from_secs(3));
    }
}
