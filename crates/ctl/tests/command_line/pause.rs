//! A connection is stopped and let go again.

use bulkhead_broker::JobFilter;
use bulkhead_domain::Class;

use crate::fleet::Fleet;

#[tokio::test]
async fn a_paused_connection_owes_nothing_and_its_lanes_are_held() {
    let fleet = Fleet::with_a_shop().await;
    fleet.answers(&["enqueue", "sync", "--connection", "shop"]);
    fleet.tick().await;
    let paused = fleet.json(&[
        "connection",
        "pause",
        "--connection",
        "shop",
        "--reason",
        "ticket 4711",
    ]);
    assert_eq!(
        (&paused[0]["state"], &paused[0]["changed"]),
        (&"paused".into(), &true.into())
    );
    let jobs = fleet.json(&["jobs", "list"]);
    assert!(
        jobs.as_array()
            .unwrap()
            .iter()
            .all(|job| job["state"] == "cancelled"),
        "{jobs}"
    );
    assert_eq!(jobs[0]["last_error"], "paused: ticket 4711");
    let id = paused[0]["id"].as_str().unwrap().parse().unwrap();
    for class in [Class::Sync, Class::Token] {
        let queue = fleet.broker(class).await;
        assert!(queue.is_paused(id).await.unwrap(), "{class}");
        assert!(
            queue
                .jobs(&JobFilter::default(), 10)
                .await
                .unwrap()
                .is_empty(),
            "{class}"
        );
    }
    let error = fleet.refuses(&["enqueue", "sync", "--connection", "shop"], 1);
    assert!(error.contains("acme/shop is paused"), "{error}");
    let again = fleet.json(&["connection", "pause", "--connection", "shop"]);
    assert_eq!(again[0]["changed"], false);
}

#[tokio::test]
async fn a_resumed_connection_owes_a_token_and_its_lanes_go_on() {
    let fleet = Fleet::with_a_shop().await;
    fleet.answers(&["connection", "pause", "--tenant", "acme"]);
    let resumed = fleet.json(&["connection", "resume", "--tenant", "acme"]);
    assert_eq!(
        (&resumed[0]["state"], &resumed[0]["changed"]),
        (&"active".into(), &true.into())
    );
    let id = resumed[0]["id"].as_str().unwrap().parse().unwrap();
    for class in [Class::Sync, Class::Token] {
        assert!(
            !fleet.broker(class).await.is_paused(id).await.unwrap(),
            "{class}"
        );
    }
    let owed = fleet.json(&["jobs", "list", "--state", "owed"]);
    assert_eq!(owed[0]["kind"], "token_refresh");
    assert_eq!(
        fleet.json(&["connection", "resume", "--tenant", "acme"])[0]["changed"],
        false
    );
}

#[tokio::test]
async fn a_connection_that_waits_for_its_seller_is_neither_paused_nor_resumed_but_authorized_again()
{
    let fleet = Fleet::with_a_shop().await;
    fleet.sql("update bulkhead.connections set state = 'reauthorize'");
    for command in ["pause", "resume"] {
        let page = fleet.answers(&["connection", command, "--connection", "shop"]);
        assert!(page.contains("acme/shop stays reauthorize"), "{page}");
        assert!(page.contains("`bulkhead connection reauthorize`"), "{page}");
    }
    let ran = fleet.run_with(&["connection", "reauthorize", "shop", "--json"], "Atzr|two");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let connections = fleet.json(&["connection", "list", "--state", "active"]);
    let id = connections[0]["id"].as_str().unwrap().parse().unwrap();
    for class in [Class::Sync, Class::Token] {
        assert!(
            !fleet.broker(class).await.is_paused(id).await.unwrap(),
            "{class}"
        );
    }
}

#[tokio::test]
async fn a_paused_connection_is_not_authorized_again_by_accident() {
    let fleet = Fleet::with_a_shop().await;
    fleet.answers(&["connection", "pause", "--connection", "shop"]);
    let ran = fleet.run_with(&["connection", "reauthorize", "shop"], "Atzr|two");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("resume it first"), "{ran:?}");
}
