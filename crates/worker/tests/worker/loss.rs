//! Redis goes away.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bulkhead_broker::{Broker, BrokerOptions};
use bulkhead_devstack::{FaultProxy, RedisOptions, Target};
use bulkhead_domain::{Class, Job};
use bulkhead_worker::Outcome;
use tokio::sync::{Mutex, MutexGuard};

use crate::fixture::{Event, Fixture, Logs, eventually, job, jobs};

/// Tests that count what a process logs of an outage, where tests share a process.
pub(crate) async fn alone() -> MutexGuard<'static, ()> {
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

/// Leases that outlast whatever happens to a connection.
async fn patient() -> Fixture {
    Fixture::with(RedisOptions::default(), |options| {
        options.visibility_timeout = Duration::from_secs(15);
    })
    .await
}

/// How many clients Redis has, but for the one that asks.
fn clients(fixture: &Fixture) -> usize {
    let counted = "return tonumber(redis.call('INFO', 'clients'):match('connected_clients:(%d+)'))";
    let answer = fixture.redis.command(&format!("EVAL \"{counted}\" 0"));
    let answer = answer.unwrap();
    let count = answer.strip_prefix(':').expect(&answer);
    count.parse::<usize>().unwrap() - 1
}

fn tasks() -> usize {
    tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_restarts_of_redis_in_a_row_leave_a_healthy_fleet_and_no_connection_or_task_behind() {
    let mut fixture = patient().await;
    let workers = [
        fixture.worker("a", 2).await,
        fixture.worker("b", 2).await,
        fixture.worker("c", 2).await,
    ];
    run_all(&mut fixture, jobs(12)).await;
    // A worker's two connections and two subscriptions, and the test's one.
    const CONNECTIONS: usize = 3 * 4 + 1;
    eventually(async || clients(&fixture) == CONNECTIONS).await;
    let tasks_before = tasks();
    for _ in 0..50 {
        fixture.redis.restart().await.unwrap();
    }
    run_all(&mut fixture, jobs(12)).await;
    eventually(async || clients(&fixture) == CONNECTIONS).await;
    eventually(async || tasks() <= tasks_before).await;
    for worker in workers {
        worker.drain().await;
    }
}

/// Enqueues jobs as soon as Redis takes them, and ends each when it has started.
async fn run_all(fixture: &mut Fixture, jobs: Vec<Job>) {
    eventually(async || fixture.broker.enqueue(&jobs).await.is_ok()).await;
    let mut left: BTreeSet<_> = jobs.iter().map(|job| job.id).collect();
    while !left.is_empty() {
        let run = fixture.started().await;
        left.remove(&run.id());
        run.end(Outcome::Done);
    }
    fixture.until_empty().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_fall_silent_in_mid_run_are_made_anew_and_every_job_runs_once() {
    let _alone = alone().await;
    let mut fixture = patient().await;
    let proxy = FaultProxy::start(Target::Unix(fixture.redis.socket())).unwrap();
    let through = BrokerOptions {
        url: proxy.redis_url().into(),
        ..fixture.options.clone()
    };
    let worker = fixture.worker_at(&through, "a", 4, |_| ()).await;
    fixture.enqueue(&jobs(20)).await;
    let mut runs = Vec::new();
    let mut started = BTreeSet::new();
    for _ in 0..4 {
        let run = fixture.started().await;
        started.insert(run.id());
        runs.push(run);
    }
    // The worker's connection, its beat's, and their subscriptions.
    eventually(async || proxy.connections() == 4).await;
    proxy.silence();
    for run in runs {
        run.end(Outcome::Done);
    }
    // No lease was lost meanwhile: nothing but starts is told, and of each job one.
    while started.len() < 20 {
        let run = fixture.started().await;
        assert!(started.insert(run.id()), "{} ran twice", run.id());
        run.end(Outcome::Done);
    }
    fixture.until_empty().await;
    eventually(async || clients(&fixture) == 2 * 4 + 1).await;
    eventually(async || proxy.connections() == 4).await;
    worker.drain().await;
    fixture.no_event();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_that_fell_silent_is_made_anew_while_nothing_is_to_be_done() {
    let fixture = Fixture::start().await;
    let proxy = FaultProxy::start(Target::Unix(fixture.redis.socket())).unwrap();
    let through = BrokerOptions {
        url: proxy.redis_url().into(),
        ..fixture.options.clone()
    };
    let broker = Broker::connect(&through, Class::Sync).await.unwrap();
    let wakes = broker.wakes();
    wakes.wait(&wakes.mark(), Duration::from_secs(20)).await;
    proxy.silence();
    let mark = wakes.mark();
    // All shards: something may have been said while nobody heard.
    let woken = wakes.wait(&mark, Duration::from_secs(20)).await;
    assert_eq!(woken, [0, 1, 2, 3]);
    let mark = wakes.mark();
    fixture.enqueue(&[job(1)]).await;
    assert_eq!(wakes.wait(&mark, Duration::from_secs(20)).await, [1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_nothing_answers_connections_are_made_anew_again_and_again_and_one_line_says_so() {
    let _alone = alone().await;
    let logs = Logs::capture();
    let fixture = Fixture::start().await;
    let proxy = FaultProxy::start(Target::Unix(fixture.redis.socket())).unwrap();
    let through = BrokerOptions {
        url: proxy.redis_url().into(),
        response_timeout: Duration::from_millis(100),
        ..fixture.options.clone()
    };
    let broker = Broker::connect(&through, Class::Sync).await.unwrap();
    let before = logs.count("no answer from Redis");
    proxy.stall();
    for _ in 0..5 {
        broker.stats().await.unwrap_err();
    }
    assert_eq!(logs.count("no answer from Redis"), before + 1);
    proxy.restore();
    eventually(async || broker.stats().await.is_ok()).await;
    drop(broker);
    eventually(async || proxy.connections() == 0).await;
}
