use bulkhead_simulator::Options;
use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::Rig;

#[tokio::test]
async fn the_log_names_operation_seller_application_status_and_page() {
    let rig = Rig::with_orders(3).await;
    let token = rig.access_token().await;
    let query = [("createdAfter", "2020-01-01T00:00:00Z")];
    rig.get(&token, "/orders/2026-01-01/orders", &query).await;
    let log = rig.look("requests").await;
    let (refresh, search) = (&log[0], &log[1]);
    assert_eq!(refresh["operation"], json!("lwa/oauth2/token"));
    assert_eq!(search["operation"], json!("orders/2026-01-01/searchOrders"));
    for (entry, sequence) in [(refresh, 1), (search, 2)] {
        assert_eq!(entry["sequence"], json!(sequence));
        assert_eq!(entry["seller_id"], json!(rig.seller_id()));
        assert_eq!(
            entry["application"],
            json!(rig.running.ready.applications[0].client_id)
        );
        assert_eq!(entry["status"], json!(200));
    }
    assert_eq!(search["page"], json!(1));
    assert!(search["arrived_us"].as_i64() > refresh["arrived_us"].as_i64());
    assert_eq!(rig.look("requests?after=1").await, json!([search]));
    assert_eq!(rig.look("requests?operation=token").await, json!([refresh]));
    assert_eq!(rig.look("requests?after=2").await, json!([]));
}

#[tokio::test]
async fn requests_that_were_dropped_from_the_log_are_an_error() {
    let rig = Rig::start(Options {
        sellers: 1,
        orders: 0,
        log_capacity: 2,
        ..Options::default()
    })
    .await;
    for _ in 0..3 {
        rig.access_token().await;
    }
    let reply = rig.control(Method::GET, "requests", &Value::Null).await;
    assert_eq!(reply.status, 410);
    assert!(
        reply.body["error"]
            .as_str()
            .unwrap()
            .contains("--log-capacity")
    );
    assert_eq!(
        rig.look("requests?after=1").await.as_array().unwrap().len(),
        2
    );
    assert_eq!(rig.look("counts").await["requests"], json!(3));
}

#[tokio::test]
async fn orders_arrive_by_themselves_at_the_scaled_pace() {
    let rig = Rig::start(Options {
        sellers: 1,
        orders: 10,
        arrivals_per_hour: 6.0,
        time_scale: 60.0,
        ..Options::default()
    })
    .await;
    rig.advance(600).await;
    let orders = rig.look(&format!("orders/{}", rig.seller_id())).await;
    assert_eq!(orders.as_array().unwrap().len(), 10 + 60);
}

#[tokio::test]
async fn the_same_seed_gives_the_same_sellers_and_orders() {
    let (one, two) = (Rig::with_orders(20).await, Rig::with_orders(20).await);
    let credentials = |rig: &Rig| {
        let ready = &rig.running.ready;
        json!([ready.applications, ready.sellers])
    };
    assert_eq!(credentials(&one), credentials(&two));
    let ids = async |rig: &Rig| {
        let orders = rig.look(&format!("orders/{}", rig.seller_id())).await;
        let mut ids: Vec<_> = orders
            .as_array()
            .unwrap()
            .iter()
            .map(|o| o["order_id"].to_string())
            .collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&one).await, ids(&two).await);
}

#[tokio::test]
async fn an_unknown_control_or_seller_is_an_error() {
    let rig = Rig::with_orders(0).await;
    for path in ["nothing", "orders/NOBODY", "requests?seller=NOBODY"] {
        let reply = rig.control(Method::GET, path, &Value::Null).await;
        assert_eq!(reply.status, 404, "{path}");
        assert!(reply.body["error"].is_string());
    }
}
