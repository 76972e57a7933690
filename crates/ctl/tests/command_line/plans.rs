//! Usage plans that operators pin: Postgres and the audit log first, then Redis.

use bulkhead_broker::PlanKey;
use bulkhead_domain::{Class, UsagePlan};
use serde_json::{Value, json};

use crate::fleet::Fleet;

const SEARCH: &str = "orders/2026-01-01/searchOrders";

fn id(fleet: &Fleet, of: &str) -> String {
    let id = fleet.json(&[of, "list"])[0]["id"].clone();
    id.as_str().unwrap().to_owned()
}

fn audited(fleet: &Fleet, action: &str) -> Vec<Value> {
    let sql = format!(
        "select json_build_object('actor', actor, 'resource', resource, 'details', details)
         from bulkhead.audit_events where action = '{action}' order by at"
    );
    let lines = fleet.sql(&sql);
    let lines = lines.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn of_the_shop(fleet: &Fleet) -> PlanKey {
    PlanKey {
        application: id(fleet, "application").parse().unwrap(),
        connection: Some(id(fleet, "connection").parse().unwrap()),
        operation: SEARCH.to_owned(),
    }
}

#[tokio::test]
async fn a_pinned_plan_is_obeyed_by_every_class_shown_with_its_reason_and_audited() {
    let fleet = Fleet::with_a_shop().await;
    let set = [
        "plans",
        "set",
        "--connection",
        "shop",
        "searchOrders",
        "--rate",
        "0.0167",
        "--burst",
        "20",
        "--reason",
        "ticket 4711",
    ];
    assert_eq!(
        fleet.answers(&set),
        format!("{SEARCH} of acme/shop is now pinned at 0.0167/s, burst 20\n")
    );
    let again = fleet.json(&set);
    assert_eq!(
        again,
        json!({
            "of": "acme/shop", "operation": SEARCH, "rate_per_s": 0.0167, "burst": 20,
            "changed": false, "in_redis": true, "redis_error": null,
        })
    );
    for class in [Class::Sync, Class::Token] {
        let pinned = fleet.broker(class).await.pinned_plans().await.unwrap();
        let plan = Some(UsagePlan::new(0.0167, 20));
        assert_eq!(
            pinned.into_iter().collect::<Vec<_>>(),
            [(of_the_shop(&fleet), plan)]
        );
    }
    let shown = fleet.json(&["plans", "show"]);
    let shown = &shown.as_array().unwrap()[..];
    assert_eq!(shown.len(), 1, "{shown:?}");
    for (field, value) in [
        ("operation", json!(SEARCH)),
        ("of", json!("acme/shop")),
        ("connection_id", json!(id(&fleet, "connection"))),
        ("application_id", json!(id(&fleet, "application"))),
        ("rate_per_s", json!(0.0167)),
        ("burst", json!(20)),
        ("published", json!({ "rate_per_s": 0.0056, "burst": 20 })),
        ("source", json!("pinned")),
        ("why", json!("ticket 4711")),
        ("throttled_at", Value::Null),
    ] {
        assert_eq!(shown[0][field], value, "{field}");
    }
    let page = fleet.answers(&["plans", "show", "--connection", "acme/shop"]);
    assert!(page.contains("ticket 4711"), "{page}");
    let events = audited(&fleet, "plan.set");
    assert_eq!(events.len(), 1, "what changes nothing is no event");
    assert_eq!(events[0]["actor"], "alice");
    let resource = format!("connection/{}", id(&fleet, "connection"));
    assert_eq!(events[0]["resource"], resource);
    let details =
        json!({ "operation": SEARCH, "rate_per_s": 0.0167, "burst": 20, "reason": "ticket 4711" });
    assert_eq!(events[0]["details"], details);
}

#[tokio::test]
async fn a_plan_that_is_reset_is_the_published_one_again_and_the_reset_is_audited() {
    let fleet = Fleet::with_a_shop().await;
    fleet.answers(&[
        "plans",
        "set",
        "--application",
        "night-run",
        "getCatalogItem",
        "--rate",
        "100",
        "--burst",
        "100",
    ]);
    let shown = fleet.json(&["plans", "show", "--application", "night-run"]);
    assert_eq!(shown[0]["of"], "night-run, all sellers");
    assert_eq!(shown[0]["connection_id"], Value::Null);
    assert_eq!(shown[0]["why"], "pinned by an operator");
    let reset = [
        "plans",
        "reset",
        "--application",
        "night-run",
        "getCatalogItem",
    ];
    let key = "catalog-items/2022-04-01/getCatalogItem";
    assert_eq!(
        fleet.answers(&reset),
        format!("{key} of night-run follows the published plan; it was pinned\n")
    );
    let again = fleet.json(&reset);
    assert_eq!(
        again,
        json!({
            "of": "night-run", "operation": key, "was_pinned": false, "in_redis": true, "redis_error": null,
        })
    );
    let broker = fleet.broker(Class::Sync).await;
    assert!(broker.pinned_plans().await.unwrap().is_empty());
    assert_eq!(
        fleet.answers(&["plans", "show"]),
        "every plan in force is the published one\n"
    );
    // Also what was learned is forgotten by each: both are events.
    let events = audited(&fleet, "plan.reset");
    let details = events.iter().map(|event| event["details"].clone());
    assert_eq!(
        details.collect::<Vec<_>>(),
        [
            json!({ "operation": key, "was_pinned": true }),
            json!({ "operation": key, "was_pinned": false })
        ]
    );
    let resource = format!("application/{}", id(&fleet, "application"));
    assert_eq!(events[0]["resource"], resource);
}

#[tokio::test]
async fn a_plan_that_is_simply_published_is_shown_when_it_is_asked_for() {
    let fleet = Fleet::with_a_shop().await;
    let command = ["plans", "show", "--connection", "shop", "searchOrders"];
    let shown = fleet.json(&command);
    assert_eq!(shown[0]["source"], "published");
    assert_eq!(shown[0]["rate_per_s"], 0.0056);
    assert_eq!(shown[0]["since"], Value::Null);
    let page = fleet.answers(&command);
    assert!(page.contains("as published"), "{page}");
}

#[tokio::test]
async fn a_pin_stands_in_postgres_also_while_redis_is_down() {
    let fleet = Fleet::with_a_shop().await;
    fleet.redis.kill();
    let set = [
        "plans",
        "set",
        "--connection",
        "shop",
        "searchOrders",
        "--rate",
        "1",
        "--burst",
        "2",
    ];
    let said = fleet.answers(&set);
    assert!(
        said.contains("kept in Postgres; Redis does not know yet"),
        "{said}"
    );
    let said = fleet.json(&["plans", "reset", "--connection", "shop", "searchOrders"]);
    assert_eq!(said["was_pinned"], true);
    assert_eq!(said["in_redis"], false);
}

#[tokio::test]
async fn an_unknown_operation_or_a_plan_that_is_none_is_refused_in_one_clear_line() {
    let fleet = Fleet::with_a_shop().await;
    let (shop, plan) = (["--connection", "shop"], ["--rate", "1", "--burst", "2"]);
    let set = |operation| [&["plans", "set"][..], &shop, &plan, &[operation]].concat();
    for (command, code, said) in [
        (set("serchOrders"), 5, "did you mean `searchOrders`?"),
        (set("getOrder"), 5, "orders/v0/getOrder"),
        (
            vec!["plans", "reset", "--connection", "shop", "serchOrders"],
            5,
            "did you mean `searchOrders`?",
        ),
        (
            vec!["plans", "show", "serchOrders"],
            5,
            "did you mean `searchOrders`?",
        ),
        (
            [
                &["plans", "set"][..],
                &["--connection", "shp"],
                &plan,
                &["searchOrders"],
            ]
            .concat(),
            5,
            "did you mean",
        ),
        (
            [&["plans", "set", "searchOrders"][..], &plan].concat(),
            2,
            "--application",
        ),
        (
            [
                &["plans", "set", "searchOrders"][..],
                &shop,
                &["--rate", "0", "--burst", "2"],
            ]
            .concat(),
            2,
            "from 0.000001 to 1000000",
        ),
        (
            [
                &["plans", "set", "searchOrders"][..],
                &shop,
                &["--rate", "NaN", "--burst", "2"],
            ]
            .concat(),
            2,
            "from 0.000001 to 1000000",
        ),
        (
            [
                &["plans", "set", "searchOrders"][..],
                &shop,
                &["--rate", "1", "--burst", "0"],
            ]
            .concat(),
            2,
            "0 is not in 1..=1000000",
        ),
    ] {
        let error = fleet.refuses(&command, code);
        assert!(error.contains(said), "{command:?}: {error}");
    }
    assert_eq!(fleet.json(&["plans", "show"]), json!([]));
    assert_eq!(audited(&fleet, "plan.set").len(), 0);
    assert_eq!(audited(&fleet, "plan.reset").len(), 0);
}
