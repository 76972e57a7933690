//! A store that cannot be reached: exit code 3, and whatever the other one allows.

use crate::fleet::Fleet;

/// Nothing listens on port 1.
const NOWHERE: &str = "postgres://bulkhead_operator:canary@127.0.0.1:1/x";

#[tokio::test]
async fn without_postgres_the_one_line_says_where_it_was_sought() {
    let mut fleet = Fleet::start().await;
    fleet.set("BULKHEAD_POSTGRES__URL", NOWHERE.to_owned());
    for command in [
        &["tenant", "list"][..],
        &["migrate"],
        &["migrate", "--check"],
    ] {
        let error = fleet.refuses(command, 3);
        assert!(
            error.starts_with("error: Postgres cannot be reached at postgres://"),
            "{error}"
        );
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(!error.contains("canary"), "{error}");
    }
}

#[tokio::test]
async fn without_redis_what_postgres_knows_is_shown() {
    let fleet = Fleet::with_a_shop().await;
    fleet.redis.kill();
    for command in [&["status"][..], &["jobs", "list"]] {
        let ran = fleet.run(command);
        assert_eq!(ran.code, Some(3), "{ran:?}");
        assert!(ran.stdout.contains("acme"), "{ran:?}");
        assert!(
            ran.stderr.starts_with("error: Redis cannot be reached"),
            "{ran:?}"
        );
    }
    let status = fleet.run(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(status["redis"]["reachable"], false);
    assert!(status["classes"].is_null());
    assert!(status["tenants"][0]["queue"].is_null());
    fleet.answers(&["connection", "list"]);
    fleet.answers(&["enqueue", "sync", "--all"]);
}

#[tokio::test]
async fn without_postgres_what_redis_knows_is_shown() {
    let mut fleet = Fleet::start().await;
    fleet.set("BULKHEAD_POSTGRES__URL", NOWHERE.to_owned());
    let ran = fleet.run(&["status"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stdout.contains("Postgres  down:"), "{ran:?}");
    assert!(ran.stdout.contains("sync "), "{ran:?}");
}

#[tokio::test]
async fn a_pause_holds_in_postgres_also_while_redis_is_down() {
    let mut fleet = Fleet::with_a_shop().await;
    fleet.redis.kill();
    let ran = fleet.run(&["connection", "pause", "--connection", "shop"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stderr.contains("paused in Postgres"), "{ran:?}");
    assert_eq!(fleet.json(&["connection", "list"])[0]["state"], "paused");
    // A resume needs both: work that is owed must not be held.
    assert_eq!(
        fleet
            .run(&["connection", "resume", "--connection", "shop"])
            .code,
        Some(3)
    );
    assert_eq!(fleet.json(&["connection", "list"])[0]["state"], "paused");
    fleet.redis.restart().await.unwrap();
    fleet.answers(&["connection", "pause", "--connection", "shop"]);
    fleet.answers(&["connection", "resume", "--connection", "shop"]);
}
