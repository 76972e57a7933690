//! From an empty database to a connection that owes its first token.

use bulkhead_store::Role;

use crate::fleet::Fleet;

#[tokio::test]
async fn an_empty_database_is_migrated_once_and_then_left_alone() {
    let mut fleet = Fleet::unmigrated().await;
    let admin = fleet.database.admin_url();
    fleet.set("BULKHEAD_POSTGRES__URL", admin);
    let missing = fleet.run(&["migrate", "--check"]);
    assert_eq!(missing.code, Some(1));
    assert!(
        missing.stdout.contains("missing 0001 schemas"),
        "{missing:?}"
    );
    let made = fleet.json(&["migrate"]);
    assert!(
        made["from"].is_null() && made["up_to_date"] == true,
        "{made}"
    );
    assert!(!made["migrations"].as_array().unwrap().is_empty());
    let again = fleet.json(&["migrate"]);
    assert_eq!((&again["from"], &again["to"]), (&made["to"], &made["to"]));
    fleet.answers(&["migrate", "--check"]);
}

#[tokio::test]
async fn an_unmigrated_database_is_refused_with_what_to_do() {
    let mut fleet = Fleet::unmigrated().await;
    // Any migrated database of the cluster makes the roles, which are the cluster's.
    let migrated = Fleet::start().await;
    fleet.set(
        "BULKHEAD_POSTGRES__URL",
        fleet.database.url(Role::Operator.login()),
    );
    let error = fleet.refuses(&["tenant", "list"], 2);
    assert!(error.contains("run `bulkhead migrate`"), "{error}");
    drop(migrated);
}

#[tokio::test]
async fn a_tenant_has_nights_unless_it_wants_none() {
    let fleet = Fleet::start().await;
    let added = fleet.json(&[
        "tenant",
        "add",
        "acme",
        "--time-zone",
        "Europe/Berlin",
        "--nightly-at",
        "01:30:15",
        "--nightly-window",
        "10s",
        "--weight",
        "5",
    ]);
    fleet.answers(&["tenant", "add", "globex", "--no-nightly"]);
    let tenants = fleet.json(&["tenant", "list"]);
    assert_eq!(tenants[0]["id"], added["id"]);
    assert_eq!(tenants[0]["name"], "acme");
    assert_eq!(tenants[0]["weights"]["sync"], 5.0);
    assert_eq!(tenants[0]["weights"]["token"], 5.0);
    assert_eq!(tenants[1]["weights"]["sync"], 1.0);
    let schedule = &tenants[0]["schedules"][0];
    assert_eq!(schedule["id"], added["schedule_id"]);
    assert_eq!(schedule["dataset"], "orders");
    assert_eq!(schedule["time_zone"], "Europe/Berlin");
    assert_eq!(schedule["starts_at"], "01:30:15");
    assert_eq!(schedule["window_ms"], 10_000);
    assert_eq!(tenants[1]["schedules"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn a_new_connection_is_active_and_owes_its_first_token() {
    let fleet = Fleet::with_a_shop().await;
    let connections = fleet.json(&["connection", "list", "--tenant", "acme"]);
    let shop = &connections[0];
    assert_eq!(shop["name"], "shop");
    assert_eq!(shop["tenant"], "acme");
    assert_eq!(shop["application"], "night-run");
    assert_eq!(shop["region"], "eu");
    assert_eq!(shop["state"], "active");
    assert_eq!(shop["includes_pii"], false);
    assert_eq!(shop["marketplace_ids"][0], "A1PA6795UKMFR9");
    let jobs = fleet.json(&["jobs", "list"]);
    assert_eq!(jobs.as_array().unwrap().len(), 1);
    assert_eq!(jobs[0]["kind"], "token_refresh");
    assert_eq!(jobs[0]["state"], "owed");
    assert_eq!(jobs[0]["priority"], 0);
    assert_eq!(jobs[0]["connection_id"], shop["id"]);
}

#[tokio::test]
async fn names_and_ids_are_interchangeable() {
    let fleet = Fleet::with_a_shop().await;
    let connections = fleet.json(&["connection", "list"]);
    let (tenant, shop) = (&connections[0]["tenant_id"], &connections[0]["id"]);
    let by_id = [
        "jobs",
        "list",
        "--tenant",
        tenant.as_str().unwrap(),
        "--connection",
        shop.as_str().unwrap(),
    ];
    assert_eq!(
        fleet.json(&by_id),
        fleet.json(&["jobs", "list", "--connection", "acme/shop"])
    );
}

#[tokio::test]
async fn who_did_it_is_in_the_audit_log() {
    let fleet = Fleet::with_a_shop().await;
    let store = fleet.store(Role::Operator).await;
    let events = store.audit().list(None, None, 100).await.unwrap();
    let mut actions: Vec<&str> = events.iter().map(|event| event.action.as_str()).collect();
    actions.sort_unstable();
    assert_eq!(
        actions,
        [
            "application.add",
            "connection.add",
            "schedule.add",
            "tenant.add"
        ]
    );
    assert!(
        events.iter().all(|event| event.actor == "alice"),
        "{events:?}"
    );
}
