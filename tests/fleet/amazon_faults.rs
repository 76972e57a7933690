//! Amazon misbehaves while a night runs: nothing is lost, nothing is twice, nobody asks faster than before.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bulkhead_devstack::fleet::{FleetOptions, Member, MemberOptions};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::{TestNight, quick};

const SEARCH_ORDERS: &str = "orders/2026-01-01/searchOrders";
const LWA_TOKEN: &str = "lwa/oauth2/token";

/// How often Amazon publishes that searchOrders may be called, after a burst of 20.
const SEARCH_RATE_PER_S: f64 = 0.0056;

/// How much closer than planned two requests may arrive: the J that the fleet's permits allow for.
const JITTER: Duration = Duration::from_millis(50);

/// One line of the simulator's request log.
#[derive(Debug, Clone, Deserialize)]
struct Request {
    arrived_us: i64,
    seller_id: Option<String>,
    status: u16,
    fault: Option<String>,
}

#[tokio::test]
async fn an_amazon_that_fails_in_every_way_costs_attempts_and_no_order() -> Result<()> {
    let night = TestNight::onboarded(quick(3, 600)).await?;
    for (kind, after) in [
        ("500", 0),
        ("503html", 3),
        ("reset", 6),
        ("truncate", 9),
        ("throttle", 12),
    ] {
        let fault = json!({"kind": kind, "operation": SEARCH_ORDERS, "after": after, "count": 2});
        night.fleet.amazon.post("faults", &fault).await?;
    }
    for kind in ["500", "503html", "reset", "truncate"] {
        let fault = json!({"kind": kind, "operation": LWA_TOKEN, "count": 1});
        night.fleet.amazon.post("faults", &fault).await?;
    }
    let _members = at_work(&night).await?;
    all_is_well(&night).await?;
    let struck: Vec<String> = requests(&night, None)
        .await?
        .into_iter()
        .filter_map(|request| request.fault)
        .collect();
    for kind in ["500", "503html", "reset", "truncate", "throttle"] {
        ensure!(
            struck.iter().any(|one| one == kind),
            "{kind} never happened: {struck:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn an_html_page_with_status_503_is_never_taken_for_an_empty_answer() -> Result<()> {
    let night = TestNight::onboarded(quick(1, 30)).await?;
    let fault = json!({"kind": "503html", "operation": SEARCH_ORDERS, "count": 3});
    night.fleet.amazon.post("faults", &fault).await?;
    let _members = at_work(&night).await?;
    all_is_well(&night).await?;
    // One page of orders: four requests, of which one was answered; one page counted.
    let asked = requests(&night, Some(SEARCH_ORDERS)).await?;
    let statuses: Vec<u16> = asked.iter().map(|request| request.status).collect();
    ensure!(statuses == [503, 503, 503, 200], "{statuses:?}");
    let pages = "select sum(pages)::bigint from bulkhead.checkpoints";
    ensure!(
        night.number(pages).await? == 1,
        "a failure was counted as a page"
    );
    // Three failures were waited out: 0..1, 0..2, 0..4 s at random; and said.
    let attempts = "select attempts::bigint from bulkhead.obligations where kind = 'sync'";
    ensure!(
        night.number(attempts).await? >= 4,
        "the failures are not in the obligation"
    );
    Ok(())
}

#[tokio::test]
async fn after_a_429_the_connection_waits_for_an_empty_bucket_to_refill_and_others_do_not()
-> Result<()> {
    let options = FleetOptions {
        time_scale: 500.0,
        ..quick(2, 700)
    };
    let scale = options.time_scale;
    let night = TestNight::onboarded(options).await?;
    let [struck, other] = &night.fleet.amazon.ready.sellers[..] else {
        anyhow::bail!("not two sellers");
    };
    let fault = json!({
        "kind": "throttle", "operation": SEARCH_ORDERS, "seller_id": struck.seller_id, "after": 2, "count": 1,
    });
    night.fleet.amazon.post("faults", &fault).await?;
    let _members = at_work(&night).await?;
    night.until_all_syncs_are_done().await?;
    all_stored(&night, 1).await?;

    let asked = requests(&night, Some(SEARCH_ORDERS)).await?;
    let of = |seller: &str| -> Vec<Request> {
        let own = asked
            .iter()
            .filter(|request| request.seller_id.as_deref() == Some(seller));
        own.cloned().collect()
    };
    let of_struck = of(&struck.seller_id);
    let refused = of_struck.iter().position(|request| request.status == 429);
    let refused = refused.context("no request was throttled")?;
    let next = of_struck
        .get(refused + 1)
        .context("it was never asked again")?;
    let interval = Duration::from_secs_f64(1.0 / (SEARCH_RATE_PER_S * scale));
    let waited = next.arrived_us - of_struck[refused].arrived_us;
    let waited = Duration::from_micros(u64::try_from(waited)?);
    ensure!(
        waited + JITTER >= interval,
        "asked again after {waited:?}, not {interval:?}"
    );
    ensure!(
        of(&other.seller_id)
            .iter()
            .all(|request| request.status == 200)
    );
    Ok(())
}

#[tokio::test]
async fn a_429_of_the_applications_limit_is_charged_to_the_application_and_to_no_connection()
-> Result<()> {
    let night = TestNight::onboarded(quick(2, 300)).await?;
    let fault = json!({"kind": "throttle_application", "operation": SEARCH_ORDERS, "count": 1});
    night.fleet.amazon.post("faults", &fault).await?;
    let _members = at_work(&night).await?;
    night.until_all_syncs_are_done().await?;
    all_stored(&night, 1).await?;
    let plans: Value = night.fleet.cli().json(&["plans", "show"]).await?;
    let plans = plans.as_array().context("plans")?;
    let [plan] = &plans[..] else {
        anyhow::bail!("not one plan: {plans:?}");
    };
    ensure!(plan["operation"] == SEARCH_ORDERS, "{plan}");
    ensure!(plan["connection_id"].is_null(), "{plan}");
    ensure!(!plan["throttled_at"].is_null(), "{plan}");
    Ok(())
}

#[tokio::test]
async fn an_amazon_that_does_not_answer_holds_up_only_the_call_that_waits() -> Result<()> {
    let night = TestNight::onboarded(quick(3, 200)).await?;
    let slow = night.fleet.amazon.ready.sellers[0].seller_id.clone();
    let fault =
        json!({"kind": "timeout", "operation": SEARCH_ORDERS, "seller_id": slow, "count": 1});
    night.fleet.amazon.post("faults", &fault).await?;
    // Longer than a lease, which is renewed all the while.
    let patience = MemberOptions::default().set("amazon.request_timeout_ms", "3000");
    let _members = at_work_with(&night, &patience).await?;
    let others = "select count(*) from bulkhead.obligations where kind = 'sync' and state = 'done'";
    night.until(others, 2).await?;
    all_is_well(&night).await?;
    let asked = requests(&night, Some(SEARCH_ORDERS)).await?;
    let of_slow: Vec<&Request> = asked
        .iter()
        .filter(|request| request.seller_id.as_ref() == Some(&slow))
        .collect();
    ensure!(of_slow[0].status == 0 && of_slow[1..].iter().all(|request| request.status == 200));
    ensure!(
        of_slow.len() == 3,
        "two pages and the one that was not answered: {of_slow:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_night_under_random_faults_stores_every_order_once() -> Result<()> {
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let options = FleetOptions {
        seed,
        ..quick(4, 500)
    };
    let night = TestNight::onboarded(options).await?;
    // One request in five goes wrong.
    for kind in ["500", "503html", "reset", "truncate"] {
        let fault = json!({"kind": kind, "probability": 0.05});
        night.fleet.amazon.post("faults", &fault).await?;
    }
    let _members = at_work(&night).await?;
    all_is_well(&night).await
}

async fn at_work(night: &TestNight) -> Result<[Member; 3]> {
    at_work_with(night, &MemberOptions::default()).await
}

async fn at_work_with(night: &TestNight, sync: &MemberOptions) -> Result<[Member; 3]> {
    let members = [
        night.start("scheduler", "scheduler").await?,
        night.start("token", "token-1").await?,
        night.start_with("sync", "sync-1", sync).await?,
    ];
    night.enqueue_all().await?;
    Ok(members)
}

async fn all_is_well(night: &TestNight) -> Result<()> {
    night.until_all_syncs_are_done().await?;
    let injected: Value = night.fleet.amazon.get("counts").await?;
    ensure!(
        injected["over_plan"] == 0,
        "a plan was exceeded: {injected}"
    );
    let throttled = night.fleet.amazon.counts().await?.throttled;
    all_stored(night, throttled).await
}

/// Everything is stored once, and nothing was throttled but what a test asked for.
async fn all_stored(night: &TestNight, throttled: u64) -> Result<()> {
    night.everything_stored_once().await?;
    ensure!(night.fleet.amazon.counts().await?.throttled == throttled);
    let given_up = "select count(*) from bulkhead.obligations where state in ('dead', 'cancelled')";
    ensure!(night.number(given_up).await? == 0, "something was given up");
    Ok(())
}

/// What Amazon was asked, of one operation or of all, in the order of arrival.
async fn requests(night: &TestNight, operation: Option<&str>) -> Result<Vec<Request>> {
    let filter = operation.map(|operation| format!("?operation={operation}"));
    let path = format!("requests{}", filter.unwrap_or_default());
    night.fleet.amazon.get(&path).await
}
