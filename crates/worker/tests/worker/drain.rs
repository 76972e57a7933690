//! The way out: what runs ends or goes back, what has not started goes back at once.

use std::time::Duration;

use bulkhead_broker::{Acknowledgement, BrokerClock, FetchRequest, JobState, TestClock};
use bulkhead_devstack::{FaultProxy, RedisOptions, Target};
use bulkhead_domain::WorkerId;
use bulkhead_worker::Outcome;
use jiff::Timestamp;

use crate::fixture::{Fixture, Worker, job, jobs, snooze};

fn queued(state: Option<&JobState>) -> bool {
    matches!(state, Some(JobState::Queued))
}

fn running(state: Option<&JobState>) -> bool {
    matches!(state, Some(JobState::Running { .. }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_drain_gives_back_what_has_not_started_and_waits_for_what_runs() {
    let mut fixture = patient(Duration::from_secs(20)).await;
    let worker = fixture.worker("a", 4).await;
    fixture.enqueue(&[job(0)]).await;
    let run = fixture.started().await;
    let blocked = run.block();
    fixture.enqueue(&jobs(4)).await;
    for n in 1..4 {
        fixture.until(&job(n), running).await;
    }
    worker.drain.cancel();
    drop(blocked);
    for n in 1..4 {
        fixture.until(&job(n), queued).await;
        let entry = fixture.broker.job(job(n).id).await.unwrap().unwrap();
        assert_eq!((entry.attempt, entry.crashes), (1, 0));
    }
    assert!(running(fixture.state(&job(0)).await.as_ref()));
    assert!(!worker.ended.is_finished());
    run.end(Outcome::Done);
    worker.end().await;
    assert_eq!(fixture.state(&job(0)).await, None);
    fixture.no_event();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_hears_of_the_drain_and_snoozes() {
    let mut fixture = Fixture::start().await;
    let worker = fixture.worker("a", 1).await;
    fixture.enqueue(&[job(1)]).await;
    let run = fixture.started().await;
    worker.drain.cancel();
    run.context.drain.cancelled().await;
    run.end(snooze(Duration::ZERO));
    worker.end().await;
    assert_eq!(fixture.stats().await.total.queued, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_that_lasts_too_long_gives_the_job_back() {
    let mut fixture = Fixture::frozen().await;
    let options = fixture.options.clone();
    let worker = fixture
        .worker_at(&options, "a", 1, |options| {
            options.drain_timeout = Duration::from_millis(50);
        })
        .await;
    fixture.enqueue(&[job(1)]).await;
    let run = fixture.started().await;
    worker.drain().await;
    assert_eq!(fixture.stopped().await, run.id());
    let entry = fixture.broker.job(run.id()).await.unwrap().unwrap();
    assert_eq!(entry.state, JobState::Queued);
    assert_eq!((entry.attempt, entry.crashes), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_of_an_idle_worker_ends_at_once() {
    let mut fixture = Fixture::start().await;
    let worker = fixture.worker("a", 1).await;
    fixture.enqueue(&[job(1)]).await;
    fixture.started().await.end(Outcome::Done);
    fixture.until_empty().await;
    let drained = tokio::time::Instant::now();
    worker.drain().await;
    assert!(drained.elapsed() < Duration::from_secs(1));
}

/// A worker whose fetch has been carried out and whose answer is held back. No lease expires here.
async fn fetch_in_flight(fixture: &mut Fixture) -> (Worker, FaultProxy) {
    load_scripts(fixture).await;
    let proxy = FaultProxy::start(Target::Unix(fixture.redis.socket())).unwrap();
    let mut through = fixture.options.clone();
    through.url = proxy.redis_url().into();
    let worker = fixture.worker_at(&through, "a", 1, |_| ()).await;
    // The first answer says that there is more: no wake-up is needed, which could be held back too.
    fixture.enqueue(&[job(0), job(1)]).await;
    let run = fixture.started().await;
    assert_eq!(run.id(), job(0).id);
    // While its only slot is taken it fetches nothing; the next fetch is the one that is held back.
    proxy.stall_answers();
    run.end(Outcome::Done);
    fixture.until(&job(1), running).await;
    (worker, proxy)
}

/// Redis knows the scripts: that it does not know one would be an answer too, and held back.
async fn load_scripts(fixture: &Fixture) {
    fixture.enqueue(&[job(9)]).await;
    let worker = WorkerId::new("before".to_owned());
    let request = |sequence| FetchRequest {
        worker: &worker,
        shard: 0,
        sequence,
        max: 1,
    };
    let fetched = fixture.broker.fetch(&request(1)).await.unwrap();
    let ends = [Acknowledgement {
        lease: fetched.leased[0].lease.clone(),
        outcome: bulkhead_broker::Outcome::Complete,
    }];
    let next = request(2);
    let turn = fixture.broker.acknowledge_and_fetch(&ends, &next).await;
    assert!(turn.unwrap().fetched.leased.is_empty());
}

async fn patient(response_timeout: Duration) -> Fixture {
    Fixture::with(RedisOptions::default(), |options| {
        options.clock = BrokerClock::Injected(TestClock::frozen_at(Timestamp::now()));
        options.shards = 1;
        options.visibility_timeout = Duration::from_secs(60);
        options.response_timeout = response_timeout;
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fetch_in_flight_when_the_drain_begins_loses_nothing() {
    let mut fixture = patient(Duration::from_secs(20)).await;
    let (worker, proxy) = fetch_in_flight(&mut fixture).await;
    worker.drain.cancel();
    proxy.restore();
    worker.end().await;
    let entry = fixture.broker.job(job(1).id).await.unwrap().unwrap();
    assert_eq!((entry.state, entry.crashes), (JobState::Queued, 0));
    fixture.no_event();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_fetch_reply_strands_no_job() {
    // Longer than the worker needs to ask: on a connection without an answer for so long nothing is asked any more.
    let mut fixture = patient(Duration::from_secs(5)).await;
    let (worker, proxy) = fetch_in_flight(&mut fixture).await;
    proxy.cut();
    proxy.restore();
    let run = fixture.started().await;
    assert_eq!((run.id(), run.context.attempt), (job(1).id, 1));
    run.end(Outcome::Done);
    fixture.until_empty().await;
    worker.drain().await;
    fixture.no_event();
}
