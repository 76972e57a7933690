//! What of pinned plans Redis has been told.

use bulkhead_broker::{Permits, PlanFilter, PlanKey};
use bulkhead_domain::{
    ApplicationId, Margins, UsagePlan,
    operation::{GET_ORDER, SEARCH_ORDERS},
};
use uuid::Uuid;

use crate::{
    fixture::{Fixture, connection},
    permits::{ready, subject},
};

#[tokio::test]
async fn pins_are_told_apart_from_what_was_learned() {
    let (fixture, lease) = ready().await;
    let broker = &fixture.broker;
    let permits = Permits::new(broker, Margins::default(), 1.0);
    permits
        .observed(&lease, &subject(1), &SEARCH_ORDERS, 0.002)
        .await
        .unwrap();
    assert!(broker.pinned_plans().await.unwrap().is_empty());
    let application = subject(1).application;
    // Fourteen digits of it are kept.
    let plan = UsagePlan::new(0.0056, 20).scaled(3_000.0);
    for operation in [&SEARCH_ORDERS, &GET_ORDER] {
        broker
            .pin_plan(application, Some(connection(1)), operation, plan)
            .await
            .unwrap();
    }
    broker
        .reset_plan(application, Some(connection(1)), &GET_ORDER)
        .await
        .unwrap();
    let pinned = broker.pinned_plans().await.unwrap();
    let (key, told) = pinned.into_iter().next().unwrap();
    let expected = PlanKey {
        application,
        connection: Some(connection(1)),
        operation: SEARCH_ORDERS.key(),
    };
    assert_eq!(key, expected);
    let told = told.unwrap();
    assert_eq!(told.burst, 20);
    assert!((told.rate_per_s - plan.rate_per_s).abs() < 1e-12 * plan.rate_per_s);
    assert_eq!(broker.plans(&PlanFilter::default()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_applications_pin_that_a_shard_has_not_or_has_otherwise_is_told_as_none() {
    let fixture = Fixture::with(|options| options.shards = 3).await;
    let broker = &fixture.broker;
    let application = ApplicationId::new(Uuid::from_u128(1));
    let told = async || broker.pinned_plans().await.unwrap().into_values().next();
    let plan = UsagePlan::new(0.5, 4);
    let pin = async |plan| {
        let pinned = broker.pin_plan(application, None, &GET_ORDER, plan);
        pinned.await.unwrap();
    };
    pin(plan).await;
    assert_eq!(told().await, Some(Some(plan)));
    let by_hand = |command| fixture.redis.command(command).unwrap();
    for lost in ["DEL {sync.1}:plans", "DEL {sync.2}:pins"] {
        assert_eq!(by_hand(lost), ":1");
        assert_eq!(told().await, Some(None), "{lost}");
        pin(plan).await;
        assert_eq!(told().await, Some(Some(plan)));
    }
    by_hand("COPY {sync.2}:plans before");
    pin(UsagePlan::new(0.5, 5)).await;
    by_hand("COPY before {sync.2}:plans REPLACE");
    assert_eq!(told().await, Some(None), "two plans");
    let reset = broker.reset_plan(application, None, &GET_ORDER);
    assert!(reset.await.unwrap());
    assert_eq!(told().await, None);
    assert_eq!(by_hand("EXISTS {sync.0}:pins"), ":0");
}
