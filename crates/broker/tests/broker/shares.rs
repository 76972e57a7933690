//! Budgets that are shared: by jobs of different priority, and by all sellers of an application.

use std::time::Duration;

use bulkhead_broker::{
    Broker, FetchRequest, Lease, PermitAnswer, PermitSubject, Permits, PlanFilter, PlanSource,
};
use bulkhead_domain::{
    ApplicationId, ConnectionId, FenceEpoch, Margins, Operation, Priority, UsagePlan,
    operation::{GET_ORDER, SEARCH_ORDERS},
};
use uuid::Uuid;

use crate::{
    fixture::{Fixture, Worker, connection, job, open, tenant},
    permits::{granted, ready, subject},
};

const HOUR: Duration = Duration::from_secs(3_600);

async fn backfill(fixture: &Fixture) -> Lease {
    let mut job = job(2, 1, 1);
    job.priority = Priority::BACKFILL;
    fixture.broker.enqueue(&[job]).await.unwrap();
    let leased = fixture.fetch(&mut Worker::named("b"), 1).await;
    leased[0].lease.clone()
}

#[tokio::test]
pub(crate) async fn a_backfill_leaves_half_of_the_burst_to_the_night() {
    let (fixture, night) = ready().await;
    let backfill = backfill(&fixture).await;
    let permits = Permits::new(&fixture.broker, Margins::default(), 1.0);
    fixture.clock.advance(2 * HOUR);
    assert_eq!(granted(&permits, &backfill, &SEARCH_ORDERS).await, 10);
    assert_eq!(granted(&permits, &night, &SEARCH_ORDERS).await, 10);
    // With the bucket empty the night has every call that comes.
    for _ in 0..9 {
        fixture.clock.advance(Duration::from_millis(178_700));
        assert_eq!(granted(&permits, &backfill, &SEARCH_ORDERS).await, 0);
        assert_eq!(granted(&permits, &night, &SEARCH_ORDERS).await, 1);
    }
    // When the night has none to make, the backfill has the whole rate, once the reserve is full.
    fixture.clock.advance(Duration::from_secs(10 * 179));
    let mut calls = granted(&permits, &backfill, &SEARCH_ORDERS).await;
    for _ in 0..20 {
        fixture.clock.advance(Duration::from_millis(178_700));
        calls += granted(&permits, &backfill, &SEARCH_ORDERS).await;
    }
    assert!((20..=21).contains(&calls), "{calls}");
    assert!(granted(&permits, &night, &SEARCH_ORDERS).await >= 9);
}

/// A limit on all sellers, none on one of them.
fn shared(rate_per_s: f64, burst: u32) -> &'static Operation {
    Box::leak(Box::new(Operation {
        api: "listings",
        version: "1",
        name: "search",
        plan: None,
        application_plan: Some(UsagePlan::new(rate_per_s, burst)),
    }))
}

#[tokio::test]
pub(crate) async fn of_two_buckets_both_are_taken_or_none() {
    let (fixture, lease) = ready().await;
    let permits = Permits::new(&fixture.broker, Margins::default(), 1.0);
    let application = subject(1).application;
    // 30 for the connection; 12 for the application, of which another connection takes 8.
    fixture
        .broker
        .pin_plan(application, None, &GET_ORDER, UsagePlan::new(0.01, 12))
        .await
        .unwrap();
    granted(&permits, &lease, &GET_ORDER).await;
    fixture.clock.advance(HOUR);
    let mut other = subject(1);
    other.connection = connection(2);
    for _ in 0..8 {
        let answer = permits.request(&lease, &other, &GET_ORDER).await.unwrap();
        assert!(matches!(answer, PermitAnswer::Granted(_)), "{answer:?}");
    }
    assert_eq!(granted(&permits, &lease, &GET_ORDER).await, 4);
    for _ in 0..50 {
        assert_eq!(granted(&permits, &lease, &GET_ORDER).await, 0);
    }
    // What was refused by the application's bucket was not taken out of the connection's.
    fixture
        .broker
        .reset_plan(application, None, &GET_ORDER)
        .await
        .unwrap();
    assert_eq!(granted(&permits, &lease, &GET_ORDER).await, 26);
}

/// Leases of one connection on each shard.
async fn one_on_each_shard(broker: &Broker) -> Vec<(Lease, PermitSubject)> {
    let mut found = Vec::new();
    for n in 1..=u128::from(broker.shards()) * 20 {
        let mut job = job(n, 1, n);
        job.connection = ConnectionId::new(Uuid::from_u128(n));
        let shard = broker.shard_of(job.connection);
        if usize::from(shard) != found.len() {
            continue;
        }
        broker.enqueue(std::slice::from_ref(&job)).await.unwrap();
        let request = FetchRequest {
            worker: &Worker::named("w").id,
            shard,
            sequence: 1,
            max: 1,
        };
        let leased = broker.fetch(&request).await.unwrap().leased.remove(0);
        let subject = PermitSubject {
            application: ApplicationId::new(Uuid::from_u128(1)),
            tenant: tenant(1),
            connection: job.connection,
            epoch: FenceEpoch::NEVER_FENCED,
        };
        found.push((leased.lease, subject));
    }
    found
}

async fn shards(n: u16) -> (Fixture, Vec<(Lease, PermitSubject)>) {
    let fixture = Fixture::with(|options| {
        options.shards = n;
        options.visibility_timeout = Duration::from_secs(1 << 30);
    })
    .await;
    open(&fixture.broker, "first").await;
    let leases = one_on_each_shard(&fixture.broker).await;
    assert_eq!(leases.len(), usize::from(n));
    (fixture, leases)
}

#[tokio::test]
pub(crate) async fn each_shard_has_an_equal_part_of_an_applications_limit() {
    let (fixture, leases) = shards(3).await;
    let permits = Permits::new(&fixture.broker, Margins::default(), 1.0);
    let operation = shared(0.1, 31);
    fixture.clock.advance(HOUR);
    let mut total = 0;
    for (lease, subject) in &leases {
        while let PermitAnswer::Granted(_) =
            permits.request(lease, subject, operation).await.unwrap()
        {
            total += 1;
        }
    }
    assert_eq!(total, 30, "10 and a part of one each");
}

#[tokio::test]
pub(crate) async fn shards_whose_part_is_less_than_one_call_take_turns() {
    let (fixture, leases) = shards(4).await;
    let permits = Permits::new(&fixture.broker, Margins::default(), 1.0);
    // 1/s and a burst of two, on four shards.
    let operation = shared(1.0, 2);
    fixture.clock.advance(HOUR);
    let step = Duration::from_millis(50);
    let mut slots: Vec<Duration> = Vec::new();
    let mut now = Duration::ZERO;
    while now < Duration::from_secs(100) {
        for (lease, subject) in &leases {
            let answer = permits.request(lease, subject, operation).await.unwrap();
            if let PermitAnswer::Granted(permit) = answer {
                slots.push(now + permit.waited());
            }
        }
        fixture.clock.advance(step);
        now += step;
    }
    slots.sort();
    assert!((98..=100).contains(&slots.len()), "{}", slots.len());
    for pair in slots.windows(2) {
        let apart = pair[1] - pair[0];
        assert!(apart >= Duration::from_secs(1), "{apart:?}");
    }
}

#[tokio::test]
async fn a_refusal_of_an_applications_limit_empties_its_bucket_on_every_shard_and_no_connections() {
    let (fixture, leases) = shards(3).await;
    let broker = &fixture.broker;
    let permits = Permits::new(broker, Margins::default(), 1.0);
    let operation: &'static Operation = Box::leak(Box::new(Operation {
        plan: Some(UsagePlan::new(0.01, 8)),
        ..*shared(0.1, 31)
    }));
    let application = leases[0].1.application;
    fixture.clock.advance(HOUR);
    let refused = permits.application_throttled(application, operation, None);
    refused.await.unwrap();
    for (lease, subject) in &leases {
        let answer = permits.request(lease, subject, operation).await.unwrap();
        let PermitAnswer::WaitUntil(wait) = answer else {
            panic!("{answer:?}");
        };
        // One call in ten seconds, on three shards.
        assert!((29.0..31.0).contains(&wait.as_secs_f64()), "{wait:?}");
    }
    let plans = broker.plans(&PlanFilter::default()).await.unwrap();
    assert_eq!(plans.len(), 1, "{plans:?}");
    assert_eq!(plans[0].connection, None);
    assert_eq!(plans[0].source, PlanSource::SteppedDown);
    assert_eq!(plans[0].in_force, UsagePlan::new(0.1, 30));
    // With the application's limit out of the way each connection has all of its own.
    let plenty = UsagePlan::new(3_000.0, 3_000);
    let pinned = broker.pin_plan(application, None, operation, plenty);
    pinned.await.unwrap();
    // A bucket that was pinned is empty when it is asked first.
    for (lease, subject) in &leases {
        let answer = permits.request(lease, subject, operation).await.unwrap();
        assert!(matches!(answer, PermitAnswer::WaitUntil(_)), "{answer:?}");
    }
    fixture.clock.advance(Duration::from_secs(2));
    for (lease, subject) in &leases {
        let mut calls = 0;
        while let PermitAnswer::Granted(_) =
            permits.request(lease, subject, operation).await.unwrap()
        {
            calls += 1;
        }
        assert_eq!(calls, 8);
    }
}

#[tokio::test]
async fn a_refusal_of_an_application_without_a_published_limit_holds_all_its_sellers_for_a_moment()
{
    let (fixture, leases) = shards(2).await;
    let permits = Permits::new(&fixture.broker, Margins::default(), 1.0);
    let application = leases[0].1.application;
    fixture.clock.advance(HOUR);
    for (retry_after, expected) in [(None, 1.0), (Some(Duration::from_secs(7)), 7.0)] {
        let refused = permits.application_throttled(application, &GET_ORDER, retry_after);
        refused.await.unwrap();
        for (lease, subject) in &leases {
            let answer = permits.request(lease, subject, &GET_ORDER).await.unwrap();
            let PermitAnswer::WaitUntil(wait) = answer else {
                panic!("{answer:?}");
            };
            assert!((wait.as_secs_f64() - expected).abs() < 0.01, "{wait:?}");
        }
        fixture.clock.advance(Duration::from_secs_f64(expected));
        for (lease, subject) in &leases {
            let answer = permits.request(lease, subject, &GET_ORDER).await.unwrap();
            assert!(matches!(answer, PermitAnswer::Granted(_)), "{answer:?}");
        }
    }
}
