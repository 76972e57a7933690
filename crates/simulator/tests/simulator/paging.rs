use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::{Reply, Rig};

const ORDERS: &str = "/orders/2026-01-01/orders";
const LONG_AGO: &str = "2020-01-01T00:00:00Z";

/// Follows the pages from `since`; `between` happens after each. Returns the orders and the watermark.
async fn sweep(rig: &Rig, since: &str, between: impl AsyncFn()) -> (Vec<Value>, String) {
    let mut orders = Vec::new();
    let mut pagination_token: Option<String> = None;
    loop {
        let token = rig.access_token().await;
        let mut query = vec![("lastUpdatedAfter", since), ("maxResultsPerPage", "40")];
        if let Some(next) = &pagination_token {
            query.push(("paginationToken", next));
        }
        let Reply { status, body, .. } = rig.get(&token, ORDERS, &query).await;
        assert_eq!(status, 200, "{body}");
        orders.extend(body["orders"].as_array().unwrap().iter().cloned());
        match body["pagination"]["nextToken"].as_str() {
            Some(next) => pagination_token = Some(next.to_owned()),
            None => {
                return (
                    orders,
                    body["lastUpdatedBefore"].as_str().unwrap().to_owned(),
                );
            }
        }
        between().await;
    }
}

fn newest(orders: &[Value]) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut newest = BTreeMap::new();
    for order in orders {
        let updated = newest
            .entry(text(&order["orderId"]))
            .or_insert_with(String::new);
        *updated = text(&order["lastUpdatedTime"]).max(std::mem::take(updated));
    }
    newest
}

async fn existing(rig: &Rig) -> BTreeMap<String, String> {
    let orders = rig.look(&format!("orders/{}", rig.seller_id())).await;
    let text = |order: &Value, name: &str| order[name].as_str().unwrap().to_owned();
    let orders = orders.as_array().unwrap().iter();
    orders
        .map(|order| (text(order, "order_id"), text(order, "last_updated_time")))
        .collect()
}

#[tokio::test]
async fn every_order_comes_exactly_once_over_the_pages() {
    let rig = Rig::with_orders(250).await;
    let (orders, _) = sweep(&rig, LONG_AGO, async || {}).await;
    assert_eq!(orders.len(), 250);
    assert_eq!(newest(&orders).len(), 250);
    let times: Vec<_> = orders
        .iter()
        .map(|order| order["lastUpdatedTime"].to_string())
        .collect();
    assert!(times.is_sorted());
}

#[tokio::test]
async fn orders_that_change_between_pages_come_once_and_again_after_the_watermark() {
    let rig = Rig::with_orders(250).await;
    let (first, watermark) = sweep(&rig, LONG_AGO, async || {
        rig.advance(6 * 3_600).await;
        rig.arrive(5).await;
    })
    .await;
    assert_eq!(
        first.len(),
        250,
        "the sweep shows what was there at its start"
    );
    assert_eq!(newest(&first).len(), 250);

    rig.advance(121).await;
    let (second, _) = sweep(&rig, &watermark, async || {}).await;
    assert!(second.len() > 30, "what arrived and what changed");
    assert_eq!(newest(&second).len(), second.len());
    assert_eq!(newest(&[first, second].concat()), existing(&rig).await);
}

#[tokio::test]
async fn orders_move_on_until_they_are_delivered_or_cancelled() {
    let rig = Rig::with_orders(50).await;
    rig.arrive(50).await;
    rig.advance(20 * 86_400).await;
    let orders = rig.look(&format!("orders/{}", rig.seller_id())).await;
    let ended = |order: &&Value| order["status"] == "DELIVERED" || order["status"] == "CANCELLED";
    assert_eq!(orders.as_array().unwrap().iter().filter(ended).count(), 100);
}

#[tokio::test]
async fn a_paging_token_with_other_parameters_is_refused() {
    let rig = Rig::with_orders(150).await;
    let token = rig.access_token().await;
    let first = rig
        .get(&token, ORDERS, &[("lastUpdatedAfter", LONG_AGO)])
        .await;
    let next = first.body["pagination"]["nextToken"].as_str().unwrap();
    let page = async |query: &[(&str, &str)]| {
        let query = [query, &[("paginationToken", next)]].concat();
        rig.get(&token, ORDERS, &query).await
    };
    let altered = page(&[("lastUpdatedAfter", "2020-01-02T00:00:00Z")]).await;
    assert_eq!(altered.error().1, "InvalidInput");
    assert_eq!(page(&[]).await.status, 400);
    let allowed = [
        ("lastUpdatedAfter", LONG_AGO),
        ("maxResultsPerPage", "7"),
        ("includedData", "BUYER"),
    ];
    let allowed = page(&allowed).await;
    assert_eq!(allowed.body["orders"].as_array().unwrap().len(), 7);
    assert!(allowed.body["orders"][0]["buyer"]["buyerName"].is_string());

    let forged = [
        ("lastUpdatedAfter", LONG_AGO),
        ("paginationToken", "2YgYW55IGNhcm5hbCBwbGVhc3VyZS4"),
    ];
    assert_eq!(
        rig.get(&token, ORDERS, &forged).await.error().1,
        "InvalidInput"
    );
}

#[tokio::test]
async fn a_paging_token_is_good_for_a_day() {
    let rig = Rig::with_orders(150).await;
    let token = rig.access_token().await;
    let first = rig
        .get(&token, ORDERS, &[("lastUpdatedAfter", LONG_AGO)])
        .await;
    let next = first.body["pagination"]["nextToken"].as_str().unwrap();
    let query = [("lastUpdatedAfter", LONG_AGO), ("paginationToken", next)];
    rig.advance(86_390).await;
    assert_eq!(
        rig.get(&rig.access_token().await, ORDERS, &query)
            .await
            .status,
        200
    );
    rig.advance(20).await;
    assert_eq!(
        rig.get(&rig.access_token().await, ORDERS, &query)
            .await
            .error()
            .1,
        "InvalidInput"
    );
}

#[tokio::test]
async fn a_search_that_amazon_would_not_understand_is_refused() {
    let rig = Rig::with_orders(1).await;
    let token = rig.access_token().await;
    for query in [
        vec![],
        vec![("createdAfter", LONG_AGO), ("lastUpdatedAfter", LONG_AGO)],
        vec![("createdAfter", LONG_AGO), ("lastUpdatedBefore", LONG_AGO)],
        vec![("lastUpdatedAfter", "yesterday")],
        vec![
            ("lastUpdatedAfter", LONG_AGO),
            ("lastUpdatedBefore", "2019-01-01T00:00:00Z"),
        ],
        vec![
            ("lastUpdatedAfter", LONG_AGO),
            ("lastUpdatedBefore", "2999-01-01T00:00:00Z"),
        ],
        vec![("lastUpdatedAfter", "2999-01-01T00:00:00Z")],
        vec![("lastUpdatedAfter", LONG_AGO), ("maxResultsPerPage", "0")],
        vec![("lastUpdatedAfter", LONG_AGO), ("maxResultsPerPage", "101")],
        vec![
            ("lastUpdatedAfter", LONG_AGO),
            ("includedData", "BUYER,EVERYTHING"),
        ],
        vec![
            ("lastUpdatedAfter", LONG_AGO),
            ("fulfillmentStatuses", "LOST"),
        ],
        vec![
            ("lastUpdatedAfter", LONG_AGO),
            ("marketplaceIds", "NOWHERE"),
        ],
    ] {
        let reply = rig.get(&token, ORDERS, &query).await;
        let (status, code, ..) = reply.error();
        assert_eq!((status, code), (400, "InvalidInput"), "{query:?}");
        assert!(reply.headers.contains_key("x-amzn-ratelimit-limit"));
        assert!(reply.headers.contains_key("x-amzn-requestid"));
    }
}

#[tokio::test]
async fn a_filter_by_status_and_time_selects_exactly_those_orders() {
    let rig = Rig::with_orders(300).await;
    let token = rig.access_token().await;
    let query = [
        ("lastUpdatedAfter", LONG_AGO),
        ("fulfillmentStatuses", "UNSHIPPED,CANCELLED"),
        ("includedData", "FULFILLMENT"),
    ];
    let some = rig.get(&token, ORDERS, &query).await;
    let orders = some.body["orders"].as_array().unwrap();
    assert!(!orders.is_empty() && orders.len() < 100, "{}", orders.len());
    let status = |order: &Value| {
        order["fulfillment"]["fulfillmentStatus"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert!(
        orders
            .iter()
            .all(|order| ["UNSHIPPED", "CANCELLED"].contains(&status(order).as_str()))
    );

    let middle = orders[orders.len() / 2]["lastUpdatedTime"]
        .as_str()
        .unwrap();
    let until = [("lastUpdatedAfter", middle), ("lastUpdatedBefore", middle)];
    let one = rig.get(&token, ORDERS, &until).await;
    assert_eq!(
        one.body["orders"].as_array().unwrap().len(),
        1,
        "both ends are inclusive"
    );
}

#[tokio::test]
async fn the_older_version_pages_by_next_token_alone_and_gives_items_apart() {
    let rig = Rig::with_orders(130).await;
    let token = rig.access_token().await;
    let marketplaces = rig.running.ready.sellers[0].marketplace_ids.join(",");
    let first = [
        ("LastUpdatedAfter", LONG_AGO),
        ("MarketplaceIds", &marketplaces),
    ];
    let first = rig.get(&token, "/orders/v0/orders", &first).await;
    let next = first.body["payload"]["NextToken"].as_str().unwrap();
    let last = rig
        .get(&token, "/orders/v0/orders", &[("NextToken", next)])
        .await;
    let orders = |reply: &Reply| reply.body["payload"]["Orders"].as_array().unwrap().clone();
    assert_eq!((orders(&first).len(), orders(&last).len()), (100, 30));
    assert!(last.body["payload"]["NextToken"].is_null());
    assert!(last.body["payload"]["LastUpdatedBefore"].is_string());

    let order_id = orders(&last)[0]["AmazonOrderId"]
        .as_str()
        .unwrap()
        .to_owned();
    let items = rig
        .get(
            &token,
            &format!("/orders/v0/orders/{order_id}/orderItems"),
            &[],
        )
        .await;
    assert!(
        !items.body["payload"]["OrderItems"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    let one = rig.get(&token, &format!("{ORDERS}/{order_id}"), &[]).await;
    assert_eq!(one.body["order"]["orderId"], json!(order_id));
    let none = rig
        .get(&token, &format!("{ORDERS}/111-0000000-9999999"), &[])
        .await;
    assert_eq!((none.error().0, none.error().1), (404, "NotFound"));
}

#[tokio::test]
async fn served_is_what_complete_answers_contained() {
    let rig = Rig::with_orders(30).await;
    let path = format!("served/{}", rig.seller_id());
    assert_eq!(rig.look(&path).await, json!([]));
    let (orders, _) = sweep(&rig, LONG_AGO, async || {}).await;
    let served = rig.look(&path).await;
    assert_eq!(served.as_array().unwrap().len(), 30);
    let of = |order: &Value| {
        let items = order["orderItems"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| &item["orderItemId"]);
        json!({
            "order_id": order["orderId"],
            "last_updated_time": order["lastUpdatedTime"],
            "items": items.collect::<Vec<_>>(),
        })
    };
    assert!(
        orders
            .iter()
            .all(|order| served.as_array().unwrap().contains(&of(order)))
    );
    assert_eq!(rig.look("counts").await["orders"], json!(30));
    let unknown = rig
        .control(Method::GET, "served/NOBODY", &Value::Null)
        .await;
    assert_eq!(unknown.status, 404);
}
