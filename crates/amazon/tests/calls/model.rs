//! The list of personal data, held against Amazon's own models.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use bulkhead_amazon::pii::{ORDERS_2026_01_01, ORDERS_V0, PiiFields};
use serde_json::Value;

/// Parts of names that a buyer's personal data have.
const TELLING: &[&str] = &[
    "buyername",
    "buyeremail",
    "buyercompany",
    "purchaseorder",
    "buyertax",
    "buyerlegal",
    "buyerbusiness",
    "phone",
    "addressline",
    "postalcode",
    "giftmessage",
    "customizedurl",
    "cancelreason",
    "trackingnumber",
    "/serialnumbers",
    "taxregistration",
    "legalname",
    "streetname",
    "/recipient/",
    "addressinstruction",
];
/// Addresses of the seller, not of a buyer.
const SELLERS: &[&str] = &["shipFromAddress", "DefaultShipFromLocationAddress"];

fn models() -> Option<PathBuf> {
    let folder = std::env::var_os("BULKHEAD_MODELS_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/amazon/models"),
        PathBuf::from,
    );
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!(
        "SKIPPED: no models in {}; set BULKHEAD_MODELS_DIR",
        folder.display()
    );
    None
}

/// Every path of the definition `name`, without the positions in lists.
fn paths(model: &Value, name: &str, at: &str, into: &mut BTreeSet<String>) {
    let definition = &model["definitions"][name];
    let Some(properties) = definition["properties"].as_object() else {
        if let Some(item) = definition["items"]["$ref"].as_str() {
            paths(model, last(item), at, into);
        }
        return;
    };
    for (property, schema) in properties {
        let path = format!("{at}/{property}");
        let reference = schema["$ref"].as_str().or(schema["items"]["$ref"].as_str());
        if let Some(reference) = reference {
            paths(model, last(reference), &path, into);
        }
        into.insert(path);
    }
}

fn last(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap()
}

/// The paths that tell of a buyer and are not covered by `fields`.
fn uncovered(paths: &BTreeSet<String>, covered: &[String]) -> Vec<String> {
    let tells = |path: &&String| {
        let name = path.to_lowercase();
        let sellers = SELLERS.iter().any(|part| path.contains(part));
        !sellers && TELLING.iter().any(|part| name.contains(part))
    };
    let is_covered = |path: &str| {
        covered
            .iter()
            .any(|field| path == field || path.starts_with(&format!("{field}/")))
    };
    paths
        .iter()
        .filter(tells)
        .filter(|path| !is_covered(path))
        .cloned()
        .collect()
}

fn covered(fields: PiiFields) -> Vec<String> {
    let item = fields
        .lists
        .iter()
        .flat_map(|(list, entry)| entry.iter().map(move |field| format!("{list}{field}")));
    fields
        .order
        .iter()
        .map(|field| (*field).to_owned())
        .chain(item)
        .collect()
}

fn read(folder: &Path, file: &str) -> Value {
    let path = folder.join("orders-api-model").join(file);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn every_field_that_tells_of_a_buyer_is_taken_out_of_an_order() {
    let Some(folder) = models() else { return };
    let model = read(&folder, "orders_2026-01-01.json");
    let mut all = BTreeSet::new();
    paths(&model, "Order", "", &mut all);
    assert!(all.len() > 150, "{}", all.len());
    assert_eq!(uncovered(&all, &covered(ORDERS_2026_01_01)), [""; 0]);
    // The list names nothing that the model does not have.
    for field in covered(ORDERS_2026_01_01) {
        assert!(all.contains(&field), "{field}");
    }
}

#[test]
fn every_field_that_tells_of_a_buyer_is_taken_out_of_a_v0_order() {
    let Some(folder) = models() else { return };
    let model = read(&folder, "ordersV0.json");
    let mut all = BTreeSet::new();
    paths(&model, "Order", "", &mut all);
    paths(&model, "OrderItem", "/OrderItems", &mut all);
    assert!(all.len() > 100, "{}", all.len());
    assert_eq!(uncovered(&all, &covered(ORDERS_V0)), [""; 0]);
    for field in covered(ORDERS_V0) {
        assert!(all.contains(&field), "{field}");
    }
}
