//! What logs, traces and metrics say about calls, and what they never say.

use std::{
    io,
    sync::{Arc, Mutex},
};

use bulkhead_amazon::{AmazonOptions, ApplicationCredentials, Lwa, SellerAccess, SpApi};
use bulkhead_domain::{
    Region,
    operation::{GET_ORDER, LWA_TOKEN},
};
use bulkhead_vault::{AccessToken, ClientSecret, RefreshToken};
use metrics_exporter_prometheus::PrometheusBuilder;
use tracing_subscriber::fmt::{MakeWriter, format::FmtSpan};

use crate::{
    fleet::Fleet,
    wire_server::{Reply, WireServer},
};

const ORDER: &str = r#"{"order":{"orderId":"111-1","createdTime":"2026-11-24T00:00:00Z",
    "lastUpdatedTime":"2026-11-24T00:00:00Z","salesChannel":{"channelName":"AMAZON"},"unheardOf":{"x":1},
    "buyer":{"buyerName":"Jane canary-name"},"recipient":{"deliveryAddress":{"phone":"canary-phone"}},
    "tax":{"taxRegistrations":[{"taxRegistrationNumber":"canary-tax"}],"taxInvoicing":{"invoiceStatus":"DONE"}},
    "orderItems":[{"orderItemId":"1","quantityOrdered":2,"futureField":true,
      "product":{"asin":"B0","customization":{"customizedUrl":"https://canary-url"},"serialNumbers":["canary-serial"]},
      "cancellation":{"cancellationRequest":{"requester":"BUYER","cancelReason":"canary-why"},
        "cancellationExecution":{"cancelledBy":"MERCHANT","cancelReason":"canary-because"}},
      "fulfillment":{"packing":{"giftOption":{"giftMessage":"canary-gift","giftWrapLevel":"Premium"}}}}],
    "packages":[{"carrier":"UPS","trackingNumber":"canary-track"}]}}"#;

/// Everything that is logged in this process, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Log {
    /// From now on, also what libraries say through `log`.
    fn start() -> Self {
        let log = Self::default();
        tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
            .with_span_events(FmtSpan::CLOSE)
            .with_ansi(false)
            .with_writer(log.clone())
            .init();
        log
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

#[tokio::test]
async fn a_call_is_observed_without_tokens_bodies_or_names() {
    let log = Log::start();
    let recorder = PrometheusBuilder::new().build_recorder();
    let rendered = recorder.handle();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let fleet = Fleet::start().await;

    let headers = "x-amzn-requestid: 0e5c-77\r\n";
    let orders = WireServer::start(Reply::whole("200 OK", headers, ORDER)).await;
    let denial = r#"{"error":"invalid_grant","error_description":"canary-prose"}"#;
    let login = WireServer::start(Reply::whole("400 Bad Request", "", denial)).await;
    let options = AmazonOptions {
        lwa_url: login.url(),
        na: orders.url(),
        ..AmazonOptions::default()
    };

    let token = AccessToken::new("Atza|canary-access".into());
    let seller = SellerAccess {
        region: Region::Na,
        access_token: &token,
    };
    let api = SpApi::new(&options).unwrap();
    let permit = fleet.permit(&GET_ORDER).await;
    let order = api.get_order(permit, &seller, "111-1", &[]).await.unwrap();
    let application = ApplicationCredentials {
        client_id: "client".into(),
        client_secret: ClientSecret::new("canary-secret".into()),
    };
    let lwa = Lwa::new(&options).unwrap();
    let permit = fleet.permit(&LWA_TOKEN).await;
    let refresh = RefreshToken::new("Atzr|canary-refresh".into());
    let refused = lwa.refresh(permit, &application, &refresh).await;

    let logged = log.text();
    assert!(!logged.contains("canary"), "{logged}");
    for expected in [
        "amazon.call{operation=orders/2026-01-01/getOrder status=200 request.id=\"0e5c-77\" elapsed_ms=",
        "amazon.call{operation=lwa/oauth2/token status=400 elapsed_ms=",
    ] {
        assert!(logged.contains(expected), "{expected} in {logged}");
    }
    let metrics = rendered.render();
    for expected in [
        r#"amazon_requests_total{operation="orders/2026-01-01/getOrder",status="200"} 1"#,
        r#"amazon_requests_total{operation="lwa/oauth2/token",status="400"} 1"#,
        r#"amazon_request_seconds_count{operation="orders/2026-01-01/getOrder"} 1"#,
    ] {
        assert!(metrics.contains(expected), "{expected} in {metrics}");
    }

    // What is shown of the results says as little; what is stored in clear too, and it lost nothing else.
    let shown = format!("{order:?} {refused:?} {api:?} {lwa:?} {seller:?} {application:?}");
    assert!(!shown.contains("canary"), "{shown}");
    let order = order.value;
    assert!(!order.document.to_string().contains("canary"));
    for kept in [
        "/unheardOf/x",
        "/tax/taxInvoicing/invoiceStatus",
        "/orderItems/0/futureField",
        "/orderItems/0/product/asin",
        "/orderItems/0/cancellation/cancellationExecution/cancelledBy",
        "/packages/0/carrier",
    ] {
        assert!(order.document.pointer(kept).is_some(), "{kept}");
    }
    let pii = order.pii.unwrap();
    let pii = std::str::from_utf8(pii.as_bytes()).unwrap();
    assert_eq!(pii.matches("canary").count(), 9, "{pii}");
}
