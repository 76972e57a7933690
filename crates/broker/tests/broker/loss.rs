//! Redis goes away, comes back, forgets.

use std::time::Duration;

use bulkhead_broker::{
    Acknowledged, Acknowledgement, Broker, BrokerOptions, ConnectError, Enqueued, FetchRequest,
    Outcome, Presence,
};
use bulkhead_domain::Class;

use crate::fixture::{Fixture, Worker, connection, ids, job, job_id};

#[tokio::test]
async fn a_forgotten_script_is_loaded_again() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    for n in 0..3 {
        fixture.broker.enqueue(&[job(n, 1, 1)]).await.unwrap();
        fixture.redis.command("SCRIPT FLUSH").unwrap();
        assert_eq!(ids(&fixture.fetch(&mut worker, 9).await), [job_id(n)]);
        fixture.redis.command("SCRIPT FLUSH").unwrap();
    }
}

#[tokio::test]
async fn a_redis_that_restarts_is_taken_up_again_by_the_same_broker() {
    let mut fixture = Fixture::start().await;
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    fixture.redis.kill();
    assert!(fixture.broker.enqueue(&[job(2, 1, 1)]).await.is_err());
    assert!(fixture.broker.exists(&[job_id(1)]).await.is_err());
    fixture.redis.restart_empty().await.unwrap();
    // Each call may still meet the old connection; none ends the process.
    let mut tries = 0;
    while fixture.broker.enqueue(&[job(2, 1, 1)]).await.is_err() {
        tries += 1;
        assert!(tries < 50);
    }
    let presence = fixture
        .broker
        .presence(&[job_id(1), job_id(2)])
        .await
        .unwrap();
    assert_eq!(presence, [Presence::Absent, Presence::Alive]);
}

#[tokio::test]
async fn a_redis_that_is_not_there_at_start_is_one_clear_error() {
    let options = BrokerOptions::new("redis+unix:///nowhere/redis.sock".to_owned().into());
    let error = Broker::connect(&options, Class::Sync).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable(_)));
    assert_eq!(error.to_string(), "cannot reach Redis");
    let options = BrokerOptions::new("http://user:secret@redis".to_owned().into());
    let error = Broker::connect(&options, Class::Sync).await.unwrap_err();
    assert!(matches!(error, ConnectError::Url(_)));
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
}

#[tokio::test]
async fn what_is_enqueued_between_the_mark_and_the_wait_is_not_missed() {
    let fixture = Fixture::with(|options| options.shards = 3).await;
    let wakes = fixture.broker.wakes();
    let unlimited = Duration::from_secs(60);
    // The subscription itself counts once, on all shards.
    let mut mark = wakes.mark();
    wakes.wait(&mark, unlimited).await;
    for n in 0..20 {
        mark = wakes.mark();
        fixture.broker.enqueue(&[job(n, 1, n)]).await.unwrap();
        let woken = wakes.wait(&mark, unlimited).await;
        let shard = fixture.broker.shard_of(connection(n));
        assert_eq!(woken, [shard]);
        let worker = Worker::named("a");
        let request = FetchRequest {
            worker: &worker.id,
            shard,
            sequence: u64::try_from(n).unwrap() + 1,
            max: 9,
        };
        assert_eq!(
            fixture.broker.fetch(&request).await.unwrap().leased.len(),
            1
        );
    }
    let mark = wakes.mark();
    assert!(wakes.wait(&mark, Duration::ZERO).await.is_empty());
}

#[tokio::test]
async fn a_waiting_worker_is_woken_when_redis_comes_back() {
    let mut fixture = Fixture::start().await;
    let wakes = fixture.broker.wakes();
    let unlimited = Duration::from_secs(60);
    wakes.wait(&wakes.mark(), unlimited).await;
    let mark = wakes.mark();
    fixture.redis.restart_empty().await.unwrap();
    assert_eq!(wakes.wait(&mark, unlimited).await, [0]);
}

#[tokio::test]
async fn every_call_whose_reply_is_lost_can_be_repeated() {
    let fixture =
        Fixture::with(|options| options.response_timeout = Duration::from_millis(100)).await;
    let broker = &fixture.broker;
    let jobs = [job(1, 1, 1), job(2, 1, 1)];
    // Otherwise the lost reply would be that the script is not known yet.
    broker.enqueue(&[job(3, 1, 1)]).await.unwrap();
    let first = fixture.fetch(&mut Worker::named("b"), 1).await;
    fixture.acknowledge(&first[0], Outcome::Complete).await;
    // Redis stops, gets the command, goes on, and runs it: only the reply is lost.
    fixture.redis.stop();
    broker.enqueue(&jobs).await.unwrap_err();
    fixture.redis.cont();
    assert_eq!(broker.enqueue(&jobs).await.unwrap(), [Enqueued::Exists; 2]);

    let worker = Worker::named("a");
    let request = FetchRequest {
        worker: &worker.id,
        shard: 0,
        sequence: 1,
        max: 9,
    };
    fixture.redis.stop();
    broker.fetch(&request).await.unwrap_err();
    fixture.redis.cont();
    let leased = broker.fetch(&request).await.unwrap().leased;
    assert_eq!(ids(&leased), [1, 2].map(job_id));
    assert_eq!(broker.stats().await.unwrap().total.running, 2);

    let done: Vec<_> = leased
        .into_iter()
        .map(|one| Acknowledgement {
            lease: one.lease,
            outcome: Outcome::Complete,
        })
        .collect();
    fixture.redis.stop();
    broker.acknowledge(0, &done).await.unwrap_err();
    fixture.redis.cont();
    assert_eq!(
        broker.acknowledge(0, &done).await.unwrap(),
        [Acknowledged::NotLeased; 2]
    );
    assert_eq!(fixture.leftovers().await, Vec::<String>::new());
}
