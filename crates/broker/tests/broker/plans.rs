//! What a bucket's plan learns from Amazon's answers, and what an operator says instead.

use std::time::Duration;

use bulkhead_broker::{PermitAnswer, Permits, PlanError, PlanFilter, PlanSource};
use bulkhead_domain::{
    ApplicationId, Gcra, Margins, Operation, UsagePlan,
    operation::{GET_ORDER, LWA_TOKEN, SEARCH_ORDERS},
};
use proptest::prelude::*;
use uuid::Uuid;

use crate::{
    fixture::{Fixture, connection, open},
    permits::{granted, ready, subject},
    random::runner,
};

const HOUR: Duration = Duration::from_secs(3_600);

/// How long until the next call, which is not to be had at once.
async fn wait(
    permits: &Permits,
    lease: &bulkhead_broker::Lease,
    operation: &'static Operation,
) -> f64 {
    let answer = permits
        .request(lease, &subject(1), operation)
        .await
        .unwrap();
    match answer {
        PermitAnswer::WaitUntil(wait) => wait.as_secs_f64(),
        other => panic!("{other:?}"),
    }
}

async fn only_plan(fixture: &Fixture) -> bulkhead_broker::PlanEntry {
    let mut plans = fixture.broker.plans(&PlanFilter::default()).await.unwrap();
    assert_eq!(plans.len(), 1, "{plans:?}");
    plans.remove(0)
}

#[tokio::test]
pub(crate) async fn a_lower_rate_in_the_header_holds_at_once_and_the_bucket_lacks_as_many_calls_as_before()
 {
    let (fixture, lease) = ready().await;
    let permits = Permits::new(&fixture.broker, Margins::default(), 1.0);
    fixture.clock.advance(HOUR);
    assert_eq!(granted(&permits, &lease, &GET_ORDER).await, 30);
    permits
        .observed(&lease, &subject(1), &GET_ORDER, 0.25)
        .await
        .unwrap();
    // 0.5/s → 0.25/s: without the change of the bucket half of it would count as filled.
    let next = wait(&permits, &lease, &GET_ORDER).await;
    assert!((3.9..4.4).contains(&next), "{next}");
    fixture.clock.advance(Duration::from_secs(60));
    assert_eq!(granted(&permits, &lease, &GET_ORDER).await, 15);
    let plan = only_plan(&fixture).await;
    assert_eq!(plan.in_force, UsagePlan::new(0.25, 30));
    assert_eq!(plan.source, PlanSource::Header);
    assert_eq!(plan.connection, Some(connection(1)));
    assert_eq!(plan.operation, GET_ORDER.key());
    assert!(plan.why.contains("0.25/s"), "{}", plan.why);
    assert_eq!(plan.throttled_at, None);
    // Back to what is published: nothing is left to remember.
    for _ in 0..3 {
        fixture.clock.advance(Duration::from_secs(1));
        permits
            .observed(&lease, &subject(1), &GET_ORDER, 0.5)
            .await
            .unwrap();
    }
    let plans = fixture.broker.plans(&PlanFilter::default()).await.unwrap();
    assert_eq!(plans, []);
}

#[tokio::test]
pub(crate) async fn a_higher_rate_holds_after_three_sightings_in_a_row_and_then_the_least_of_them()
{
    let (fixture, lease) = ready().await;
    let permits = Permits::new(&fixture.broker, Margins::default(), 1.0);
    let second = Duration::from_secs(1);
    let see = async |rate| {
        permits
            .observed(&lease, &subject(1), &GET_ORDER, rate)
            .await
            .unwrap();
    };
    let rate_now = async || only_plan(&fixture).await.in_force.rate_per_s;
    // Answers of one moment are one sighting.
    for _ in 0..5 {
        see(2.0).await;
    }
    fixture.clock.advance(second);
    see(1.0).await;
    assert!((rate_now().await - 0.5).abs() < 1e-9);
    assert!(only_plan(&fixture).await.why.contains("2 of 3"));
    // One that is not higher: from the beginning.
    see(0.5).await;
    for _ in 0..2 {
        fixture.clock.advance(second);
        see(2.0).await;
    }
    assert!((rate_now().await - 0.5).abs() < 1e-9);
    fixture.clock.advance(second);
    see(1.5).await;
    assert!((rate_now().await - 1.5).abs() < 1e-9);
    fixture.clock.advance(HOUR);
    assert_eq!(granted(&permits, &lease, &GET_ORDER).await, 30);
    assert!(wait(&permits, &lease, &GET_ORDER).await < 0.75);
}

#[tokio::test]
pub(crate) async fn two_refusals_shortly_after_one_another_take_a_tenth_of_the_rate_and_it_comes_back()
 {
    let (fixture, lease) = ready().await;
    let permits = Permits::new(&fixture.broker, Margins::default(), 1.0);
    let refuse = async || {
        permits
            .throttled(&lease, &subject(1), &GET_ORDER, None)
            .await
            .unwrap();
    };
    let next = async || wait(&permits, &lease, &GET_ORDER).await;
    fixture.clock.advance(HOUR);
    refuse().await;
    assert!((next().await - 2.0).abs() < 0.01, "an empty bucket");
    fixture.clock.advance(Duration::from_secs(20));
    refuse().await;
    assert!((next().await - 2.0 / 0.9).abs() < 0.01);
    let plan = only_plan(&fixture).await;
    assert_eq!(plan.source, PlanSource::SteppedDown);
    assert!((plan.in_force.rate_per_s - 0.45).abs() < 1e-6, "{plan:?}");
    assert_eq!(plan.in_force.burst, 28);
    assert!(plan.throttled_at.is_some());
    // 5 % after five minutes, all of it after ten; by then the burst is back as well.
    fixture.clock.advance(Duration::from_secs(5 * 60));
    let plan = only_plan(&fixture).await;
    assert!((plan.in_force.rate_per_s - 0.475).abs() < 1e-6, "{plan:?}");
    fixture.clock.advance(Duration::from_secs(5 * 60));
    let plan = only_plan(&fixture).await;
    assert_eq!(plan.in_force, UsagePlan::new(0.5, 30));
    assert_eq!(plan.source, PlanSource::Published);
    // A refusal much later is a first one again.
    refuse().await;
    assert!((next().await - 2.0).abs() < 0.01);
}

#[tokio::test]
pub(crate) async fn refusals_that_never_pause_for_a_second_step_down_once_a_second() {
    let (fixture, lease) = ready().await;
    let permits = Permits::new(&fixture.broker, Margins::default(), 1.0);
    fixture.clock.advance(HOUR);
    for _ in 0..17 {
        permits
            .throttled(&lease, &subject(1), &GET_ORDER, None)
            .await
            .unwrap();
        fixture.clock.advance(Duration::from_millis(300));
    }
    // The first leaves the rate; then after 1.2, 2.4, 3.6 and 4.8 s. A little of it has come back.
    let plan = only_plan(&fixture).await;
    let expected = 0.5 * 0.9_f64.powi(4);
    assert!(
        (plan.in_force.rate_per_s - expected).abs() < 1e-3,
        "{plan:?}"
    );
}

#[tokio::test]
pub(crate) async fn a_pinned_plan_wins_over_header_and_refusal_until_it_is_reset() {
    let (fixture, lease) = ready().await;
    let permits = Permits::new(&fixture.broker, Margins::default(), 1.0);
    let application = subject(1).application;
    let broker = &fixture.broker;
    fixture.clock.advance(HOUR);
    broker
        .pin_plan(
            application,
            Some(connection(1)),
            &GET_ORDER,
            UsagePlan::new(0.1, 5),
        )
        .await
        .unwrap();
    let next = wait(&permits, &lease, &GET_ORDER).await;
    assert!((10.0..10.3).contains(&next), "it begins empty: {next}");
    permits
        .observed(&lease, &subject(1), &GET_ORDER, 0.01)
        .await
        .unwrap();
    permits
        .throttled(&lease, &subject(1), &GET_ORDER, None)
        .await
        .unwrap();
    let plan = only_plan(&fixture).await;
    assert_eq!(plan.in_force, UsagePlan::new(0.1, 5));
    assert_eq!(plan.source, PlanSource::Pinned);
    fixture.clock.advance(HOUR);
    assert_eq!(granted(&permits, &lease, &GET_ORDER).await, 5);

    let reset = async || {
        broker
            .reset_plan(application, Some(connection(1)), &GET_ORDER)
            .await
            .unwrap()
    };
    assert!(reset().await);
    assert!(!reset().await, "nothing is left to forget");
    let next = wait(&permits, &lease, &GET_ORDER).await;
    assert!((2.0..2.3).contains(&next), "it begins empty: {next}");
    for bad in [
        UsagePlan::new(0.0, 1),
        UsagePlan::new(f64::NAN, 1),
        UsagePlan::new(1.0, 0),
    ] {
        let refused = broker
            .pin_plan(application, None, &GET_ORDER, bad)
            .await
            .unwrap_err();
        assert!(matches!(refused, PlanError::Invalid(_)));
    }
}

#[tokio::test]
pub(crate) async fn a_learned_plan_outlives_the_bucket_and_a_new_nonce() {
    let (fixture, lease) = ready().await;
    let permits = Permits::new(&fixture.broker, Margins::default(), 1.0);
    permits
        .observed(&lease, &subject(1), &SEARCH_ORDERS, 0.002)
        .await
        .unwrap();
    fixture.clock.advance(10 * HOUR);
    open(&fixture.broker, "second").await;
    let next = wait(&permits, &lease, &SEARCH_ORDERS).await;
    assert!((500.0..500.5).contains(&next), "{next}");
    let filter = PlanFilter {
        operation: Some(SEARCH_ORDERS.key()),
        ..PlanFilter::default()
    };
    assert_eq!(fixture.broker.plans(&filter).await.unwrap().len(), 1);
    let other = PlanFilter {
        application: Some(ApplicationId::new(Uuid::from_u128(9))),
        ..filter
    };
    assert_eq!(fixture.broker.plans(&other).await.unwrap(), []);
}

#[tokio::test]
pub(crate) async fn where_no_plan_is_published_a_refusal_is_obeyed_and_a_reported_rate_is_taken() {
    let (fixture, lease) = ready().await;
    let permits = Permits::new(&fixture.broker, Margins::default(), 1.0);
    assert!(matches!(
        permits
            .request(&lease, &subject(1), &LWA_TOKEN)
            .await
            .unwrap(),
        PermitAnswer::Granted(_)
    ));
    permits
        .throttled(
            &lease,
            &subject(1),
            &LWA_TOKEN,
            Some(Duration::from_secs(30)),
        )
        .await
        .unwrap();
    assert!((wait(&permits, &lease, &LWA_TOKEN).await - 30.0).abs() < 0.01);
    fixture.clock.advance(Duration::from_secs(30));
    assert!(matches!(
        permits
            .request(&lease, &subject(1), &LWA_TOKEN)
            .await
            .unwrap(),
        PermitAnswer::Granted(_)
    ));
    permits
        .observed(&lease, &subject(1), &LWA_TOKEN, 0.1)
        .await
        .unwrap();
    let next = wait(&permits, &lease, &LWA_TOKEN).await;
    assert!((10.0..10.3).contains(&next), "{next}");
}

#[test]
fn the_scripts_schedule_is_that_of_the_domain() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (fixture, lease) = runtime.block_on(ready());
    let cases = (0.001..50.0_f64, 1..40_u32, 0..300_u64, 0..50_u64);
    runner(60)
        .run(&cases, |(rate, burst, jitter_ms, tick_ms)| {
            let plan = UsagePlan::new(rate, burst);
            let margins = Margins {
                jitter: Duration::from_millis(jitter_ms),
                server_tick: Duration::from_millis(tick_ms),
                drift: 2e-4,
            };
            let expected = Gcra::for_plan(plan, margins);
            let interval = expected.emission_interval.as_secs_f64();
            let permits = Permits::new(&fixture.broker, margins, 1.0);
            let calls = runtime.block_on(async {
                let application = subject(1).application;
                fixture
                    .broker
                    .pin_plan(application, Some(connection(1)), &GET_ORDER, plan)
                    .await
                    .unwrap();
                // To the moment at which an empty bucket has its first call, the horizon earlier.
                let first = permits
                    .request(&lease, &subject(1), &GET_ORDER)
                    .await
                    .unwrap();
                if let PermitAnswer::WaitUntil(first) = first {
                    let ahead = first.as_secs_f64() - interval;
                    prop_assert!((0.0..0.251).contains(&ahead), "{ahead}");
                }
                fixture.clock.advance(Duration::from_secs(200_000));
                Ok(granted(&permits, &lease, &GET_ORDER).await as f64)
            })?;
            // Those of the burst, and those whose slots lie within the horizon behind it.
            let most = expected.tolerance.as_secs_f64() / interval + 1.0;
            let reach = 0.25 / interval;
            prop_assert!(calls <= most + reach + 1e-3, "{calls} of {most} + {reach}");
            prop_assert!(
                calls > most + reach - 1.0 - 1e-3,
                "{calls} of {most} + {reach}"
            );
            Ok(())
        })
        .unwrap();
}
