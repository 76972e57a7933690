//! The table of operations, held against what was collected of Amazon's published plans.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failure here is the point, a skip must be seen"
)]

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use bulkhead_domain::{UsagePlan, operation::OPERATIONS};
use serde_json::Value;

/// Plan for one seller, and of the application.
type Plans = (Option<UsagePlan>, Option<UsagePlan>);

fn collected() -> Option<Vec<Value>> {
    let models = env::var_os("BULKHEAD_MODELS_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/amazon/models"),
        PathBuf::from,
    );
    let file = models.with_file_name("usage-plans.json");
    let Ok(text) = fs::read_to_string(&file) else {
        eprintln!(
            "SKIPPED: no {}; set BULKHEAD_MODELS_DIR to the folder beside it",
            file.display()
        );
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

fn plan(of: &Value, rate: &str, burst: &str) -> Option<UsagePlan> {
    let burst = of[burst].as_u64()?.try_into().unwrap();
    Some(UsagePlan::new(of[rate].as_f64()?, burst))
}

#[test]
fn every_plan_is_the_published_one_for_a_seller_and_for_the_application() {
    let Some(collected) = collected() else {
        return;
    };
    let key = |of: &Value| {
        let name = |field: &str| of[field].as_str().unwrap();
        [name("api"), name("version"), name("operation")].join("/")
    };
    let plans = |of: &Value| {
        (
            plan(of, "rate_per_s", "burst"),
            plan(of, "app_rate_per_s", "app_burst"),
        )
    };
    let published: BTreeMap<String, Plans> =
        collected.iter().map(|of| (key(of), plans(of))).collect();
    assert_eq!(published.len(), collected.len());
    let known: BTreeMap<String, Plans> = OPERATIONS
        .iter()
        // No part of an API that has plans.
        .filter(|operation| !["lwa", "documents"].contains(&operation.api))
        .map(|operation| {
            (
                operation.key(),
                (operation.plan, operation.application_plan),
            )
        })
        .collect();
    assert_eq!(known, published);
    let catalog = known["catalog-items/2022-04-01/getCatalogItem"];
    let both = (Some(UsagePlan::new(2.0, 2)), Some(UsagePlan::new(250.0, 2)));
    assert_eq!(catalog, both);
}
