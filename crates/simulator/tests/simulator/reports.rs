use std::io::Read;

use flate2::read::GzDecoder;
use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::Rig;

const REPORTS: &str = "/reports/2021-06-30/reports";
const BY_UPDATE: &str = "GET_FLAT_FILE_ALL_ORDERS_DATA_BY_LAST_UPDATE_GENERAL";

async fn create(rig: &Rig, token: &str, report_type: &str, since: &str) -> String {
    let body = json!({
        "reportType": report_type,
        "marketplaceIds": rig.running.ready.sellers[0].marketplace_ids,
        "dataStartTime": since,
    });
    let reply = rig.post(token, REPORTS, &body).await;
    assert_eq!(reply.status, 202, "{}", reply.body);
    reply.body["reportId"].as_str().unwrap().to_owned()
}

async fn state(rig: &Rig, token: &str, id: &str) -> Value {
    rig.get(token, &format!("{REPORTS}/{id}"), &[]).await.body
}

#[tokio::test]
async fn a_report_is_queued_processed_and_downloaded_within_five_minutes() {
    let rig = Rig::with_orders(60).await;
    let token = rig.access_token().await;
    let id = create(&rig, &token, BY_UPDATE, "2020-01-01T00:00:00Z").await;
    assert_eq!(
        state(&rig, &token, &id).await["processingStatus"],
        json!("IN_QUEUE")
    );
    rig.advance(20).await;
    assert_eq!(
        state(&rig, &token, &id).await["processingStatus"],
        json!("IN_PROGRESS")
    );
    rig.advance(60).await;
    let report = state(&rig, &token, &id).await;
    assert_eq!(report["processingStatus"], json!("DONE"));

    let document = report["reportDocumentId"].as_str().unwrap();
    let document = rig
        .get(
            &token,
            &format!("/reports/2021-06-30/documents/{document}"),
            &[],
        )
        .await
        .body;
    assert_eq!(document["compressionAlgorithm"], json!("GZIP"));
    let url = document["url"].as_str().unwrap();
    let response = rig.download(url).await;
    assert_eq!(
        response.headers()["content-type"],
        "text/tab-separated-values; charset=UTF-8"
    );
    let mut text = String::new();
    GzDecoder::new(response.bytes().await.unwrap().as_ref())
        .read_to_string(&mut text)
        .unwrap();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    assert!(rows.len() > 60 && rows.iter().all(|row| row.len() == rows[0].len()));
    assert_eq!(rows[0][0], "amazon-order-id");

    assert_eq!(
        rig.download(&url.replace("Signature=", "Signature=0"))
            .await
            .status(),
        403
    );
    rig.advance(301).await;
    let late = rig.download(url).await;
    assert_eq!(late.status(), 403);
    assert!(late.text().await.unwrap().contains("Request has expired"));
}

#[tokio::test]
async fn a_report_without_data_is_cancelled_by_amazon() {
    let rig = Rig::with_orders(0).await;
    let token = rig.access_token().await;
    let id = create(&rig, &token, BY_UPDATE, "2020-01-01T00:00:00Z").await;
    rig.advance(90).await;
    let report = state(&rig, &token, &id).await;
    assert_eq!(report["processingStatus"], json!("CANCELLED"));
    assert!(report["reportDocumentId"].is_null());
}

#[tokio::test]
async fn only_a_queued_report_can_be_cancelled() {
    let rig = Rig::with_orders(5).await;
    let token = rig.access_token().await;
    let id = create(&rig, &token, BY_UPDATE, "2020-01-01T00:00:00Z").await;
    let cancel = async |id: &str| {
        rig.send(rig.request(Method::DELETE, &format!("{REPORTS}/{id}"), &token))
            .await
    };
    assert_eq!(cancel(&id).await.status, 200);
    assert_eq!(
        state(&rig, &token, &id).await["processingStatus"],
        json!("CANCELLED")
    );
    let other = create(&rig, &token, BY_UPDATE, "2020-01-01T00:00:00Z").await;
    rig.advance(20).await;
    assert_eq!(cancel(&other).await.error().1, "InvalidInput");
    assert_eq!(cancel("1").await.status, 404);
}

#[tokio::test]
async fn reports_are_listed_by_type_page_by_page() {
    let rig = Rig::with_orders(5).await;
    let token = rig.access_token().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(create(&rig, &token, BY_UPDATE, "2020-01-01T00:00:00Z").await);
    }
    let mut listed = Vec::new();
    let mut query = vec![
        ("reportTypes".to_owned(), BY_UPDATE.to_owned()),
        ("pageSize".into(), "2".into()),
    ];
    loop {
        let pairs: Vec<_> = query
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let page = rig.get(&token, REPORTS, &pairs).await.body;
        listed.extend(
            page["reports"]
                .as_array()
                .unwrap()
                .iter()
                .map(|r| r["reportId"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["nextToken"].as_str() else {
            break;
        };
        query = vec![("nextToken".into(), next.into())];
    }
    made.reverse();
    assert_eq!(listed, made);
    assert_eq!(
        rig.get(&token, REPORTS, &[]).await.error().1,
        "InvalidInput"
    );
    let old = [
        ("reportTypes", BY_UPDATE),
        ("createdSince", "2020-01-01T00:00:00Z"),
    ];
    assert_eq!(
        rig.get(&token, REPORTS, &old).await.error().1,
        "InvalidInput"
    );
}

#[tokio::test]
async fn a_report_with_personal_data_needs_a_restricted_data_token() {
    let rig = Rig::with_orders(300).await;
    let token = rig.access_token().await;
    let shipping = "GET_FLAT_FILE_ORDER_REPORT_DATA_SHIPPING";
    let id = create(&rig, &token, shipping, "2020-01-01T00:00:00Z").await;
    rig.advance(90).await;
    let document = state(&rig, &token, &id).await["reportDocumentId"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/reports/2021-06-30/documents/{document}");
    assert_eq!(rig.get(&token, &path, &[]).await.error().1, "Unauthorized");
    let body = json!({"restrictedResources": [{"method": "GET", "path": path}]});
    let reply = rig
        .post(&token, "/tokens/2021-03-01/restrictedDataToken", &body)
        .await;
    let restricted = reply.body["restrictedDataToken"].as_str().unwrap();
    assert_eq!(rig.get(restricted, &path, &[]).await.status, 200);
}
