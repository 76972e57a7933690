use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::Rig;

const PARTICIPATIONS: &str = "/sellers/v1/marketplaceParticipations";
const EXPIRED: (u16, &str, &str, &str) = (
    403,
    "Unauthorized",
    "Access to requested resource is denied.",
    "The access token you provided has expired.",
);
const INVALID: (u16, &str, &str, &str) = (
    403,
    "Unauthorized",
    "Access to requested resource is denied.",
    "The access token you provided is revoked, malformed or invalid.",
);

#[tokio::test]
async fn an_access_token_lives_for_an_hour() {
    let rig = Rig::with_orders(0).await;
    let reply = rig.lwa(&rig.refresh_form()).await;
    assert_eq!(reply.body["expires_in"], json!(3_600));
    assert_eq!(reply.body["token_type"], json!("bearer"));
    assert_eq!(
        reply.body["refresh_token"],
        json!(rig.running.ready.sellers[0].refresh_token)
    );
    let token = reply.body["access_token"].as_str().unwrap();
    assert!(token.starts_with("Atza|"));
    rig.advance(3_590).await;
    assert_eq!(rig.get(token, PARTICIPATIONS, &[]).await.status, 200);
    rig.advance(11).await;
    assert_eq!(rig.get(token, PARTICIPATIONS, &[]).await.error(), EXPIRED);
    assert_eq!(
        rig.get("Atza|nonsense", PARTICIPATIONS, &[]).await.error(),
        INVALID
    );
}

#[tokio::test]
async fn no_token_and_no_such_path_are_the_same_error() {
    let rig = Rig::with_orders(0).await;
    let token = rig.access_token().await;
    let without = rig.request(Method::GET, PARTICIPATIONS, "");
    let without = rig.send(without.header("x-amz-access-token", "")).await;
    assert_eq!(without.status, 403);
    let url = format!("{}{PARTICIPATIONS}", rig.running.ready.endpoints.eu);
    let bare: Value =
        serde_json::from_str(&rig.download(&url).await.text().await.unwrap()).unwrap();
    assert_eq!(
        bare["errors"][0]["code"],
        json!("MissingAuthenticationToken")
    );
    for (method, path) in [
        (Method::GET, "/nothing/here"),
        (Method::PUT, PARTICIPATIONS),
    ] {
        let reply = rig.send(rig.request(method, path, &token)).await;
        assert_eq!(
            (reply.error().0, reply.error().1),
            (403, "MissingAuthenticationToken")
        );
        assert!(reply.headers.contains_key("x-amzn-requestid"));
    }
}

#[tokio::test]
async fn the_token_endpoint_takes_json_as_well() {
    let rig = Rig::with_orders(0).await;
    let form = rig.refresh_form();
    let body: Value = form
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    let reply = rig.lwa_json(&body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let counts = rig.look("counts").await;
    assert_eq!(
        counts["token_refreshes"]["per_seller"][rig.seller_id()],
        json!(1)
    );
}

#[tokio::test]
async fn the_token_endpoint_refuses_in_the_words_of_its_documentation() {
    let rig = Rig::with_orders(0).await;
    let mut unknown = rig.refresh_form();
    unknown[1].1 = "Atzr|unknown".into();
    let mut wrong_secret = rig.refresh_form();
    wrong_secret[3].1 = "amzn1.oa2-cs.v1.wrong".into();
    let mut strange = rig.refresh_form();
    strange[0].1 = "password".into();
    let mut both = rig.refresh_form();
    both.push(("scope", "sellingpartnerapi::notifications".into()));
    for (form, status, error) in [
        (unknown, 400, "invalid_grant"),
        (wrong_secret, 401, "invalid_client"),
        (strange, 400, "unsupported_grant_type"),
        (both, 400, "invalid_request"),
        (Vec::new(), 400, "invalid_request"),
    ] {
        let reply = rig.lwa(&form).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.body["error"]),
            (status, &json!(error))
        );
        assert!(reply.body["error_description"].is_string());
    }
}

#[tokio::test]
async fn an_authorization_code_is_good_for_one_use_within_five_minutes() {
    let rig = Rig::with_orders(0).await;
    let consent = async || {
        let body = json!({"seller_id": rig.seller_id()});
        let reply = rig.control(Method::POST, "authorize", &body).await;
        let mut form = rig.refresh_form();
        form[0].1 = "authorization_code".into();
        form[1] = (
            "code",
            reply.body["spapi_oauth_code"].as_str().unwrap().to_owned(),
        );
        form
    };
    let form = consent().await;
    let first = rig.lwa(&form).await;
    assert_eq!(
        first.body["refresh_token"],
        json!(rig.running.ready.sellers[0].refresh_token)
    );
    assert_eq!(rig.lwa(&form).await.body["error"], json!("invalid_grant"));
    let late = consent().await;
    rig.advance(301).await;
    assert_eq!(rig.lwa(&late).await.body["error"], json!("invalid_grant"));
}

#[tokio::test]
async fn a_grantless_token_has_a_scope_and_opens_no_seller() {
    let rig = Rig::with_orders(0).await;
    let mut form = rig.refresh_form();
    form[0].1 = "client_credentials".into();
    form[1] = ("scope", "sellingpartnerapi::notifications".into());
    let reply = rig.lwa(&form).await;
    assert_eq!(
        reply.body["scope"],
        json!("sellingpartnerapi::notifications")
    );
    assert!(reply.body["refresh_token"].is_null());
    let token = reply.body["access_token"].as_str().unwrap();
    assert_eq!(
        rig.get(token, PARTICIPATIONS, &[]).await.error().1,
        "Unauthorized"
    );
}

#[tokio::test]
async fn buyers_of_the_older_version_are_shown_only_to_a_restricted_data_token() {
    let rig = Rig::with_orders(5).await;
    let token = rig.access_token().await;
    let marketplaces = rig.running.ready.sellers[0].marketplace_ids.join(",");
    let query = [
        ("CreatedAfter", "2020-01-01T00:00:00Z"),
        ("MarketplaceIds", &marketplaces),
    ];
    let plain = rig.get(&token, "/orders/v0/orders", &query).await;
    let order = &plain.body["payload"]["Orders"][0];
    assert!(order["BuyerInfo"].is_null() && order["ShippingAddress"].is_null());

    let resource =
        json!({"method": "GET", "path": "/orders/v0/orders", "dataElements": ["buyerInfo"]});
    let body = json!({"restrictedResources": [resource]});
    let reply = rig
        .post(&token, "/tokens/2021-03-01/restrictedDataToken", &body)
        .await;
    assert_eq!(reply.body["expiresIn"], json!(3_600));
    let restricted = reply.body["restrictedDataToken"].as_str().unwrap();
    let shown = rig.get(restricted, "/orders/v0/orders", &query).await;
    let order = &shown.body["payload"]["Orders"][0];
    assert!(order["BuyerInfo"]["BuyerName"].is_string());
    assert!(order["ShippingAddress"].is_null(), "it was not asked for");
    assert_eq!(
        rig.get(restricted, PARTICIPATIONS, &[]).await.error().1,
        "Unauthorized"
    );

    let bad =
        json!({"restrictedResources": [{"method": "GET", "path": "/catalog/2022-04-01/items"}]});
    let reply = rig
        .post(&token, "/tokens/2021-03-01/restrictedDataToken", &bad)
        .await;
    assert_eq!(reply.error().1, "InvalidInput");
}

#[tokio::test]
async fn personal_data_of_the_newer_version_come_only_when_included() {
    let rig = Rig::with_orders(5).await;
    let token = rig.access_token().await;
    let query = [("createdAfter", "2020-01-01T00:00:00Z")];
    let plain = rig.get(&token, "/orders/2026-01-01/orders", &query).await;
    let included = [
        query[0],
        ("includedData", "BUYER"),
        ("includedData", "RECIPIENT"),
    ];
    let included = rig
        .get(&token, "/orders/2026-01-01/orders", &included)
        .await;
    let name = included.body["orders"][0]["buyer"]["buyerName"]
        .as_str()
        .unwrap();
    assert!(included.body["orders"][0]["recipient"]["deliveryAddress"]["addressLine1"].is_string());
    assert!(!plain.body.to_string().contains(name));
}

#[tokio::test]
async fn a_long_user_agent_is_refused() {
    let rig = Rig::with_orders(0).await;
    let token = rig.access_token().await;
    let with = |length: usize| {
        rig.request(Method::GET, PARTICIPATIONS, &token)
            .header("user-agent", "x".repeat(length))
    };
    assert_eq!(rig.send(with(500)).await.status, 200);
    assert_eq!(rig.send(with(501)).await.error().1, "InvalidInput");
}
