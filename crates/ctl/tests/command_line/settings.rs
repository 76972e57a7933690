//! Holds, weights and caps: Postgres and the audit log first, then Redis.

use std::collections::BTreeMap;

use bulkhead_broker::{Broker, CapScope, FetchRequest, JobState};
use bulkhead_domain::{Class, ConnectionId, TenantId, WorkerId};
use serde_json::json;

use crate::fleet::Fleet;

/// A shop whose sync and token refresh are queued.
async fn with_jobs() -> Fleet {
    let fleet = Fleet::with_a_shop().await;
    fleet.answers(&["enqueue", "sync", "--connection", "shop"]);
    assert_eq!(fleet.tick().await.len(), 2);
    fleet
}

fn tenant(fleet: &Fleet) -> TenantId {
    let id = fleet.json(&["tenant", "list"])[0]["id"].clone();
    id.as_str().unwrap().parse().unwrap()
}

fn connection(fleet: &Fleet) -> ConnectionId {
    let id = fleet.json(&["connection", "list"])[0]["id"].clone();
    id.as_str().unwrap().parse().unwrap()
}

/// How many jobs a worker of the class is given, over all shards.
async fn given(queue: &Broker) -> usize {
    let worker = WorkerId::new("test/1".to_owned());
    let mut given = 0;
    for shard in 0..queue.shards() {
        let request = FetchRequest {
            worker: &worker,
            shard,
            sequence: 1,
            max: 100,
        };
        given += queue.fetch(&request).await.unwrap().leased.len();
    }
    given
}

#[tokio::test]
async fn a_paused_tenant_keeps_its_jobs_queued_and_nobody_is_given_them() {
    let fleet = with_jobs().await;
    let page = fleet.answers(&["tenant", "pause", "acme", "--reason", "ticket 4711"]);
    assert_eq!(
        page,
        "acme is now held in sync, token: what is queued stays, what runs goes on\n"
    );
    let again = fleet.json(&["tenant", "pause", "acme", "--class", "sync"]);
    assert_eq!(again["changed"], json!([]));
    assert_eq!(again["in_redis"], true);
    for class in [Class::Sync, Class::Token] {
        assert_eq!(given(&fleet.broker(class).await).await, 0, "{class}");
    }
    // Nothing is withdrawn, as a connection's pause would.
    for job in fleet.json(&["jobs", "list"]).as_array().unwrap() {
        assert_eq!(job["state"], "enqueued");
        assert_eq!(job["queue"]["state"], "paused");
    }
    let status = fleet.json(&["status"]);
    let hold = &status["settings"]["holds"][0];
    assert_eq!(
        (
            &hold["class"],
            &hold["tenant"],
            &hold["reason"],
            &hold["in_redis"]
        ),
        (
            &"sync".into(),
            &"acme".into(),
            &"ticket 4711".into(),
            &true.into()
        )
    );
    assert_eq!(
        status["classes"][0]["held_tenants"],
        json!([tenant(&fleet)])
    );
    let page = fleet.answers(&["status"]);
    assert!(page.contains(": ticket 4711"), "{page}");
    let page = fleet.answers(&["tenant", "resume", "acme"]);
    assert_eq!(page, "acme goes on in sync, token\n");
    let again = fleet.answers(&["tenant", "resume", "acme"]);
    assert_eq!(again, "acme was not held in sync, token\n");
    for class in [Class::Sync, Class::Token] {
        assert_eq!(given(&fleet.broker(class).await).await, 1, "{class}");
    }
    let paused = fleet.audited("tenant.pause");
    assert_eq!(paused.len(), 1, "{paused:?}");
    assert_eq!(paused[0]["actor"], "alice");
    assert_eq!(paused[0]["resource"], format!("tenant/{}", tenant(&fleet)));
    let details = json!({ "classes": ["sync", "token"], "reason": "ticket 4711" });
    assert_eq!(paused[0]["details"], details);
    assert_eq!(fleet.audited("tenant.resume").len(), 1);
}

#[tokio::test]
async fn a_paused_class_is_given_nothing_and_the_others_go_on() {
    let fleet = with_jobs().await;
    let page = fleet.answers(&["class", "pause", "sync", "--reason", "maintenance"]);
    assert_eq!(
        page,
        "class sync is now held: nothing new is taken, what runs goes on\n"
    );
    let sync = fleet.broker(Class::Sync).await;
    assert_eq!(given(&sync).await, 0);
    assert_eq!(given(&fleet.broker(Class::Token).await).await, 1);
    let page = fleet.answers(&["status"]);
    assert!(page.contains("every tenant"), "{page}");
    assert!(page.contains(": maintenance"), "{page}");
    assert_eq!(fleet.json(&["status"])["classes"][0]["held"], true);
    // A tenant that is let go does not let the class go.
    fleet.answers(&["tenant", "resume", "acme"]);
    assert!(sync.stats().await.unwrap().paused);
    let page = fleet.answers(&["class", "resume", "sync"]);
    assert_eq!(page, "class sync goes on\n");
    assert!(!sync.stats().await.unwrap().paused);
    assert_eq!(fleet.audited("class.pause")[0]["resource"], "class/sync");
    assert_eq!(fleet.audited("class.resume").len(), 1);
}

#[tokio::test]
async fn a_job_of_a_held_tenant_is_shown_as_paused_and_can_be_cancelled() {
    let fleet = with_jobs().await;
    fleet.answers(&["tenant", "pause", "acme"]);
    let jobs = fleet.json(&["jobs", "list", "--kind", "sync"]);
    let id = jobs[0]["id"].as_str().unwrap();
    let queue = fleet.broker(Class::Sync).await;
    let entry = queue.job(id.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(entry.state, JobState::Paused);
    assert_eq!(fleet.json(&["jobs", "cancel", id])["cancelled"], 1);
}

#[tokio::test]
async fn a_weight_counts_in_redis_until_it_is_one_again() {
    let fleet = Fleet::with_a_shop().await;
    let acme = tenant(&fleet);
    let page = fleet.answers(&["tenant", "weight", "acme", "2.5"]);
    assert_eq!(page, "acme has weight 2.5 in sync, token\n");
    fleet.answers(&["tenant", "weight", "acme", "0.5", "--class", "token"]);
    let (sync, token) = (
        fleet.broker(Class::Sync).await,
        fleet.broker(Class::Token).await,
    );
    assert_eq!(sync.weights().await.unwrap(), BTreeMap::from([(acme, 2.5)]));
    assert_eq!(
        token.weights().await.unwrap(),
        BTreeMap::from([(acme, 0.5)])
    );
    let table = fleet.answers(&["tenant", "list"]);
    assert!(table.contains("sync 2.5, token 0.5"), "{table}");
    let status = fleet.json(&["status"]);
    assert_eq!(status["settings"]["weights"][0]["weight"], 2.5);
    assert_eq!(status["settings"]["weights"][1]["tenant"], "acme");
    let page = fleet.answers(&["status"]);
    assert!(page.contains("weight 2.5"), "{page}");
    fleet.answers(&["tenant", "weight", "acme", "1"]);
    let page = fleet.answers(&["tenant", "weight", "acme", "1"]);
    assert_eq!(page, "acme had weight 1 in sync, token already\n");
    assert!(sync.weights().await.unwrap().is_empty());
    assert!(token.weights().await.unwrap().is_empty());
    assert_eq!(fleet.audited("tenant.weight").len(), 3);
}

#[tokio::test]
async fn caps_hold_in_redis_until_they_are_cleared() {
    let fleet = Fleet::with_a_shop().await;
    let (acme, shop) = (tenant(&fleet), connection(&fleet));
    let page = fleet.answers(&["cap", "set", "--tenant", "acme", "20"]);
    assert_eq!(page, "acme is now capped at 20 in flight in sync, token\n");
    fleet.answers(&["cap", "set", "--connection", "shop", "2", "--class", "sync"]);
    fleet.answers(&["cap", "set", "--every-connection", "3", "--class", "sync"]);
    fleet.answers(&["cap", "set", "--every-tenant", "40", "--class", "sync"]);
    let sync = fleet.broker(Class::Sync).await;
    let expected = [
        (CapScope::EveryConnection, 3),
        (CapScope::EveryTenant, 40),
        (CapScope::Connection(shop), 2),
        (CapScope::Tenant(acme), 20),
    ];
    assert_eq!(sync.caps().await.unwrap(), BTreeMap::from(expected));
    let caps = fleet.json(&["cap", "list"]);
    let listed: Vec<(&str, u64)> = caps
        .as_array()
        .unwrap()
        .iter()
        .filter(|cap| cap["class"] == "sync")
        .map(|cap| {
            (
                cap["of"].as_str().unwrap(),
                cap["max_in_flight"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        listed,
        [
            ("each connection", 3),
            ("each tenant", 40),
            ("acme", 20),
            ("acme/shop", 2)
        ]
    );
    let page = fleet.answers(&["status"]);
    assert!(page.contains("at most 2 in flight"), "{page}");
    for scope in [
        &["--tenant", "acme"][..],
        &["--connection", "shop"],
        &["--every-tenant"],
        &["--every-connection"],
    ] {
        fleet.answers(&[&["cap", "clear"], scope].concat());
    }
    assert!(sync.caps().await.unwrap().is_empty());
    assert!(
        fleet
            .broker(Class::Token)
            .await
            .caps()
            .await
            .unwrap()
            .is_empty()
    );
    let table = fleet.answers(&["cap", "list"]);
    assert!(table.starts_with("no caps: set one with"), "{table}");
    let page = fleet.answers(&["cap", "clear", "--tenant", "acme"]);
    assert_eq!(page, "acme had no cap in sync, token\n");
    assert_eq!(fleet.audited("cap.set").len(), 4);
    assert_eq!(fleet.audited("cap.clear").len(), 4);
}

#[tokio::test]
async fn nonsense_is_refused_in_one_clear_line_and_changes_nothing() {
    let fleet = Fleet::with_a_shop().await;
    for (command, code, said) in [
        (
            &["tenant", "weight", "acme", "0"][..],
            2,
            "from 0.01 to 100",
        ),
        (&["tenant", "weight", "acme", "-1"], 2, "from 0.01 to 100"),
        (
            &["tenant", "weight", "acme", "100.1"],
            2,
            "from 0.01 to 100",
        ),
        (
            &["tenant", "weight", "acme", "heavy"],
            2,
            "from 0.01 to 100",
        ),
        (
            &["tenant", "add", "globex", "--weight", "0"],
            2,
            "from 0.01 to 100",
        ),
        (
            &["tenant", "weight", "acmee", "2"],
            5,
            "did you mean `acme`?",
        ),
        (&["tenant", "pause", "acmee"], 5, "did you mean `acme`?"),
        (&["tenant", "resume", "acmee"], 5, "did you mean `acme`?"),
        (&["tenant", "pause", "acme", "--class", "sinc"], 2, "'sync'"),
        (&["class", "pause", "sinc"], 2, "'sync'"),
        (
            &["cap", "set", "--tenant", "acme", "0"],
            2,
            "a whole number from 1",
        ),
        (
            &["cap", "set", "--connection", "shop", "-3"],
            2,
            "a whole number from 1",
        ),
        (
            &["cap", "set", "--tenant", "acme", "3"],
            2,
            "split over the 4 shards of a class: it must be 4 or more, not 3",
        ),
        (
            &["cap", "set", "--every-tenant", "1"],
            2,
            "4 or more, not 1",
        ),
        (
            &["cap", "set", "--connection", "acme/shp", "3"],
            5,
            "did you mean `acme/shop`?",
        ),
        (&["cap", "set", "3"], 2, "--every-connection"),
        (&["cap", "clear"], 2, "--every-connection"),
        (
            &[
                "cap",
                "set",
                "--tenant",
                "acme",
                "--connection",
                "shop",
                "3",
            ],
            2,
            "cannot be used with",
        ),
    ] {
        let error = fleet.refuses(command, code);
        assert!(error.contains(said), "{command:?}: {error}");
        if code == 5 {
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }
    let settings = fleet.json(&["status"])["settings"].clone();
    assert_eq!(settings, json!({ "holds": [], "weights": [], "caps": [] }));
    let queue = fleet.broker(Class::Sync).await;
    assert!(queue.holds().await.unwrap().is_empty());
    assert!(queue.weights().await.unwrap().is_empty());
    assert!(queue.caps().await.unwrap().is_empty());
}
