//! A report's document, from the simulated storage host.

use std::{num::NonZeroU32, time::Instant};

use bulkhead_amazon::{AmazonOptions, DocumentError, Documents};
use bulkhead_domain::operation::{DOWNLOAD_DOCUMENT, GET_ORDER};
use serde_json::json;

use crate::simulated::Amazon;

const REPORTS: &str = "reports/2021-06-30";

fn documents(rate_per_s: u32) -> Documents {
    let options = AmazonOptions {
        document_rate_per_s: NonZeroU32::new(rate_per_s).unwrap(),
        ..AmazonOptions::default()
    };
    Documents::new(&options).unwrap()
}

impl Amazon {
    async fn minutes_pass(&self, minutes: u32) {
        let passed = json!({ "ms": minutes * 60_000 });
        self.control("clock/advance", &passed).await;
    }

    /// The address of a finished report's document, good for five minutes.
    async fn document_address(&self) -> String {
        let wanted = json!({
            "reportType": "GET_FLAT_FILE_ALL_ORDERS_DATA_BY_LAST_UPDATE_GENERAL",
            "dataStartTime": "2020-01-01T00:00:00Z",
            "marketplaceIds": self.simulator.ready.sellers[0].marketplace_ids,
        });
        let created = self.raw(&format!("{REPORTS}/reports"), Some(&wanted)).await;
        self.minutes_pass(10).await;
        let id = created["reportId"].as_str().unwrap();
        let report = self.raw(&format!("{REPORTS}/reports/{id}"), None).await;
        let id = report["reportDocumentId"].as_str().unwrap();
        let document = self.raw(&format!("{REPORTS}/documents/{id}"), None).await;
        document["url"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_document_is_downloaded_as_it_is_stored_until_its_address_expires() {
    let amazon = Amazon::start(5).await;
    let documents = documents(10);
    let address = documents.address(&amazon.document_address().await).unwrap();
    let permit = amazon.fleet.permit(&DOWNLOAD_DOCUMENT).await;
    let document = documents.download(permit, &address).await.unwrap();
    assert_eq!(
        document.value[..2],
        [0x1f, 0x8b],
        "gzip, as getReportDocument says"
    );
    assert_eq!(document.meta.status, 200);
    amazon.minutes_pass(6).await;
    let permit = amazon.fleet.permit(&DOWNLOAD_DOCUMENT).await;
    let refused = documents.download(permit, &address).await.unwrap_err();
    assert!(
        matches!(refused, DocumentError::Expired { .. }),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_process_asks_a_document_host_no_oftener_than_it_may_and_only_with_the_right_permit() {
    let amazon = Amazon::start(1).await;
    let documents = documents(1);
    let address = documents.address(&amazon.document_address().await).unwrap();
    let begun = Instant::now();
    let permit = amazon.fleet.permit(&GET_ORDER).await;
    let refused = documents.download(permit, &address).await.unwrap_err();
    assert!(
        matches!(refused, DocumentError::WrongPermit { .. }),
        "{refused:?}"
    );
    // That took the first one.
    let mut downloaded = 1.0;
    for _ in 0..20 {
        let permit = amazon.fleet.permit(&DOWNLOAD_DOCUMENT).await;
        match documents.download(permit, &address).await {
            Ok(_) => downloaded += 1.0,
            Err(DocumentError::Paced { after }) => assert!(after.as_millis() <= 1_000, "{after:?}"),
            Err(other) => panic!("{other:?}"),
        }
    }
    let most = 1.0 + begun.elapsed().as_secs_f64();
    assert!(downloaded <= most, "{downloaded} of {most}");
}
