//! The calls of a night, against a simulated Amazon that shares no type with this client.

use std::collections::{BTreeMap, BTreeSet};

use bulkhead_amazon::{
    AmazonOptions, ApplicationCredentials, CallError, Lwa, LwaError, Order, SellerAccess, SpApi,
    lwa::Scope,
    orders::{IncludedData, OrdersQuery, PaginationToken, Since},
    orders_v0::OrdersV0Query,
    restricted_data,
};
use bulkhead_domain::{
    Region,
    operation::{
        CREATE_RESTRICTED_DATA_TOKEN, GET_ORDER, GET_ORDER_ITEMS_V0, GET_ORDERS_V0, LWA_TOKEN,
        SEARCH_ORDERS,
    },
};
use bulkhead_simulator::{Options, Running, Simulator};
use bulkhead_vault::{AccessToken, ClientSecret, RefreshToken};
use serde_json::{Value, json};

use crate::fleet::Fleet;

/// A simulated Amazon and one of its sellers, with an access token.
pub(crate) struct Amazon {
    pub(crate) simulator: Running,
    pub(crate) fleet: Fleet,
    lwa: Lwa,
    api: SpApi,
    token: AccessToken,
}

impl Amazon {
    pub(crate) async fn start(orders: u32) -> Self {
        let fleet = Fleet::start().await;
        let simulator = Simulator::start(Options {
            sellers: 3,
            orders,
            enforce_plans: false,
            ..Options::default()
        });
        let simulator = simulator.await.unwrap();
        let options = AmazonOptions {
            lwa_url: simulator.ready.lwa_url.clone(),
            na: simulator.ready.endpoints.na.clone(),
            eu: simulator.ready.endpoints.eu.clone(),
            fe: simulator.ready.endpoints.fe.clone(),
            ..AmazonOptions::default()
        };
        let mut amazon = Self {
            simulator,
            fleet,
            lwa: Lwa::new(&options).unwrap(),
            api: SpApi::new(&options).unwrap(),
            token: AccessToken::new(String::new()),
        };
        amazon.token = amazon.refresh().await.unwrap();
        amazon
    }

    fn application(&self) -> ApplicationCredentials {
        let application = &self.simulator.ready.applications[0];
        ApplicationCredentials {
            client_id: application.client_id.clone(),
            client_secret: ClientSecret::new(application.client_secret.clone()),
        }
    }

    async fn refresh(&self) -> Result<AccessToken, LwaError> {
        let token = RefreshToken::new(self.simulator.ready.sellers[0].refresh_token.clone());
        let permit = self.fleet.permit(&LWA_TOKEN).await;
        let called = self
            .lwa
            .refresh(permit, &self.application(), &token)
            .await?;
        Ok(called.value.access_token)
    }

    fn seller<'a>(&self, access_token: &'a AccessToken) -> SellerAccess<'a> {
        let region = &self.simulator.ready.sellers[0].region;
        SellerAccess {
            region: region.parse::<Region>().unwrap(),
            access_token,
        }
    }

    fn query(&self, pagination_token: Option<PaginationToken>) -> OrdersQuery {
        OrdersQuery {
            since: Since::LastUpdated("2020-01-01T00:00:00Z".parse().unwrap()),
            before: None,
            marketplace_ids: self.simulator.ready.sellers[0].marketplace_ids.clone(),
            page_size: 40,
            pagination_token,
            included_data: IncludedData::ALL.to_vec(),
        }
    }

    async fn all_orders(&self) -> Vec<Order> {
        let (mut orders, mut next) = (Vec::new(), None);
        loop {
            let permit = self.fleet.permit(&SEARCH_ORDERS).await;
            let (seller, query) = (self.seller(&self.token), self.query(next));
            let page = self
                .api
                .search_orders(permit, &seller, &query)
                .await
                .unwrap()
                .value;
            assert!(page.last_updated_before.is_some());
            orders.extend(page.orders);
            next = page.next_token;
            if next.is_none() {
                return orders;
            }
        }
    }

    async fn all_orders_v0(&self, token: &AccessToken) -> Vec<Order> {
        let (mut orders, mut next_token) = (Vec::new(), None);
        loop {
            let query = OrdersV0Query {
                since: Since::LastUpdated("2020-01-01T00:00:00Z".parse().unwrap()),
                before: None,
                marketplace_ids: self.simulator.ready.sellers[0].marketplace_ids.clone(),
                page_size: 40,
                next_token,
            };
            let permit = self.fleet.permit(&GET_ORDERS_V0).await;
            let page = self
                .api
                .get_orders_v0(permit, &self.seller(token), &query)
                .await;
            let page = page.unwrap().value;
            for order in page.orders {
                orders.push(self.with_items(order, token).await);
            }
            next_token = page.next_token;
            if next_token.is_none() {
                return orders;
            }
        }
    }

    async fn with_items(&self, order: Order, token: &AccessToken) -> Order {
        let (mut pages, mut next) = (Vec::new(), None);
        loop {
            let permit = self.fleet.permit(&GET_ORDER_ITEMS_V0).await;
            let seller = self.seller(token);
            let page = self
                .api
                .get_order_items_v0(permit, &seller, &order.order_id, next.as_ref());
            let page = page.await.unwrap().value;
            next = page.next_token.clone();
            pages.push(page);
            if next.is_none() {
                return order.with_items_v0(pages);
            }
        }
    }

    /// What the search answers when it fails.
    async fn failure(&self, query: &OrdersQuery) -> CallError {
        let permit = self.fleet.permit(&SEARCH_ORDERS).await;
        let seller = self.seller(&self.token);
        let page = self.api.search_orders(permit, &seller, query).await;
        page.expect_err("a failure was asked for")
    }

    pub(crate) async fn control(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}/{path}", self.simulator.ready.control_url);
        let answer = reqwest::Client::new()
            .post(url)
            .json(body)
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success());
        answer.json().await.unwrap()
    }

    /// An answer of the API to a request as any client would send it: GET, or POST of this body.
    pub(crate) async fn raw(&self, path: &str, body: Option<&Value>) -> Value {
        let endpoints = &self.simulator.ready.endpoints;
        let host = match self.simulator.ready.sellers[0].region.parse().unwrap() {
            Region::Na => &endpoints.na,
            Region::Eu => &endpoints.eu,
            Region::Fe => &endpoints.fe,
        };
        let (http, url) = (reqwest::Client::new(), format!("{host}/{path}"));
        let request = match body {
            Some(body) => http.post(url).json(body),
            None => http.get(url),
        };
        let token = self.token.expose_secret();
        let answer = request.header("x-amz-access-token", token).send().await;
        answer.unwrap().json().await.unwrap()
    }

    async fn existing(&self) -> BTreeSet<String> {
        let seller = &self.simulator.ready.sellers[0].seller_id;
        let url = format!("{}/orders/{seller}", self.simulator.ready.control_url);
        let orders: Vec<Value> = reqwest::Client::new()
            .get(url)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        orders
            .iter()
            .map(|order| order["order_id"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// The strings under `value`, of five characters and more: shorter ones may occur by chance.
fn strings<'a>(value: &'a Value, into: &mut BTreeSet<&'a str>) {
    match value {
        Value::String(text) if text.len() >= 5 => {
            into.insert(text);
        }
        Value::Array(values) => values.iter().for_each(|value| strings(value, into)),
        Value::Object(fields) => fields.values().for_each(|value| strings(value, into)),
        _ => {}
    }
}

fn assert_personal_data_apart(order: &Order) {
    let pii = order
        .pii
        .as_ref()
        .expect("the simulator's buyers have names");
    let pii: Value = serde_json::from_slice(pii.as_bytes()).unwrap();
    let mut personal = BTreeSet::new();
    strings(&pii, &mut personal);
    assert!(personal.len() >= 5, "{personal:?}");
    let shown = format!("{order:?}{}", order.document);
    for text in personal {
        // The marketplace's words for kinds of addresses and wrapping are not the buyer's.
        if ![
            "Residential",
            "Commercial",
            "RESIDENTIAL",
            "COMMERCIAL",
            "Premium",
        ]
        .contains(&text)
        {
            assert!(!shown.contains(text), "{text} in {shown}");
        }
    }
}

#[tokio::test]
async fn every_order_comes_through_pages_once_with_its_personal_data_apart() {
    let amazon = Amazon::start(150).await;
    let orders = amazon.all_orders().await;
    let ids: BTreeSet<_> = orders.iter().map(|order| order.order_id.clone()).collect();
    assert_eq!(ids.len(), orders.len(), "no order twice");
    assert_eq!(ids, amazon.existing().await);
    for order in &orders {
        assert_personal_data_apart(order);
        assert!(!order.items.is_empty());
        assert!(order.fulfillment_status.is_some() && order.marketplace_id.is_some());
        assert!(order.grand_total.is_some() && order.ship_by < order.deliver_by);
        assert!(
            order
                .items
                .iter()
                .all(|item| item.asin.is_some() && item.sku.is_some())
        );
        assert_eq!(order.document["orderId"], json!(order.order_id));
        assert!(
            order.document.pointer("/orderAliases/0").is_some(),
            "raw fields survive"
        );
    }
}

#[tokio::test]
async fn v0_brings_the_same_orders_in_the_same_words() {
    let amazon = Amazon::start(45).await;
    let permit = amazon.fleet.permit(&CREATE_RESTRICTED_DATA_TOKEN).await;
    let seller = amazon.seller(&amazon.token);
    let resources = &restricted_data::ORDERS_V0;
    let restricted = amazon
        .api
        .create_restricted_data_token(permit, &seller, resources);
    let restricted = restricted.await.unwrap().value;
    assert_eq!(restricted.expires_in.as_secs(), 3_600);

    let v0 = amazon.all_orders_v0(&restricted.token).await;
    let now: BTreeMap<_, _> = amazon
        .all_orders()
        .await
        .into_iter()
        .map(|order| (order.order_id.clone(), order))
        .collect();
    assert_eq!(v0.len(), now.len());
    for order in &v0 {
        assert_personal_data_apart(order);
        let other = &now[&order.order_id];
        assert_eq!(order.fulfillment_status, other.fulfillment_status);
        assert_eq!(order.fulfilled_by, other.fulfilled_by);
        assert_eq!(order.marketplace_id, other.marketplace_id);
        assert_eq!(order.created.as_second(), other.created.as_second());
        assert_eq!(
            order.document["OrderItems"].as_array().unwrap().len(),
            order.items.len()
        );
        let ids = |order: &Order| -> Vec<_> {
            order
                .items
                .iter()
                .map(|item| (item.item_id.clone(), item.asin.clone(), item.sku.clone()))
                .collect()
        };
        assert_eq!(ids(order), ids(other));
    }
}

#[tokio::test]
async fn v0_without_a_restricted_token_brings_no_personal_data() {
    let amazon = Amazon::start(5).await;
    let orders = amazon.all_orders_v0(&amazon.token).await;
    assert_eq!(orders.len(), 5);
    assert!(orders.iter().all(|order| order.pii.is_none()));
}

#[tokio::test]
async fn one_order_comes_by_its_id_and_an_unknown_one_is_not_found() {
    let amazon = Amazon::start(3).await;
    let seller = amazon.seller(&amazon.token);
    let id = amazon.existing().await.pop_first().unwrap();
    let permit = amazon.fleet.permit(&GET_ORDER).await;
    let order = amazon
        .api
        .get_order(permit, &seller, &id, &IncludedData::ALL)
        .await
        .unwrap();
    assert_eq!(order.value.order_id, id);
    assert!(order.meta.request_id.is_some() && order.meta.rate_limit_per_s.is_some());
    let permit = amazon.fleet.permit(&GET_ORDER).await;
    let missing = amazon
        .api
        .get_order(permit, &seller, "111-0000000-0000000", &[])
        .await;
    assert!(
        matches!(missing, Err(CallError::NotFound { .. })),
        "{missing:?}"
    );
}

#[tokio::test]
async fn an_expired_access_token_is_told_from_a_withdrawn_grant() {
    let amazon = Amazon::start(1).await;
    let seller_id = &amazon.simulator.ready.sellers[0].seller_id;
    let query = amazon.query(None);
    amazon
        .control(
            "faults",
            &json!({"kind": "expire_tokens", "seller_id": seller_id}),
        )
        .await;
    let error = amazon.failure(&query).await;
    assert!(matches!(error, CallError::TokenExpired { .. }), "{error:?}");

    amazon
        .control("faults", &json!({"kind": "revoke", "seller_id": seller_id}))
        .await;
    let error = amazon.failure(&query).await;
    let rejected = matches!(
        error,
        CallError::TokenExpired { .. } | CallError::TokenRejected { .. }
    );
    assert!(rejected, "{error:?}");
    let error = amazon.refresh().await.unwrap_err();
    assert!(matches!(error, LwaError::GrantRevoked { .. }), "{error:?}");
}

#[tokio::test]
async fn faults_of_the_simulator_are_classed() {
    let amazon = Amazon::start(1).await;
    let query = amazon.query(None);
    for (kind, expected) in [
        ("throttle", "throttled"),
        ("throttle_application", "throttled over all sellers"),
        ("500", "failed for now: status 500"),
        ("503html", "failed for now: status 503"),
        ("reset", "failed for now: no complete answer"),
        ("truncate", "failed for now: no complete answer"),
    ] {
        amazon
            .control("faults", &json!({"kind": kind, "count": 1}))
            .await;
        let error = amazon.failure(&query).await.to_string();
        assert!(error.starts_with(expected), "{kind}: {error}");
    }
}

#[tokio::test]
async fn a_changed_pagination_token_is_an_invalid_request() {
    let amazon = Amazon::start(1).await;
    let query = amazon.query(Some(PaginationToken::new("nonsense".into())));
    match amazon.failure(&query).await {
        CallError::InvalidRequest { code, .. } => assert_eq!(code.as_str(), "InvalidInput"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_code_becomes_the_sellers_tokens_once() {
    let amazon = Amazon::start(1).await;
    let seller = &amazon.simulator.ready.sellers[0];
    let consent = amazon
        .control("authorize", &json!({"seller_id": seller.seller_id}))
        .await;
    let code = consent["spapi_oauth_code"].as_str().unwrap();
    let application = amazon.application();
    let permit = amazon.fleet.permit(&LWA_TOKEN).await;
    let grant = amazon
        .lwa
        .authorization_code(permit, &application, code, None)
        .await
        .unwrap()
        .value;
    assert_eq!(
        grant.refresh_token.unwrap().expose_secret(),
        seller.refresh_token
    );
    assert_eq!(grant.expires_in.as_secs(), 3_600);
    let permit = amazon.fleet.permit(&LWA_TOKEN).await;
    let again = amazon
        .lwa
        .authorization_code(permit, &application, code, None)
        .await;
    assert!(
        matches!(again, Err(LwaError::GrantRevoked { .. })),
        "{again:?}"
    );
}

#[tokio::test]
async fn an_application_gets_a_token_of_its_own_and_a_wrong_secret_gets_none() {
    let amazon = Amazon::start(1).await;
    let mut application = amazon.application();
    let permit = amazon.fleet.permit(&LWA_TOKEN).await;
    let grant = amazon
        .lwa
        .client_credentials(permit, &application, Scope::Notifications)
        .await;
    assert!(grant.unwrap().value.refresh_token.is_none());
    application.client_secret = ClientSecret::new("amzn1.oa2-cs.v1.wrong".into());
    let permit = amazon.fleet.permit(&LWA_TOKEN).await;
    let denied = amazon
        .lwa
        .client_credentials(permit, &application, Scope::Notifications)
        .await;
    assert!(
        matches!(denied, Err(LwaError::ClientRejected { .. })),
        "{denied:?}"
    );
}
