//! A connection is stopped and let go again.

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
    assert_eq!(jobs[0]["last_error"], "ticket 4711");
    let id = paused[0]["id"].as_str().unwrap().parse().unwrap();
    for class in [Class::Sync, Class::Token] {
        assert!(
            fleet.broker(class).await.is_paused(id).await.unwrap(),
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
