//! Redis goes away.

use std::collections::BTreeMap;

use bulkhead_devstack::RedisOptions;
use bulkhead_worker::Outcome;
use tokio::sync::{Mutex, MutexGuard};

use crate::fixture::{Event, Fixture, Logs, eventually, job, jobs};

/// Tests that count what a process logs of an outage, where tests share a process.
async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}

async fn durable() -> Fixture {
    let redis = RedisOptions {
        config: vec![
            "appendonly yes".to_owned(),
            // Otherwise it may answer before it has written.
            "appendfsync always".to_owned(),
        ],
        ..RedisOptions::default()
    };
    Fixture::with(redis, |_| ()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_killed_and_restarted_in_mid_run_loses_no_job_and_is_logged_once() {
    let _alone = alone().await;
    let logs = Logs::capture();
    let before = (
        logs.count("dependency is down"),
        logs.count("dependency is back"),
    );
    let mut fixture = durable().await;
    let worker = fixture.worker("a", 8).await;
    fixture.enqueue(&jobs(40)).await;
    let mut done = BTreeMap::<_, u32>::new();
    let mut killed = false;
    while done.len() < 40 {
        match fixture.event().await {
            Event::Started(run) => {
                *done.entry(run.id()).or_default() += 1;
                run.end(Outcome::Done);
            }
            Event::Stopped(_) => {}
            other => panic!("{other:?}"),
        }
        if done.len() == 10 && !killed {
            killed = true;
            fixture.redis.kill();
            eventually(async || logs.count("dependency is down") > before.0).await;
            fixture.redis.restart().await.unwrap();
        }
    }
    fixture.until_empty().await;
    let total: u32 = done.values().sum();
    assert!(
        total <= 40 + 2 * 8,
        "what was acknowledged ran again: {done:?}"
    );
    eventually(async || logs.count("dependency is back") > before.1).await;
    worker.drain().await;
    let after = (
        logs.count("dependency is down"),
        logs.count("dependency is back"),
    );
    assert_eq!(after, (before.0 + 1, before.1 + 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ended_while_redis_was_away_is_acknowledged_when_it_is_back() {
    let _alone = alone().await;
    let mut fixture = durable().await;
    let worker = fixture.worker("a", 2).await;
    fixture.enqueue(&[job(1)]).await;
    let run = fixture.started().await;
    fixture.redis.kill();
    run.end(Outcome::Done);
    fixture.redis.restart().await.unwrap();
    fixture.until_empty().await;
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_comes_back_empty_stops_what_ran_and_brings_new_work() {
    let _alone = alone().await;
    let mut fixture = Fixture::start().await;
    let worker = fixture.worker("a", 2).await;
    fixture.enqueue(&jobs(2)).await;
    let old = [fixture.started().await, fixture.started().await];
    fixture.redis.kill();
    fixture.redis.restart_empty().await.unwrap();
    for _ in 0..2 {
        fixture.stopped().await;
    }
    // As the scheduler does: everything that is still owed.
    eventually(async || fixture.broker.enqueue(&jobs(2)).await.is_ok()).await;
    for _ in 0..2 {
        let run = fixture.started().await;
        assert!(
            old.iter()
                .all(|old| old.context.lease.token() < run.context.lease.token())
        );
        run.end(Outcome::Done);
    }
    fixture.until_empty().await;
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flushed_redis_stops_what_ran_and_brings_new_work() {
    let mut fixture = Fixture::start().await;
    let worker = fixture.worker("a", 2).await;
    fixture.enqueue(&[job(1)]).await;
    let old = fixture.started().await;
    fixture.redis.flush().unwrap();
    assert_eq!(fixture.stopped().await, old.id());
    fixture.enqueue(&[job(1)]).await;
    let run = fixture.started().await;
    assert!(run.context.lease.token() > old.context.lease.token());
    run.end(Outcome::Done);
    fixture.until_empty().await;
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_ends_although_redis_is_away() {
    let _alone = alone().await;
    let mut fixture = Fixture::start().await;
    let worker = fixture.worker("a", 2).await;
    fixture.enqueue(&[job(1)]).await;
    let run = fixture.started().await;
    fixture.redis.kill();
    run.end(Outcome::Done);
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_restarts_of_redis_in_a_row_leave_a_healthy_worker() {
    let mut fixture = Fixture::start().await;
    let worker = fixture.worker("a", 2).await;
    for _ in 0..50 {
        fixture.redis.restart().await.unwrap();
    }
    let one = job(1);
    eventually(async || {
        fixture
            .broker
            .enqueue(std::slice::from_ref(&one))
            .await
            .is_ok()
    })
    .await;
    let run = fixture.started().await;
    assert_eq!(run.id(), one.id);
    run.end(Outcome::Done);
    fixture.until_empty().await;
    worker.drain().await;
}
