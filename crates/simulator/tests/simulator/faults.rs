use std::{error::Error, io, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::Rig;

const ORDERS: &str = "/orders/2026-01-01/orders";
const QUERY: &[(&str, &str)] = &[("lastUpdatedAfter", "2020-01-01T00:00:00Z")];

#[tokio::test]
async fn errors_on_request_look_like_amazons() {
    let rig = Rig::with_orders(1).await;
    let token = rig.access_token().await;
    for (kind, status, code) in [
        ("throttle", 429, "QuotaExceeded"),
        ("500", 500, "InternalFailure"),
    ] {
        rig.fault(json!({"kind": kind, "operation": "searchOrders", "count": 1}))
            .await;
        let reply = rig.get(&token, ORDERS, QUERY).await;
        assert_eq!((reply.error().0, reply.error().1), (status, code));
        assert!(reply.headers.contains_key("x-amzn-requestid"));
        assert!(!reply.headers.contains_key("x-amzn-ratelimit-limit"));
        assert_eq!(
            rig.get(&token, ORDERS, QUERY).await.status,
            200,
            "once only"
        );
    }
    rig.fault(json!({"kind": "503html", "count": 1})).await;
    let reply = rig.get(&token, ORDERS, QUERY).await;
    assert_eq!(
        (
            reply.status.as_u16(),
            reply.headers["content-type"].as_str()
        ),
        (503, "text/html")
    );
    assert!(reply.body.as_str().unwrap().starts_with("<html>"));
}

#[tokio::test]
async fn the_token_endpoint_fails_in_its_own_form() {
    let rig = Rig::with_orders(0).await;
    for (kind, status) in [("throttle", 429), ("500", 500), ("503html", 503)] {
        rig.fault(json!({"kind": kind, "operation": "lwa/oauth2/token", "count": 1}))
            .await;
        let reply = rig.lwa(&rig.refresh_form()).await;
        assert_eq!(reply.status, status);
        assert_eq!(reply.body["error"].is_string(), kind != "503html");
    }
    assert_eq!(
        rig.look("counts").await["token_refreshes"]["total"],
        json!(0)
    );
}

#[tokio::test]
async fn a_fault_waits_for_its_operation_seller_and_turn() {
    let rig = Rig::with_orders(1).await;
    let token = rig.access_token().await;
    let fault = json!({"kind": "500", "operation": "orders/2026-01-01/searchOrders",
        "seller_id": rig.seller_id(), "after": 1, "count": 2});
    rig.fault(fault).await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        assert_eq!(
            rig.get(&token, "/sellers/v1/marketplaceParticipations", &[])
                .await
                .status,
            200
        );
        statuses.push(rig.get(&token, ORDERS, QUERY).await.status.as_u16());
    }
    assert_eq!(statuses, [200, 500, 500, 200, 200]);
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    let rig = Rig::with_orders(1).await;
    let token = rig.access_token().await;
    rig.fault(json!({"kind": "reset", "count": 1})).await;
    let error = rig
        .request(Method::GET, ORDERS, &token)
        .query(QUERY)
        .send()
        .await
        .unwrap_err();
    assert_eq!(
        io_kind(&error),
        Some(io::ErrorKind::ConnectionReset),
        "{error:?}"
    );
    assert_eq!(
        rig.look(&format!("served/{}", rig.seller_id())).await,
        json!([])
    );
    assert_eq!(
        rig.look("requests?operation=searchOrders").await[0]["status"],
        json!(0)
    );
    assert_eq!(rig.get(&token, ORDERS, QUERY).await.status, 200);
}

fn io_kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    kind.or_else(|| error.source().and_then(io_kind))
}

#[tokio::test]
async fn a_truncated_answer_ends_early_and_is_not_served() {
    let rig = Rig::with_orders(40).await;
    let token = rig.access_token().await;
    rig.fault(json!({"kind": "truncate", "operation": "searchOrders", "count": 1}))
        .await;
    let response = rig
        .request(Method::GET, ORDERS, &token)
        .query(QUERY)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert!(
        response.text().await.is_err(),
        "the body ends before its length"
    );
    assert_eq!(
        rig.look(&format!("served/{}", rig.seller_id())).await,
        json!([])
    );
    let entry = &rig.look("requests?operation=searchOrders").await[0];
    assert_eq!(
        (&entry["status"], &entry["fault"]),
        (&json!(200), &json!("truncate"))
    );
}

#[tokio::test]
async fn a_timeout_never_answers_and_does_not_hold_up_the_end() {
    let rig = Rig::with_orders(1).await;
    let token = rig.access_token().await;
    rig.fault(json!({"kind": "timeout", "count": 1})).await;
    let request = rig.request(Method::GET, ORDERS, &token).query(QUERY);
    let hanging = tokio::spawn(request.send());
    while rig
        .look("requests?operation=searchOrders")
        .await
        .as_array()
        .unwrap()
        .is_empty()
    {
        tokio::task::yield_now().await;
    }
    assert!(!hanging.is_finished());
    let shutdown = rig.running.shutdown();
    tokio::time::timeout(Duration::from_secs(10), shutdown)
        .await
        .unwrap();
    assert!(hanging.await.unwrap().is_err());
}

#[tokio::test]
async fn held_requests_are_answered_when_faults_are_deleted() {
    let rig = Rig::with_orders(1).await;
    let token = rig.access_token().await;
    rig.fault(json!({"kind": "hold", "operation": "searchOrders"}))
        .await;
    let ask = || tokio::spawn(rig.request(Method::GET, ORDERS, &token).query(QUERY).send());
    let held = [ask(), ask()];
    while rig
        .look("requests?operation=searchOrders")
        .await
        .as_array()
        .unwrap()
        .len()
        < 2
    {
        tokio::task::yield_now().await;
    }
    assert!(held.iter().all(|request| !request.is_finished()));
    rig.clear_faults().await;
    for request in held {
        assert_eq!(request.await.unwrap().unwrap().status(), 200);
    }
    assert_eq!(rig.get(&token, ORDERS, QUERY).await.status, 200);
}

#[tokio::test]
async fn expired_tokens_are_refused_until_they_are_refreshed() {
    let rig = Rig::with_orders(1).await;
    let token = rig.access_token().await;
    rig.fault(json!({"kind": "expire_tokens", "seller_id": rig.seller_id()}))
        .await;
    let reply = rig.get(&token, ORDERS, QUERY).await;
    assert_eq!(
        reply.error().3,
        "The access token you provided has expired."
    );
    assert_eq!(
        rig.get(&rig.access_token().await, ORDERS, QUERY)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn tokens_can_expire_between_two_pages() {
    let rig = Rig::with_orders(1).await;
    let token = rig.access_token().await;
    rig.fault(
        json!({"kind": "expire_tokens", "operation": "searchOrders", "after": 1, "count": 1}),
    )
    .await;
    assert_eq!(rig.get(&token, ORDERS, QUERY).await.status, 200);
    assert_eq!(rig.get(&token, ORDERS, QUERY).await.status, 403);
    assert_eq!(
        rig.get(&rig.access_token().await, ORDERS, QUERY)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_revoked_authorization_gives_no_tokens_and_refuses_those_it_gave() {
    let rig = Rig::with_orders(1).await;
    let token = rig.access_token().await;
    rig.fault(json!({"kind": "revoke", "seller_id": rig.seller_id()}))
        .await;
    let refused = rig.lwa(&rig.refresh_form()).await;
    assert_eq!(
        (refused.status.as_u16(), &refused.body["error"]),
        (400, &json!("invalid_grant"))
    );
    let reply = rig.get(&token, ORDERS, QUERY).await;
    assert_eq!(
        reply.error().3,
        "The access token you provided is revoked, malformed or invalid."
    );

    let cleared = rig.control(Method::DELETE, "faults", &Value::Null).await;
    assert_eq!(cleared.body, json!({"faults": [], "revoked": []}));
    assert_eq!(rig.get(&token, ORDERS, QUERY).await.status, 200);
}

#[tokio::test]
async fn a_fault_that_makes_no_sense_is_refused_with_the_reason() {
    let rig = Rig::with_orders(0).await;
    for (fault, status, reason) in [
        (json!({"kind": "explode"}), 400, "unknown variant"),
        (
            json!({"kind": "500", "operation": "searchOrder"}),
            400,
            "no operation searchOrder",
        ),
        (
            json!({"kind": "500", "seller_id": "NOBODY"}),
            404,
            "no seller NOBODY",
        ),
        (
            json!({"kind": "500", "times": 3}),
            400,
            "unknown field `times`",
        ),
        (json!({"kind": "500", "probability": 2}), 400, "probability"),
    ] {
        let reply = rig.control(Method::POST, "faults", &fault).await;
        assert_eq!(reply.status, status);
        assert!(
            reply.body["error"].as_str().unwrap().contains(reason),
            "{}",
            reply.body
        );
    }
}
