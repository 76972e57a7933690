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

#[tokio::test]
async fn a_setting_that_is_missing_is_no_server_that_is_down() {
    for (variable, name, key) in [
        ("BULKHEAD_REDIS__URL", "Redis     ", "redis.url is not set"),
        (
            "BULKHEAD_POSTGRES__URL",
            "Postgres  ",
            "postgres.url is not set",
        ),
    ] {
        let mut fleet = Fleet::start().await;
        fleet.unset(variable);
        let ran = fleet.run(&["status"]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        let line = ran.stdout.lines().find(|line| line.starts_with(name));
        let line = line.unwrap();
        assert!(
            line.contains("not configured: ") && line.contains(key) && line.contains(variable),
            "{line}"
        );
        assert!(!ran.stdout.contains("down"), "{ran:?}");
    }
}

#[tokio::test]
async fn settings_stand_in_postgres_also_while_redis_is_down() {
    let mut fleet = Fleet::with_a_shop().await;
    fleet.redis.kill();
    for command in [
        &["tenant", "pause", "acme"][..],
        &["tenant", "weight", "acme", "3"],
        &["class", "pause", "sync"],
        &["cap", "set", "--every-connection", "2"],
    ] {
        let page = fleet.answers(command);
        assert!(
            page.contains("kept in Postgres; Redis does not know yet (Redis cannot be reached"),
            "{page}"
        );
        assert!(page.contains("a scheduler tells it"), "{page}");
        let again = fleet.json(command);
        assert_eq!(again["in_redis"], false, "{again}");
        assert!(again["redis_error"].is_string(), "{again}");
    }
    assert_eq!(fleet.json(&["cap", "list"])[0]["max_in_flight"], 2);
    let status = fleet.run(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(status["settings"]["holds"][0]["class"], "sync");
    assert!(status["settings"]["holds"][0]["in_redis"].is_null());
    // Said again once it is back, it is told.
    fleet.redis.restart().await.unwrap();
    let page = fleet.answers(&["status"]);
    assert!(page.contains("(not yet in Redis)"), "{page}");
    let again = fleet.json(&["class", "pause", "sync"]);
    assert_eq!(
        (&again["changed"], &again["in_redis"]),
        (&false.into(), &true.into())
    );
}
