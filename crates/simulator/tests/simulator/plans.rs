use bulkhead_simulator::Options;
use serde_json::json;

use crate::rig::Rig;

const SEARCH: (&str, &[(&str, &str)]) = (
    "/orders/2026-01-01/orders",
    &[
        ("lastUpdatedAfter", "2020-01-01T00:00:00Z"),
        ("maxResultsPerPage", "1"),
    ],
);

async fn enforcing(time_scale: f64) -> Rig {
    Rig::start(Options {
        sellers: 2,
        orders: 3,
        time_scale,
        ..Options::default()
    })
    .await
}

#[tokio::test]
async fn after_the_burst_requests_are_throttled_until_the_bucket_refills() {
    let rig = enforcing(1.0).await;
    let token = rig.access_token().await;
    let (path, query) = SEARCH;
    for _ in 0..20 {
        let reply = rig.get(&token, path, query).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.headers["x-amzn-ratelimit-limit"], "0.0056");
    }
    let throttled = rig.get(&token, path, query).await;
    let (status, code, message, _) = throttled.error();
    assert_eq!((status, code), (429, "QuotaExceeded"));
    assert_eq!(
        message,
        "You exceeded your quota for the requested resource."
    );
    assert!(!throttled.headers.contains_key("x-amzn-ratelimit-limit"));
    assert!(!throttled.headers.contains_key("retry-after"));
    assert!(throttled.headers.contains_key("x-amzn-requestid"));

    rig.advance(170).await;
    assert_eq!(rig.get(&token, path, query).await.status, 429);
    rig.advance(10).await;
    assert_eq!(rig.get(&token, path, query).await.status, 200);
    assert_eq!(rig.get(&token, path, query).await.status, 429);
    let counts = rig.look("counts").await;
    assert_eq!(
        (&counts["throttled"], &counts["over_plan"]),
        (&json!(3), &json!(3))
    );
}

#[tokio::test]
async fn sellers_and_operations_have_their_own_buckets() {
    let rig = enforcing(1.0).await;
    let token = rig.access_token().await;
    let (path, query) = SEARCH;
    for _ in 0..21 {
        rig.get(&token, path, query).await;
    }
    assert_eq!(
        rig.get(&token, "/sellers/v1/marketplaceParticipations", &[])
            .await
            .status,
        200
    );
    let mut form = rig.refresh_form();
    form[1]
        .1
        .clone_from(&rig.running.ready.sellers[1].refresh_token);
    let other = rig.lwa(&form).await.body["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(rig.get(&other, path, query).await.status, 200);
}

#[tokio::test]
async fn rates_lifetimes_and_the_two_minutes_shrink_with_the_time_scale() {
    let rig = enforcing(1_000.0).await;
    let reply = rig.lwa(&rig.refresh_form()).await;
    assert_eq!(reply.body["expires_in"], json!(3));
    let token = reply.body["access_token"].as_str().unwrap();
    let (path, query) = SEARCH;
    assert_eq!(
        rig.get(token, path, query).await.headers["x-amzn-ratelimit-limit"],
        "5.6"
    );
    rig.advance(4).await;
    assert_eq!(rig.get(token, path, query).await.status, 403);
    rig.arrive(1).await;
    rig.advance(1).await;
    let after = rig
        .get(
            &rig.access_token().await,
            path,
            &[("createdAfter", "2020-01-01T00:00:00Z")],
        )
        .await;
    assert_eq!(after.body["orders"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn plans_can_be_switched_off() {
    let rig = Rig::with_orders(1).await;
    let token = rig.access_token().await;
    for _ in 0..60 {
        assert_eq!(rig.get(&token, SEARCH.0, SEARCH.1).await.status, 200);
    }
}

#[tokio::test]
async fn a_request_that_fails_has_used_the_plan_all_the_same() {
    let rig = enforcing(1.0).await;
    let token = rig.access_token().await;
    rig.fault(json!({"kind": "500", "operation": "searchOrders", "count": 12}))
        .await;
    let mut statuses = Vec::new();
    for _ in 0..21 {
        statuses.push(rig.get(&token, SEARCH.0, SEARCH.1).await.status.as_u16());
    }
    assert_eq!(statuses, [[500; 12].as_slice(), &[200; 8], &[429]].concat());
}
