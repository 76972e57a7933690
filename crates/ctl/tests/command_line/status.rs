//! The fleet at a glance.

use std::{collections::BTreeMap, time::Duration};

use bulkhead_broker::{Fences, WaitHistogram};
use bulkhead_domain::Class;
use bulkhead_store::Migrator;

use crate::fleet::Fleet;

#[tokio::test]
async fn status_counts_what_both_stores_know() {
    let fleet = Fleet::with_a_shop().await;
    fleet.answers(&["tenant", "add", "globex"]);
    fleet.answers(&["enqueue", "sync", "--all"]);
    fleet.tick().await;
    fleet.answers(&["enqueue", "sync", "--all"]);
    let status = fleet.json(&["status"]);
    assert_eq!(status["postgres"]["reachable"], true);
    assert_eq!(
        status["postgres"]["schema_version"],
        Migrator::newest_version()
    );
    assert_eq!(status["redis"]["reachable"], true);
    assert_eq!(status["classes"][0]["class"], "sync");
    assert_eq!(status["classes"][0]["queued"], 1);
    assert_eq!(status["classes"][1]["class"], "token");
    assert!(status["classes"][0]["oldest_due_at"].is_string());
    let acme = &status["tenants"][0];
    assert_eq!(acme["name"], "acme");
    assert_eq!(acme["connections"]["active"], 1);
    assert_eq!(acme["obligations"]["sync"]["owed"], 1);
    assert_eq!(acme["obligations"]["sync"]["enqueued"], 1);
    assert_eq!(acme["queue"]["queued"], 2);
    assert!(acme["bytes"].as_u64().unwrap() > 100);
    assert_eq!(status["tenants"][1]["bytes"], 0);
    assert_eq!(status["waits"].as_array().unwrap().len(), 0);
    assert!(acme["last_night_finished_at"].is_null());
    assert_eq!(status["tenants"][1]["connections"]["active"], 0);
    assert_eq!(status["fences"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn status_warns_while_no_permit_is_granted() {
    let fleet = Fleet::start().await;
    let page = fleet.answers(&["status"]);
    assert!(
        page.contains("no boot nonce: Amazon is not called"),
        "{page}"
    );
    let fences = Fences::new(&fleet.broker(Class::Sync).await);
    fences.establish("nonce-1", None).await.unwrap();
    let page = fleet.answers(&["status"]);
    assert!(page.contains("boot nonce nonce-1"), "{page}");
}

#[tokio::test]
async fn status_shows_how_long_each_tenants_jobs_waited() {
    let fleet = Fleet::with_a_shop().await;
    let listed = fleet.json(&["tenant", "list"]);
    let acme = listed[0]["id"].as_str().unwrap();
    let mut waits = WaitHistogram::default();
    for wait in [1, 300, 300, 5_000] {
        waits.record(Duration::from_millis(wait));
    }
    let queue = fleet.broker(Class::Sync).await;
    let of_acme = BTreeMap::from([(acme.parse().unwrap(), waits)]);
    queue.add_waits(0, &of_acme).await.unwrap();
    let status = fleet.json(&["status"]);
    let waits = &status["waits"][0];
    assert_eq!(waits["tenant"], "acme");
    assert_eq!(waits["class"], "sync");
    assert_eq!(waits["started"], 4);
    assert_eq!(waits["p50_ms"], 512);
    assert_eq!(waits["p99_ms"], 8_192);
    assert_eq!(waits["max_ms"], 8_192);
    assert_eq!(waits["buckets"].as_array().unwrap().len(), 14);
    let page = fleet.answers(&["status"]);
    assert!(page.contains("512ms     8s   8s   8s   .▄"), "{page}");
}
