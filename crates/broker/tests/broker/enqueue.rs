//! What is enqueued, and what is refused.

use std::time::Duration;

use bulkhead_broker::{Acknowledged, BrokerOptions, EnqueueError, Enqueued, Outcome};

use crate::fixture::{Fixture, Worker, ids, job, job_id, retry, snooze, start};

#[tokio::test]
pub(crate) async fn a_job_is_deduplicated_while_it_lives_and_no_longer() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    let one = [job(1, 1, 1)];
    let enqueue = async || fixture.broker.enqueue(&one).await.unwrap();
    assert_eq!(enqueue().await, [Enqueued::Added]);
    assert_eq!(enqueue().await, [Enqueued::Exists], "queued");
    let leased = fixture.fetch(&mut worker, 1).await;
    assert_eq!(enqueue().await, [Enqueued::Exists], "running");
    fixture.acknowledge(&leased[0], snooze(9, false)).await;
    assert_eq!(enqueue().await, [Enqueued::Exists], "delayed");
    fixture.clock.advance(Duration::from_secs(9));
    let leased = fixture.fetch(&mut worker, 1).await;
    fixture.acknowledge(&leased[0], Outcome::Complete).await;
    assert_eq!(enqueue().await, [Enqueued::Added]);
    let twice = [job(2, 1, 1), job(2, 1, 1)];
    let answers = fixture.broker.enqueue(&twice).await.unwrap();
    assert_eq!(answers, [Enqueued::Added, Enqueued::Exists]);
}

#[tokio::test]
pub(crate) async fn a_batch_pushes_only_those_that_do_not_live() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    let answers = fixture.broker.enqueue(&[job(1, 1, 1), job(2, 1, 1)]).await;
    assert_eq!(answers.unwrap(), [Enqueued::Exists, Enqueued::Added]);
    let later = Some(start() + Duration::from_secs(5));
    let answers = fixture
        .broker
        .enqueue_at(&[(job(2, 1, 1), later), (job(3, 1, 1), later)])
        .await;
    assert_eq!(answers.unwrap(), [Enqueued::Exists, Enqueued::Added]);
    let total = fixture.broker.stats().await.unwrap().total;
    assert_eq!((total.queued, total.delayed), (2, 1));
    assert_eq!(
        ids(&fixture.fetch(&mut worker, 9).await),
        [1, 2].map(job_id)
    );
}

#[tokio::test]
pub(crate) async fn a_full_queue_refuses_new_jobs_and_still_takes_acknowledgements() {
    let small = |options: &mut BrokerOptions| options.high_water_bytes = 20_000;
    let fixture = Fixture::with(small).await;
    let mut worker = Worker::named("a");
    let mut n = 0;
    let error = loop {
        let jobs: Vec<_> = (n..n + 20).map(|n| job(n, 1, 1)).collect();
        n += 20;
        match fixture.broker.enqueue(&jobs).await {
            Ok(_) => assert!(n < 1_000),
            Err(error) => break error,
        }
    };
    let EnqueueError::HighWater { used_bytes, .. } = error else {
        panic!("{error}");
    };
    assert!((20_000..40_000).contains(&used_bytes), "{used_bytes}");
    for one in fixture.fetch(&mut worker, 256).await {
        assert_eq!(
            fixture.acknowledge(&one, Outcome::Complete).await,
            Acknowledged::Completed
        );
    }
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
}

#[tokio::test]
async fn a_redis_out_of_memory_refuses_only_what_brings_new_work() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    let jobs: Vec<_> = (0..4).map(|n| job(n, 1, 1)).collect();
    fixture.broker.enqueue(&jobs).await.unwrap();
    fixture.redis.command("CONFIG SET maxmemory 1mb").unwrap();
    assert!(fixture.broker.enqueue(&[job(9, 1, 1)]).await.is_err());
    let leased = fixture.fetch(&mut worker, 4).await;
    let outcomes = [
        Outcome::Complete,
        retry(1),
        snooze(1, true),
        Outcome::Release,
    ];
    for (one, outcome) in leased.iter().zip(outcomes) {
        let said = fixture.acknowledge(one, outcome).await;
        assert!(!matches!(
            said,
            Acknowledged::NotLeased | Acknowledged::Fenced
        ));
    }
}
