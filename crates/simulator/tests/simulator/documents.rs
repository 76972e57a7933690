use std::collections::BTreeSet;

use bulkhead_simulator::Options;
use serde_json::{Value, json};

use crate::{rig::Rig, swagger::Model};

const ALL: &str = "BUYER,RECIPIENT,PROCEEDS,EXPENSE,PROMOTION,CANCELLATION,FULFILLMENT,PACKAGES,TAX,PAYMENT,FULFILLMENT_ORDERS";
const ORDERS: &str = "/orders/2026-01-01/orders";
const SINCE: &str = "2020-01-01T00:00:00Z";
const NOTHING: Vec<String> = Vec::new();

/// Three sellers: one of each region.
async fn regions() -> (Rig, Vec<String>) {
    let rig = Rig::start(Options {
        sellers: 3,
        orders: 300,
        enforce_plans: false,
        ..Options::default()
    })
    .await;
    let mut tokens = Vec::new();
    for seller in &rig.running.ready.sellers {
        let mut form = rig.refresh_form();
        form[1].1.clone_from(&seller.refresh_token);
        tokens.push(
            rig.lwa(&form).await.body["access_token"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    (rig, tokens)
}

/// Reads all orders with all data sets; returns the statuses that were seen.
async fn check_orders(rig: &Rig, model: &Model, token: &str) -> BTreeSet<String> {
    let mut statuses = BTreeSet::new();
    let mut next: Option<String> = None;
    loop {
        let mut query = vec![("lastUpdatedAfter", SINCE), ("includedData", ALL)];
        query.extend(next.iter().map(|next| ("paginationToken", next.as_str())));
        let page = rig.get(token, ORDERS, &query).await.body;
        assert_eq!(model.faults("SearchOrdersResponse", &page), NOTHING);
        let orders = page["orders"].as_array().unwrap();
        let status = |order: &Value| {
            order["fulfillment"]["fulfillmentStatus"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        statuses.extend(orders.iter().map(status));
        let path = format!("{ORDERS}/{}", orders[0]["orderId"].as_str().unwrap());
        let one = rig.get(token, &path, &[("includedData", ALL)]).await.body;
        assert_eq!(model.faults("GetOrderResponse", &one), NOTHING);
        next = page["pagination"]["nextToken"].as_str().map(str::to_owned);
        if next.is_none() {
            return statuses;
        }
    }
}

#[tokio::test]
async fn orders_are_valid_against_the_official_model_in_every_status() {
    let Some(model) = Model::load("orders-api-model/orders_2026-01-01.json") else {
        return;
    };
    let (rig, tokens) = regions().await;
    let mut statuses = BTreeSet::new();
    for token in &tokens {
        statuses.append(&mut check_orders(&rig, &model, token).await);
    }
    rig.arrive(300).await;
    for hours in [1, 36] {
        rig.advance(hours * 3_600).await;
        statuses.append(&mut check_orders(&rig, &model, &rig.access_token().await).await);
    }
    let all = [
        "CANCELLED",
        "PARTIALLY_SHIPPED",
        "PENDING",
        "SHIPPED",
        "UNSHIPPED",
    ];
    assert_eq!(statuses, all.map(str::to_owned).into());
    let refused = rig.get(&rig.access_token().await, ORDERS, &[]).await;
    assert_eq!(model.faults("ErrorList", &refused.body), NOTHING);
}

#[tokio::test]
async fn amounts_add_up() {
    let (rig, tokens) = regions().await;
    for token in tokens {
        let query = [("lastUpdatedAfter", SINCE), ("includedData", "PROCEEDS")];
        let page = rig.get(&token, ORDERS, &query).await.body;
        for order in page["orders"].as_array().unwrap() {
            let amount = |money: &Value| -> i64 {
                money["amount"]
                    .as_str()
                    .unwrap()
                    .replace('.', "")
                    .parse()
                    .unwrap()
            };
            let signed = |part: &Value| match part["type"] == json!("DISCOUNT") {
                true => -amount(&part["subtotal"]),
                false => amount(&part["subtotal"]),
            };
            let total = amount(&order["proceeds"]["grandTotal"]);
            let parts = order["proceeds"]["breakdowns"].as_array().unwrap();
            assert_eq!(parts.iter().map(signed).sum::<i64>(), total, "{order}");
            let items = order["orderItems"].as_array().unwrap().iter();
            assert_eq!(
                items
                    .map(|item| amount(&item["proceeds"]["proceedsTotal"]))
                    .sum::<i64>(),
                total
            );
        }
    }
}

#[tokio::test]
async fn orders_of_the_older_version_are_valid_against_the_official_model() {
    let Some(model) = Model::load("orders-api-model/ordersV0.json") else {
        return;
    };
    let (rig, tokens) = regions().await;
    for (token, seller) in tokens.iter().zip(&rig.running.ready.sellers) {
        let paths = ["", "/{orderId}", "/{orderId}/orderItems"].map(|end| {
            let path = format!("/orders/v0/orders{end}");
            json!({"method": "GET", "path": path, "dataElements": ["buyerInfo", "shippingAddress"]})
        });
        let body = json!({"restrictedResources": paths});
        let restricted = rig
            .post(token, "/tokens/2021-03-01/restrictedDataToken", &body)
            .await;
        let restricted = restricted.body["restrictedDataToken"].as_str().unwrap();
        let marketplaces = seller.marketplace_ids.join(",");
        let query = [
            ("LastUpdatedAfter", SINCE),
            ("MarketplaceIds", &marketplaces),
        ];
        let page = rig.get(restricted, "/orders/v0/orders", &query).await.body;
        assert_eq!(model.faults("GetOrdersResponse", &page), NOTHING);
        for order in page["payload"]["Orders"].as_array().unwrap() {
            let path = format!(
                "/orders/v0/orders/{}",
                order["AmazonOrderId"].as_str().unwrap()
            );
            let one = rig.get(restricted, &path, &[]).await.body;
            assert_eq!(model.faults("GetOrderResponse", &one), NOTHING);
            let items = rig
                .get(restricted, &format!("{path}/orderItems"), &[])
                .await
                .body;
            assert_eq!(model.faults("GetOrderItemsResponse", &items), NOTHING);
        }
    }
}

#[tokio::test]
async fn sellers_and_restricted_tokens_are_valid_against_the_official_models() {
    let Some(sellers) = Model::load("sellers-api-model/sellers.json") else {
        return;
    };
    let Some(restricted) = Model::load("tokens-api-model/tokens_2021-03-01.json") else {
        return;
    };
    let (rig, tokens) = regions().await;
    for token in tokens {
        let reply = rig
            .get(&token, "/sellers/v1/marketplaceParticipations", &[])
            .await;
        assert_eq!(
            sellers.faults("GetMarketplaceParticipationsResponse", &reply.body),
            NOTHING
        );
        let body = json!({"restrictedResources": [{"method": "GET", "path": "/orders/v0/orders"}]});
        let reply = rig
            .post(&token, "/tokens/2021-03-01/restrictedDataToken", &body)
            .await;
        assert_eq!(
            restricted.faults("CreateRestrictedDataTokenResponse", &reply.body),
            NOTHING
        );
    }
}

#[tokio::test]
async fn reports_are_valid_against_the_official_model() {
    let Some(model) = Model::load("reports-api-model/reports_2021-06-30.json") else {
        return;
    };
    let (rig, tokens) = regions().await;
    let (token, report_type) = (
        &tokens[0],
        "GET_FLAT_FILE_ALL_ORDERS_DATA_BY_LAST_UPDATE_GENERAL",
    );
    let ids = &rig.running.ready.sellers[0].marketplace_ids;
    let body = json!({"reportType": report_type, "marketplaceIds": ids, "dataStartTime": SINCE});
    let created = rig
        .post(token, "/reports/2021-06-30/reports", &body)
        .await
        .body;
    assert_eq!(model.faults("CreateReportResponse", &created), NOTHING);
    for _ in 0..3 {
        let list = rig
            .get(
                token,
                "/reports/2021-06-30/reports",
                &[("reportTypes", report_type)],
            )
            .await
            .body;
        assert_eq!(model.faults("GetReportsResponse", &list), NOTHING);
        rig.advance(30).await;
    }
    let path = format!(
        "/reports/2021-06-30/reports/{}",
        created["reportId"].as_str().unwrap()
    );
    let report = rig.get(token, &path, &[]).await.body;
    assert_eq!(model.faults("Report", &report), NOTHING);
    let path = format!(
        "/reports/2021-06-30/documents/{}",
        report["reportDocumentId"].as_str().unwrap()
    );
    let document = rig.get(token, &path, &[]).await.body;
    assert_eq!(model.faults("ReportDocument", &document), NOTHING);
}
