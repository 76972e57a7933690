//! How a run ends, and what happens to its job next.

use std::{collections::BTreeSet, time::Duration};

use bulkhead_broker::{BrokerClock, JobState, TestClock, WaitHistogram};
use bulkhead_devstack::RedisOptions;
use bulkhead_worker::Outcome;
use jiff::Timestamp;

use crate::fixture::{Event, Fixture, Run, job, jobs, retry, snooze};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_outcome_leads_where_it_says() {
    let mut fixture = Fixture::start().await;
    let worker = fixture.worker("a", 8).await;
    fixture.enqueue(&jobs(5)).await;
    let mut runs = Vec::new();
    for _ in 0..5 {
        runs.push(fixture.started().await);
    }
    runs.sort_by_key(Run::id);
    let outcomes = [
        Outcome::Done,
        snooze(HOUR),
        Outcome::Retry {
            after: Some(HOUR),
            error: "no answer".to_owned(),
        },
        Outcome::DeadLetter {
            reason: "the grant was revoked".to_owned(),
        },
        Outcome::Discard {
            reason: "already done",
        },
    ];
    for (run, outcome) in runs.into_iter().zip(outcomes) {
        run.end(outcome);
    }
    fixture.until(&job(0), |state| state.is_none()).await;
    let parked = |state: Option<&JobState>| matches!(state, Some(JobState::Parked { .. }));
    fixture.until(&job(1), parked).await;
    let delayed = |state: Option<&JobState>| matches!(state, Some(JobState::Delayed { .. }));
    fixture.until(&job(2), delayed).await;
    let dead = |state: Option<&JobState>| matches!(state, Some(JobState::Dead { reason, .. }) if reason == "the grant was revoked");
    fixture.until(&job(3), dead).await;
    fixture.until(&job(4), |state| state.is_none()).await;
    assert!(matches!(fixture.event().await, Event::GaveUp(id, _) if id == job(3).id));
    let history = fixture.broker.job(job(2).id).await.unwrap().unwrap();
    assert_eq!((history.attempt, history.history.len()), (2, 1));
    worker.drain().await;
    fixture.no_event();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_is_a_failed_attempt_and_the_worker_goes_on() {
    let mut fixture = Fixture::start().await;
    let worker = fixture.worker("a", 1).await;
    fixture.enqueue(&[job(1)]).await;
    let run = fixture.started().await;
    assert_eq!(run.context.attempt, 1);
    run.panic();
    let run = fixture.started().await;
    assert_eq!((run.id(), run.context.attempt), (job(1).id, 2));
    let entry = fixture.broker.job(job(1).id).await.unwrap().unwrap();
    assert_eq!(
        entry.history[0].reason,
        "the handler panicked: as the test said"
    );
    run.end(Outcome::Done);
    fixture.until(&job(1), |state| state.is_none()).await;
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_attempt_becomes_a_dead_letter_and_the_handler_is_told() {
    let mut fixture = Fixture::start().await;
    let worker = fixture.worker("a", 2).await;
    fixture.enqueue(&jobs(2)).await;
    let mut told = BTreeSet::new();
    while told.len() < 2 {
        match fixture.event().await {
            Event::Started(run) if run.id() == job(0).id => run.end(retry()),
            Event::Started(run) => run.panic(),
            Event::GaveUp(id, reason) => {
                assert!(
                    reason.starts_with("2 attempts failed, the last: "),
                    "{reason}"
                );
                told.insert(id);
            }
            other => panic!("{other:?}"),
        }
    }
    for job in jobs(2) {
        fixture
            .until(&job, |state| matches!(state, Some(JobState::Dead { .. })))
            .await;
    }
    worker.drain().await;
    fixture.no_event();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snoozed_job_does_not_hold_a_slot() {
    let mut fixture = Fixture::start().await;
    let worker = fixture.worker("a", 1).await;
    fixture.enqueue(&jobs(2)).await;
    let first = fixture.started().await;
    let other = job(u128::from(first.id() == job(0).id));
    first.end(snooze(HOUR));
    let second = fixture.started().await;
    assert_eq!(second.id(), other.id);
    second.end(Outcome::Done);
    fixture.until(&other, |state| state.is_none()).await;
    assert_eq!(fixture.stats().await.parked_lanes, 1);
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_more_than_its_concurrency_runs_or_is_held() {
    let mut fixture = Fixture::start().await;
    fixture.enqueue(&jobs(20)).await;
    let worker = fixture.worker("a", 3).await;
    let mut running = Vec::new();
    for _ in 0..3 {
        running.push(fixture.started().await);
    }
    let counts = fixture.stats().await.total;
    assert_eq!((counts.running, counts.queued), (3, 17));
    fixture.no_event();
    let mut done = BTreeSet::new();
    while done.len() < 20 {
        let run = running.pop().unwrap();
        done.insert(run.id());
        run.end(Outcome::Done);
        if done.len() + running.len() < 20 {
            running.push(fixture.started().await);
        }
        fixture.no_event();
    }
    fixture.until_empty().await;
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_long_jobs_waited_is_counted_at_their_first_start_only() {
    let clock = TestClock::frozen_at(Timestamp::now());
    let mut fixture = Fixture::with(RedisOptions::default(), |options| {
        options.clock = BrokerClock::Injected(clock.clone());
    })
    .await;
    fixture.enqueue(&jobs(3)).await;
    clock.advance(Duration::from_secs(5));
    let worker = fixture.worker("a", 1).await;
    for outcome in [
        Outcome::Done,
        snooze(Duration::ZERO),
        Outcome::Retry {
            after: Some(Duration::ZERO),
            error: "no answer".to_owned(),
        },
        Outcome::Done,
        Outcome::Done,
    ] {
        fixture.started().await.end(outcome);
    }
    worker.drain().await;
    let waits = fixture.broker.waits().await.unwrap();
    let mut all = WaitHistogram::default();
    waits.values().for_each(|one| all.merge(one));
    assert_eq!(all.starts(), 3);
    let within = all.within(1.0).unwrap();
    assert!(within >= Duration::from_secs(5) && within < Duration::from_secs(10));
    assert_eq!(all.within(0.01), Some(within), "all had waited alike");
}
