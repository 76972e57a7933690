//! Work is owed, looked at, given up, tried again and withdrawn.

use bulkhead_broker::JobFilter;
use bulkhead_domain::{Class, Priority};
use serde_json::Value;

use crate::fleet::Fleet;

fn ids(jobs: &Value) -> Vec<String> {
    let jobs = jobs.as_array().unwrap().iter();
    jobs.map(|job| job["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_sync_that_is_asked_for_is_owed_now() {
    let fleet = Fleet::with_a_shop().await;
    let command = [
        "enqueue",
        "sync",
        "--connection",
        "shop",
        "--since",
        "2026-11-01",
        "--priority",
    ];
    let owed = fleet.json(&command);
    assert_eq!(owed["skipped"], 0);
    let jobs = fleet.json(&["jobs", "list", "--kind", "sync"]);
    assert_eq!(ids(&jobs), ids(&owed["jobs"]));
    assert_eq!(jobs[0]["state"], "owed");
    assert_eq!(jobs[0]["dataset"], "orders");
    assert_eq!(jobs[0]["since"], "2026-11-01T00:00:00Z");
    assert_eq!(jobs[0]["priority"], 0);
    assert!(jobs[0]["queue"].is_null());
}

#[tokio::test]
async fn all_connections_of_a_tenant_or_of_all_can_be_asked_for() {
    let fleet = Fleet::with_a_shop().await;
    fleet.answers(&["tenant", "add", "globex"]);
    fleet.add_connection("globex", "outlet");
    fleet.add_connection("globex", "shop");
    let of_tenant = fleet.json(&[
        "enqueue",
        "sync",
        "--tenant",
        "globex",
        "--dataset",
        "orders_v0",
    ]);
    assert_eq!(of_tenant["jobs"].as_array().unwrap().len(), 2);
    let of_all = fleet.json(&["enqueue", "sync", "--all", "--priority=backfill"]);
    assert_eq!(of_all["jobs"].as_array().unwrap().len(), 3);
    let error = fleet.refuses(&["enqueue", "sync", "--connection", "shop"], 2);
    assert!(error.contains("say acme/shop or globex/shop"), "{error}");
    let error = fleet.refuses(&["enqueue", "sync"], 2);
    assert!(error.contains("--all"), "{error}");
}

#[tokio::test]
async fn a_job_is_shown_where_it_is() {
    let fleet = Fleet::with_a_shop().await;
    let owed = fleet.json(&["enqueue", "sync", "--connection", "shop"]);
    let id = ids(&owed["jobs"]).remove(0);
    fleet.tick().await;
    let listed = fleet.json(&["jobs", "list", "--state", "enqueued", "--kind", "sync"]);
    assert_eq!(listed[0]["id"], id.as_str());
    assert_eq!(listed[0]["queue"]["state"], "queued");
    assert!(listed[0]["queue"]["waiting_since"].is_string());
    let shown = fleet.json(&["jobs", "show", &id]);
    assert_eq!(shown["queue"], listed[0]["queue"]);
    let page = fleet.answers(&["jobs", "show", &id]);
    assert!(page.contains("connection  acme/shop"), "{page}");
    assert!(page.contains("queued for "), "{page}");
    let table = fleet.answers(&["jobs", "list"]);
    assert!(table.starts_with("ID "), "{table}");
    assert!(!table.contains('\u{1b}'), "{table}");
}

#[tokio::test]
async fn a_job_that_was_given_up_is_owed_again() {
    let fleet = Fleet::with_a_shop().await;
    let owed = fleet.json(&["enqueue", "sync", "--connection", "shop"]);
    let id = ids(&owed["jobs"]).remove(0);
    fleet.tick().await;
    fleet.give_up(Class::Sync, "Amazon said 403").await;
    let shown = fleet.json(&["jobs", "show", &id]);
    assert_eq!(shown["state"], "dead");
    assert_eq!(shown["last_error"], "Amazon said 403");
    assert_eq!(shown["queue"]["state"], "dead");
    assert_eq!(shown["history"].as_array().unwrap().len(), 1);
    let of_other_kind = ["jobs", "retry", "--dead", "--kind", "token_refresh"];
    assert!(ids_of(&fleet.json(&of_other_kind)["retried"]).is_empty());
    let retried = fleet.json(&[
        "jobs", "retry", "--dead", "--tenant", "acme", "--kind", "sync",
    ]);
    assert_eq!(retried["retried"][0], id.as_str());
    assert_eq!(fleet.json(&["jobs", "show", &id])["state"], "owed");
    // What is owed already stays so.
    let again = fleet.json(&["jobs", "retry", &id]);
    assert_eq!(again["unchanged"][0]["state"], "owed");
    fleet.tick().await;
    let shown = fleet.json(&["jobs", "show", &id]);
    assert_eq!(shown["queue"]["state"], "queued");
    assert!(
        fleet
            .answers(&["jobs", "retry", "--dead"])
            .contains("no job was given up")
    );
}

#[tokio::test]
async fn a_cancelled_job_is_gone_from_the_queue_too() {
    let fleet = Fleet::with_a_shop().await;
    let owed = fleet.json(&["enqueue", "sync", "--connection", "shop"]);
    let id = ids(&owed["jobs"]).remove(0);
    fleet.tick().await;
    let cancelled = fleet.json(&["jobs", "cancel", &id]);
    assert_eq!(cancelled["cancelled"], 1);
    let shown = fleet.json(&["jobs", "show", &id]);
    assert_eq!(shown["state"], "cancelled");
    assert!(shown["queue"].is_null());
    let queue = fleet.broker(Class::Sync).await;
    assert!(
        queue
            .jobs(&JobFilter::default(), 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        fleet.json(&["jobs", "cancel", &id])["unchanged"][0],
        id.as_str()
    );
}

#[tokio::test]
async fn everything_of_a_tenant_can_be_withdrawn() {
    let fleet = Fleet::with_a_shop().await;
    fleet.answers(&["enqueue", "sync", "--tenant", "acme"]);
    fleet.tick().await;
    fleet.answers(&["enqueue", "sync", "--tenant", "acme"]);
    let cancelled = fleet.json(&["jobs", "cancel", "--tenant", "acme"]);
    assert_eq!(cancelled["cancelled"], 3);
    let jobs = fleet.json(&["jobs", "list"]);
    let states: Vec<&Value> = jobs
        .as_array()
        .unwrap()
        .iter()
        .map(|job| &job["state"])
        .collect();
    assert!(
        states.iter().all(|state| *state == "cancelled"),
        "{states:?}"
    );
    for class in [Class::Sync, Class::Token] {
        let queue = fleet.broker(class).await;
        assert!(
            queue
                .jobs(&JobFilter::default(), 10)
                .await
                .unwrap()
                .is_empty()
        );
    }
}

#[tokio::test]
async fn what_is_of_one_kind_can_be_withdrawn() {
    let fleet = Fleet::with_a_shop().await;
    fleet.answers(&["enqueue", "sync", "--tenant", "acme"]);
    fleet.tick().await;
    let command = ["jobs", "cancel", "--connection", "shop", "--kind", "sync"];
    assert_eq!(fleet.json(&command)["cancelled"], 1);
    let left = async |class| {
        let queue = fleet.broker(class).await;
        queue.jobs(&JobFilter::default(), 10).await.unwrap().len()
    };
    assert_eq!((left(Class::Sync).await, left(Class::Token).await), (0, 1));
    let jobs = fleet.json(&["jobs", "list", "--kind", "token_refresh"]);
    assert_eq!(jobs[0]["state"], "enqueued");
    let command = ["jobs", "cancel", "--kind", "token_refresh"];
    assert_eq!(fleet.json(&command)["cancelled"], 1);
    assert_eq!(left(Class::Token).await, 0);
}

#[tokio::test]
async fn a_sync_that_waits_for_its_next_attempt_runs_now_if_it_is_asked_for() {
    let fleet = Fleet::with_a_shop().await;
    let command = ["enqueue", "sync", "--connection", "shop"];
    let id = ids(&fleet.json(&command)["jobs"]).remove(0);
    fleet.tick().await;
    fleet.snooze(Class::Sync).await;
    let shown = fleet.json(&["jobs", "show", &id]);
    assert_eq!(shown["queue"]["state"], "delayed");
    let retried = fleet.json(&["jobs", "retry", &id]);
    assert_eq!(ids_of(&retried["moved_forward"]), [id.as_str()]);
    let shown = fleet.json(&["jobs", "show", &id]);
    assert_eq!(shown["queue"]["state"], "queued");
    let again = fleet.json(&["jobs", "retry", &id]);
    assert_eq!(again["unchanged"][0]["state"], "enqueued");
    fleet.snooze(Class::Sync).await;
    let moved = fleet.json(&command);
    assert_eq!(ids(&moved["moved_forward"]), [id.as_str()]);
    assert_eq!(ids(&moved["jobs"]), Vec::<String>::new());
    let urgent = fleet.answers(&[&command[..], &["--priority"]].concat());
    assert!(urgent.contains("waited in the queue"), "{urgent}");
    // As far forward as it can be: whoever asks again wants another.
    assert_eq!(ids(&fleet.json(&command)["jobs"]).len(), 1);
    let asked = fleet.audited("job.forward");
    // Twice to retry, three times to enqueue; the fourth is the urgent one.
    assert_eq!(asked.len(), 5);
    for (n, event) in asked.iter().enumerate() {
        assert_eq!(event["resource"], format!("job/{id}"));
        let priority = if n == 3 {
            Priority::URGENT
        } else {
            Priority::NIGHT
        };
        assert_eq!(event["details"]["priority"], priority.get(), "{event}");
    }
}

fn ids_of(ids: &Value) -> Vec<&str> {
    let ids = ids.as_array().unwrap().iter();
    ids.map(|id| id.as_str().unwrap()).collect()
}
