//! Keeping a lease, and losing it.

use std::{collections::BTreeSet, time::Duration};

use bulkhead_broker::{BrokerClock, Enqueued, JobFilter, JobState, TestClock};
use bulkhead_devstack::RedisOptions;
use bulkhead_worker::Outcome;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::fixture::{Event, Fixture, VISIBILITY, eventually, job, jobs, snooze};

fn expires(state: Option<&JobState>) -> Option<Timestamp> {
    match state {
        Some(JobState::Running { expires, .. }) => Some(*expires),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_handler_that_blocks_its_thread_keeps_its_lease_and_those_of_jobs_that_wait() {
    let clock = TestClock::frozen_at(Timestamp::now());
    let visibility = Duration::from_secs(2);
    let injected = BrokerClock::Injected(clock.clone());
    let mut fixture = Fixture::with(RedisOptions::default(), |options| {
        options.clock = injected;
        options.visibility_timeout = visibility;
    })
    .await;
    let worker = fixture.worker("a", 2).await;
    fixture.enqueue(&[job(1)]).await;
    let run = fixture.started().await;
    let blocked = run.block();
    // The fetcher still has a slot; what it brings cannot start.
    fixture.enqueue(&[job(2)]).await;
    let leased = |state: Option<&JobState>| expires(state).is_some();
    fixture.until(&job(2), leased).await;
    for _ in 0..3 {
        let before = expires(fixture.state(&job(2)).await.as_ref());
        clock.advance(visibility * 3 / 4);
        for waiting in [job(1), job(2)] {
            let renewed = |state: Option<&JobState>| expires(state) > before;
            fixture.until(&waiting, renewed).await;
        }
    }
    fixture.no_event();
    drop(blocked);
    run.end(Outcome::Done);
    let run = fixture.started().await;
    assert_eq!(run.id(), job(2).id);
    let entry = fixture.broker.job(run.id()).await.unwrap().unwrap();
    assert_eq!(entry.crashes, 0);
    run.end(Outcome::Done);
    fixture.until_empty().await;
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_stopped_when_its_lease_is_superseded() {
    let clock = TestClock::running();
    let injected = BrokerClock::Injected(clock.clone());
    let mut fixture =
        Fixture::with(RedisOptions::default(), |options| options.clock = injected).await;
    let workers = [fixture.worker("a", 1).await, fixture.worker("b", 1).await];
    fixture.enqueue(&[job(1)]).await;
    let old = fixture.started().await;
    clock.advance(VISIBILITY);
    // One of the two takes it back and runs it again, before or after the other is stopped.
    let mut new = None;
    let mut stopped = false;
    while new.is_none() || !stopped {
        match fixture.event().await {
            Event::Started(run) => new = Some(run),
            Event::Stopped(id) => stopped = id == old.id(),
            other => panic!("{other:?}"),
        }
    }
    let new = new.unwrap();
    assert!(new.context.lease.token() > old.context.lease.token());
    assert_eq!(new.context.attempt, 1);
    assert_eq!(
        fixture.broker.job(new.id()).await.unwrap().unwrap().crashes,
        1
    );
    new.end(Outcome::Done);
    fixture.until_empty().await;
    for worker in workers {
        worker.drain().await;
    }
    fixture.no_event();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_comes_back_to_the_same_process_is_not_run_twice_at_once() {
    let clock = TestClock::running();
    let injected = BrokerClock::Injected(clock.clone());
    let minute = Duration::from_secs(60);
    // Renewals are a quarter of a minute apart: it is the fetch that tells.
    let mut fixture = Fixture::with(RedisOptions::default(), |options| {
        options.clock = injected;
        options.visibility_timeout = minute;
    })
    .await;
    let worker = fixture.worker("a", 2).await;
    fixture.enqueue(&[job(1)]).await;
    let old = fixture.started().await;
    clock.advance(minute);
    let shard = old.context.lease.shard();
    let reaped = fixture.broker.reap(shard, 1).await.unwrap();
    assert_eq!(reaped.requeued, [old.id()]);
    let mut events = [fixture.event().await, fixture.event().await];
    events.sort_by_key(|event| matches!(event, Event::Started(_)));
    let [Event::Stopped(_), Event::Started(new)] = events else {
        panic!("{events:?}");
    };
    new.end(Outcome::Done);
    fixture.until_empty().await;
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_job_is_stopped_and_gone_at_once() {
    // No lease expires here, and no beat comes by itself: the message brings it, the acknowledgement ends the job.
    let mut fixture = Fixture::with(RedisOptions::default(), |options| {
        options.visibility_timeout = Duration::from_secs(3_600);
    })
    .await;
    let worker = fixture.worker("a", 2).await;
    fixture.enqueue(&jobs(2)).await;
    let (one, other) = (fixture.started().await, fixture.started().await);
    let filter = JobFilter {
        id: Some(one.id()),
        ..JobFilter::default()
    };
    let cancelled = fixture.broker.cancel(&filter).await.unwrap();
    assert_eq!(cancelled.told, [one.id()]);
    assert_eq!(fixture.stopped().await, one.id());
    let gone = one.context.job.clone();
    fixture.until(&gone, |state| state.is_none()).await;
    let again = fixture.broker.enqueue(&[gone]).await.unwrap();
    assert_eq!(again, [Enqueued::Added]);
    fixture.started().await.end(Outcome::Done);
    other.end(Outcome::Done);
    fixture.until_empty().await;
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_stopped_before_its_lease_expires_however_long_redis_hangs() {
    let mut fixture = Fixture::with(RedisOptions::default(), |options| {
        options.response_timeout = Duration::from_secs(60);
    })
    .await;
    let worker = fixture.worker("a", 1).await;
    fixture.enqueue(&[job(1)]).await;
    let run = fixture.started().await;
    fixture.redis.stop();
    let hangs_since = Instant::now();
    assert_eq!(fixture.stopped().await, run.id());
    let stopped_after = hangs_since.elapsed();
    assert!(
        stopped_after < VISIBILITY + Duration::from_secs(1),
        "{stopped_after:?}"
    );
    fixture.redis.cont();
    fixture.started().await.end(Outcome::Done);
    fixture.until_empty().await;
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledgement_that_cannot_succeed_does_not_hold_up_the_others() {
    let mut fixture = Fixture::with(RedisOptions::default(), |options| options.shards = 1).await;
    let worker = fixture.worker("a", 9).await;
    fixture.enqueue(&jobs(9)).await;
    let mut runs = Vec::new();
    for _ in 0..9 {
        runs.push(fixture.started().await);
    }
    // Its body is needed to put a job back into its lane, not to complete it.
    fixture.redis.command("DEL {sync.0}:jobs").unwrap();
    let blocked = runs[0].block();
    let mut runs = runs.into_iter();
    runs.next().unwrap().end(snooze(VISIBILITY));
    runs.for_each(|run| run.end(Outcome::Done));
    drop(blocked);
    let leases = || fixture.redis.command("ZCARD {sync.0}:leases").unwrap();
    eventually(async || leases() == ":0").await;
    fixture.enqueue(&[job(20)]).await;
    fixture.started().await.end(Outcome::Done);
    fixture.until_empty().await;
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_of_a_worker_that_vanished_run_elsewhere() {
    let mut fixture = Fixture::start().await;
    let request = bulkhead_broker::FetchRequest {
        worker: &bulkhead_domain::WorkerId::new("vanished".to_owned()),
        shard: fixture.broker.shard_of(job(1).connection),
        sequence: 1,
        max: 1,
    };
    fixture.enqueue(&[job(1)]).await;
    assert_eq!(
        fixture.broker.fetch(&request).await.unwrap().leased.len(),
        1
    );
    let worker = fixture.worker("a", 1).await;
    let run = fixture.started().await;
    assert_eq!(run.context.attempt, 1);
    run.end(Outcome::Done);
    fixture.until_empty().await;
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_starts_again_under_its_old_name_is_answered() {
    let mut fixture = Fixture::start().await;
    let mut ran = BTreeSet::new();
    for n in 0..3 {
        let worker = fixture.worker("a", 1).await;
        fixture.enqueue(&[job(n)]).await;
        let run = fixture.started().await;
        ran.insert(run.id());
        run.end(Outcome::Done);
        fixture.until_empty().await;
        worker.drain().await;
    }
    assert_eq!(ran.len(), 3);
}
