//! Answers that no client should believe.

use std::time::Duration;

use bulkhead_amazon::{
    AmazonOptions, ApplicationCredentials, CallError, Lwa, LwaError, OptionsError, RetryCause,
    SellerAccess, SpApi,
    error::Flaw,
    orders::{IncludedData, OrdersQuery, PaginationToken, SearchOrdersPage, Since},
};
use bulkhead_domain::{
    LimitScope, Region,
    operation::{GET_ORDER, LWA_TOKEN, SEARCH_ORDERS},
};
use bulkhead_vault::{AccessToken, ClientSecret, RefreshToken};

use crate::{
    fleet::Fleet,
    wire_server::{Reply, WireServer},
};

const EXPIRED: &str = r#"{"errors":[{"code":"Unauthorized","message":"Access to requested resource is denied.","details":"The access token you provided has expired."}]}"#;
const REVOKED: &str = r#"{"errors":[{"code":"Unauthorized","message":"Access to requested resource is denied.","details":"The access token you provided is revoked, malformed or invalid."}]}"#;
const DENIED: &str = r#"{"errors":[{"code":"Unauthorized","message":"Access to requested resource is denied.","details":""}]}"#;
const NO_TOKEN: &str = r#"{"errors":[{"code":"MissingAuthenticationToken","message":"Missing Authentication Token"}]}"#;
const INVALID: &str =
    r#"{"errors":[{"code":"InvalidInput","message":"canary-prose","details":""}]}"#;
const OVER_QUOTA: &str = r#"{"errors":[{"code":"QuotaExceeded","message":"You exceeded your quota for the requested resource.","details":""}]}"#;
const OVER_QUOTA_OF_ALL: &str = r#"{"errors":[{"code":"QuotaExceeded","message":"The frequency of requests was greater than what is allowed for the application."}]}"#;
const HTML: &str = "<html><body>503 Service Temporarily Unavailable</body></html>";

fn options(url: &str) -> AmazonOptions {
    AmazonOptions {
        lwa_url: format!("{url}/auth/o2/token"),
        na: url.to_owned(),
        eu: url.to_owned(),
        fe: url.to_owned(),
        request_timeout: Duration::from_secs(5),
        ..AmazonOptions::default()
    }
}

fn query() -> OrdersQuery {
    OrdersQuery {
        since: Since::LastUpdated("2026-11-23T00:00:00Z".parse().unwrap()),
        before: Some("2026-11-24T00:00:00Z".parse().unwrap()),
        marketplace_ids: vec!["ATVPDKIKX0DER".into(), "A2EUQ1WTGCTBG2".into()],
        page_size: 100,
        pagination_token: Some(PaginationToken::new("canary-page+/=".into())),
        included_data: vec![IncludedData::Buyer, IncludedData::Proceeds],
    }
}

async fn search(fleet: &Fleet, url: &str) -> Result<SearchOrdersPage, CallError> {
    let api = SpApi::new(&options(url)).unwrap();
    let token = AccessToken::new("Atza|canary-token".into());
    let seller = SellerAccess {
        region: Region::Na,
        access_token: &token,
    };
    let permit = fleet.permit(&SEARCH_ORDERS).await;
    let page = api.search_orders(permit, &seller, &query()).await;
    page.map(|called| called.value)
}

async fn refresh(fleet: &Fleet, url: &str) -> LwaError {
    let lwa = Lwa::new(&options(url)).unwrap();
    let permit = fleet.permit(&LWA_TOKEN).await;
    let answer = lwa.refresh(permit, &application(), &refresh_token()).await;
    answer.expect_err("no token")
}

fn application() -> ApplicationCredentials {
    ApplicationCredentials {
        client_id: "amzn1.application-oa2-client.1".into(),
        client_secret: ClientSecret::new("amzn1.oa2-cs.v1.canary-secret".into()),
    }
}

fn refresh_token() -> RefreshToken {
    RefreshToken::new("Atzr|canary-refresh&grant_type=x".into())
}

/// Nothing of what was sent or received is in an error, however it is shown, down to its last source.
fn assert_silent(error: &(dyn std::error::Error + 'static)) {
    let mut shown = format!("{error:?}");
    let mut next = Some(error);
    while let Some(error) = next {
        shown.push_str(&error.to_string());
        next = error.source();
    }
    for secret in ["canary", "Service Temporarily", "127.0.0.1"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

fn kind(error: &CallError) -> &'static str {
    match error {
        CallError::TokenExpired { .. } => "TokenExpired",
        CallError::TokenRejected { .. } => "TokenRejected",
        CallError::Throttled { limit, .. } => match limit {
            LimitScope::Connection => "Throttled",
            LimitScope::Application => "Throttled for all sellers",
        },
        CallError::NotAllowed { .. } => "NotAllowed",
        CallError::InvalidRequest { .. } => "InvalidRequest",
        CallError::NotFound { .. } => "NotFound",
        CallError::Retryable { .. } => "Retryable",
        CallError::Undecodable { .. } => "Undecodable",
        CallError::PermitExpired(_) => "PermitExpired",
        CallError::WrongPermit { .. } => "WrongPermit",
    }
}

#[tokio::test]
async fn every_answer_is_classed_by_the_callers_next_step() {
    let fleet = Fleet::start().await;
    let table = [
        ("403 Forbidden", EXPIRED, "TokenExpired"),
        ("403 Forbidden", REVOKED, "TokenRejected"),
        ("403 Forbidden", DENIED, "NotAllowed"),
        ("403 Forbidden", NO_TOKEN, "InvalidRequest"),
        ("403 Forbidden", HTML, "Retryable"),
        ("400 Bad Request", INVALID, "InvalidRequest"),
        ("404 Not Found", INVALID, "NotFound"),
        ("410 Gone", INVALID, "InvalidRequest"),
        ("413 Too Large", HTML, "InvalidRequest"),
        ("415 Unsupported", "", "InvalidRequest"),
        ("429 Too Many", "", "Throttled"),
        ("429 Too Many", HTML, "Throttled"),
        ("429 Too Many", OVER_QUOTA, "Throttled"),
        (
            "429 Too Many",
            OVER_QUOTA_OF_ALL,
            "Throttled for all sellers",
        ),
        ("500 Error", INVALID, "Retryable"),
        ("503 Unavailable", HTML, "Retryable"),
        ("503 Unavailable", "", "Retryable"),
        ("302 Found", "", "Retryable"),
        ("204 No Content", "", "Undecodable"),
        ("200 OK", HTML, "Undecodable"),
        ("200 OK", "", "Undecodable"),
        ("200 OK", "null", "Undecodable"),
        ("200 OK", "{}", "Undecodable"),
        ("200 OK", r#"{"orders":[{}]}"#, "Undecodable"),
        ("200 OK", r#"{"orders":[{"orderId":"canary"#, "Undecodable"),
        ("200 OK", r#"{"payload":{"orders":[]}}"#, "Undecodable"),
    ];
    for (status, body, expected) in table {
        let headers = "x-amzn-requestid: 0e5c-1\r\n";
        let server = WireServer::start(Reply::whole(status, headers, body)).await;
        let error = search(&fleet, &server.url()).await.expect_err("no page");
        assert_eq!(kind(&error), expected, "{status} {body}: {error}");
        let meta = error.meta().expect("it was answered");
        assert_eq!(meta.request_id.as_deref(), Some("0e5c-1"));
        assert_eq!(
            server.requests().len(),
            1,
            "{status}: one permit, one request"
        );
        assert_silent(&error);
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_retryable_and_not_repeated_here() {
    let fleet = Fleet::start().await;
    let page = r#"{"orders":[],"lastUpdatedBefore":"2026-11-24T00:00:00Z"}"#;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let broken = [
        Reply::Bytes(format!("{head}content-length: 5000\r\n\r\n{page}").into_bytes()),
        Reply::Bytes(
            format!("{head}transfer-encoding: chunked\r\n\r\n38\r\n{page}\r\n").into_bytes(),
        ),
        Reply::Bytes(
            format!("{head}content-encoding: gzip\r\ncontent-length: 56\r\n\r\n{page}")
                .into_bytes(),
        ),
        Reply::Bytes(b"HTTP/1.1 200 OK\r\ncontent-le".to_vec()),
        Reply::Bytes(Vec::new()),
        Reply::Reset,
    ];
    for reply in broken {
        let server = WireServer::start(reply).await;
        let error = search(&fleet, &server.url()).await.expect_err("no page");
        let transport = matches!(
            error,
            CallError::Retryable {
                cause: RetryCause::Transport(_),
                meta: None
            }
        );
        assert!(transport, "{error:?}");
        assert_eq!(server.requests().len(), 1, "one permit, one request");
        assert_silent(&error);
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_is_left_after_the_timeout() {
    let fleet = Fleet::start().await;
    let server = WireServer::start(Reply::Silence).await;
    let options = AmazonOptions {
        request_timeout: Duration::from_millis(50),
        ..options(&server.url())
    };
    let api = SpApi::new(&options).unwrap();
    let token = AccessToken::new("Atza|".into());
    let seller = SellerAccess {
        region: Region::Eu,
        access_token: &token,
    };
    let permit = fleet.permit(&GET_ORDER).await;
    let error = api.get_order(permit, &seller, "1", &[]).await.unwrap_err();
    assert_eq!(kind(&error), "Retryable");
}

#[tokio::test]
async fn a_redirect_does_not_carry_the_token_elsewhere() {
    let fleet = Fleet::start().await;
    let elsewhere = WireServer::start(Reply::whole("200 OK", "", r#"{"orders":[]}"#)).await;
    let location = format!("location: {}/\r\n", elsewhere.url());
    for status in ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"] {
        let server = WireServer::start(Reply::whole(status, &location, "")).await;
        let error = search(&fleet, &server.url()).await.expect_err("no page");
        assert_eq!(kind(&error), "Retryable", "{status}");
        assert_eq!(kind_of(&refresh(&fleet, &server.url()).await), "Retryable");
    }
    assert_eq!(elsewhere.requests(), [""; 0]);
}

#[tokio::test]
async fn a_request_says_what_amazon_asks_for_and_nothing_else() {
    let fleet = Fleet::start().await;
    let headers = "x-amzn-requestid: 77\r\nx-amzn-ratelimit-limit: 0.0056\r\n";
    let body = r#"{"orders":[],"pagination":{"nextToken":"next"}}"#;
    let server = WireServer::start(Reply::whole("200 OK", headers, body)).await;
    let api = SpApi::new(&options(&server.url())).unwrap();
    let token = AccessToken::new("Atza|token".into());
    let seller = SellerAccess {
        region: Region::Fe,
        access_token: &token,
    };
    let permit = fleet.permit(&SEARCH_ORDERS).await;
    let called = api.search_orders(permit, &seller, &query()).await.unwrap();
    assert_eq!(called.meta.rate_limit_per_s, Some(0.0056));
    assert_eq!(called.meta.request_id.as_deref(), Some("77"));
    assert_eq!(called.value.next_token.unwrap().as_str(), "next");

    let request = server.requests().remove(0);
    let (line, headers) = request.split_once("\r\n").unwrap();
    assert_eq!(
        line,
        "GET /orders/2026-01-01/orders?lastUpdatedAfter=2026-11-23T00%3A00%3A00Z\
         &lastUpdatedBefore=2026-11-24T00%3A00%3A00Z&marketplaceIds=ATVPDKIKX0DER%2CA2EUQ1WTGCTBG2\
         &maxResultsPerPage=100&includedData=BUYER%2CPROCEEDS&paginationToken=canary-page%2B%2F%3D HTTP/1.1"
    );
    let mut names: Vec<_> = headers
        .lines()
        .filter_map(|line| Some(line.split_once(": ")?.0.to_lowercase()))
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "accept",
            "accept-encoding",
            "host",
            "user-agent",
            "x-amz-access-token",
            "x-amz-date"
        ]
    );
    assert!(
        headers.contains("x-amz-access-token: Atza|token"),
        "{headers}"
    );
    let date = headers
        .split("x-amz-date: ")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap();
    assert_eq!(
        (date.len(), &date[8..9], &date[15..]),
        (16, "T", "Z"),
        "{date}"
    );
    assert!(
        headers.contains(&AmazonOptions::default_user_agent()),
        "{headers}"
    );
}

#[tokio::test]
async fn an_order_id_cannot_leave_its_place_in_the_path() {
    let fleet = Fleet::start().await;
    let server = WireServer::start(Reply::whole("404 Not Found", "", "")).await;
    let api = SpApi::new(&options(&server.url())).unwrap();
    let token = AccessToken::new("Atza|".into());
    let seller = SellerAccess {
        region: Region::Na,
        access_token: &token,
    };
    let permit = fleet.permit(&GET_ORDER).await;
    let _ = api.get_order(permit, &seller, "a/../b?c=d#e", &[]).await;
    let request = server.requests().remove(0);
    assert!(
        request.starts_with("GET /orders/2026-01-01/orders/a%2F..%2Fb%3Fc=d%23e HTTP/1.1"),
        "{request}"
    );
}

#[tokio::test]
async fn a_permit_that_expired_or_is_for_something_else_sends_nothing() {
    let fleet = Fleet::start().await;
    let server = WireServer::start(Reply::whole("200 OK", "", r#"{"orders":[]}"#)).await;
    let api = SpApi::new(&options(&server.url())).unwrap();
    let token = AccessToken::new("Atza|".into());
    let seller = SellerAccess {
        region: Region::Na,
        access_token: &token,
    };

    let permit = fleet.permit(&GET_ORDER).await;
    let error = api
        .search_orders(permit, &seller, &query())
        .await
        .unwrap_err();
    assert_eq!(kind(&error), "WrongPermit");

    let permit = fleet.permit(&SEARCH_ORDERS).await;
    while !permit.deadline().has_passed() {
        tokio::time::sleep(permit.deadline().remaining()).await;
    }
    let error = api
        .search_orders(permit, &seller, &query())
        .await
        .unwrap_err();
    assert_eq!(kind(&error), "PermitExpired");
    assert_eq!(server.requests(), [""; 0]);
}

fn kind_of(error: &LwaError) -> &'static str {
    match error {
        LwaError::GrantRevoked { .. } => "GrantRevoked",
        LwaError::ClientRejected { .. } => "ClientRejected",
        LwaError::Misconfigured { .. } => "Misconfigured",
        LwaError::Retryable { .. } => "Retryable",
        LwaError::PermitExpired(_) => "PermitExpired",
        LwaError::WrongPermit { .. } => "WrongPermit",
    }
}

#[tokio::test]
async fn every_answer_of_login_with_amazon_is_classed_by_the_callers_next_step() {
    let fleet = Fleet::start().await;
    let table = [
        (
            "400 Bad Request",
            r#"{"error":"invalid_grant","error_description":"canary"}"#,
            "GrantRevoked",
        ),
        (
            "401 Unauthorized",
            r#"{"error":"invalid_client"}"#,
            "ClientRejected",
        ),
        (
            "400 Bad Request",
            r#"{"error":"unauthorized_client"}"#,
            "Misconfigured",
        ),
        (
            "400 Bad Request",
            r#"{"error":"unsupported_grant_type"}"#,
            "Misconfigured",
        ),
        (
            "400 Bad Request",
            r#"{"error":"invalid_request"}"#,
            "Misconfigured",
        ),
        (
            "400 Bad Request",
            r#"{"error":"invalid_scope"}"#,
            "Misconfigured",
        ),
        (
            "400 Bad Request",
            r#"{"error":"canary prose"}"#,
            "Misconfigured",
        ),
        ("400 Bad Request", HTML, "Retryable"),
        ("401 Unauthorized", "", "Retryable"),
        ("429 Too Many", r#"{"error":"invalid_grant"}"#, "Retryable"),
        ("500 Error", r#"{"error":"invalid_grant"}"#, "Retryable"),
        ("503 Unavailable", HTML, "Retryable"),
        ("200 OK", HTML, "Retryable"),
        ("200 OK", "", "Retryable"),
        (
            "200 OK",
            r#"{"access_token":"","expires_in":3600}"#,
            "Retryable",
        ),
        ("200 OK", r#"{"access_token":"Atza|canary"#, "Retryable"),
    ];
    for (status, body, expected) in table {
        let server = WireServer::start(Reply::whole(status, "", body)).await;
        let error = refresh(&fleet, &server.url()).await;
        assert_eq!(kind_of(&error), expected, "{status} {body}: {error}");
        assert_eq!(
            server.requests().len(),
            1,
            "{status}: one permit, one request"
        );
        assert_silent(&error);
    }
}

#[tokio::test]
async fn a_token_in_a_form_stays_one_field() {
    let fleet = Fleet::start().await;
    let server = WireServer::start(Reply::whole("503 Unavailable", "", "")).await;
    refresh(&fleet, &server.url()).await;
    let request = server.requests().remove(0);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /auth/o2/token HTTP/1.1"), "{head}");
    assert!(head.contains("application/x-www-form-urlencoded"), "{head}");
    assert_eq!(
        body,
        "grant_type=refresh_token&refresh_token=Atzr%7Ccanary-refresh%26grant_type%3Dx\
         &client_id=amzn1.application-oa2-client.1&client_secret=amzn1.oa2-cs.v1.canary-secret"
    );
}

#[tokio::test]
async fn token_requests_beyond_the_pace_are_given_back_and_not_sent() {
    let fleet = Fleet::start().await;
    let server = WireServer::start(Reply::whole("503 Unavailable", "", "")).await;
    let options = AmazonOptions {
        lwa_rate_per_s: 1.try_into().unwrap(),
        ..options(&server.url())
    };
    let lwa = Lwa::new(&options).unwrap();
    let mut errors = Vec::new();
    for _ in 0..2 {
        let permit = fleet.permit(&LWA_TOKEN).await;
        errors.push(
            lwa.refresh(permit, &application(), &refresh_token())
                .await
                .unwrap_err(),
        );
    }
    match &errors[1] {
        LwaError::Retryable {
            cause: RetryCause::Paced,
            after: Some(after),
        } => {
            assert!(*after <= Duration::from_secs(1), "{after:?}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_body_of_unlimited_length_is_not_read_to_its_end() {
    let fleet = Fleet::start().await;
    let body = format!(r#"{{"orders":[],"x":"{}"}}"#, "x".repeat(65 << 20));
    let server = WireServer::start(Reply::whole("200 OK", "", &body)).await;
    let error = search(&fleet, &server.url()).await.expect_err("no page");
    assert!(
        matches!(
            error,
            CallError::Undecodable {
                flaw: Flaw::TooLong { .. },
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_user_agent_that_amazon_would_reject_is_refused_at_the_start() {
    let _fleet = Fleet::start().await;
    for user_agent in [String::new(), "x".repeat(501), "a\nb".to_owned()] {
        let options = AmazonOptions {
            user_agent,
            ..AmazonOptions::default()
        };
        assert!(matches!(SpApi::new(&options), Err(OptionsError::UserAgent)));
    }
}
