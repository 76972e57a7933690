//! FBA Inventory, Listings Items and Product Pricing: as much of each as its usage plan needs to be tried.

use serde_json::{Value, json};

use crate::{
    answer::{Answer, Refusal},
    call::SellerCall,
};

/// `GET /fba/inventory/v1/summaries`
pub(crate) fn inventory(call: &SellerCall<'_>) -> Result<Answer, Refusal> {
    for name in ["granularityType", "granularityId", "marketplaceIds"] {
        required(call, name)?;
    }
    let granularity = json!({
        "granularityType": call.parameters.get("granularityType"),
        "granularityId": call.parameters.get("granularityId"),
    });
    let payload = json!({"granularity": granularity, "inventorySummaries": []});
    Ok(Answer::ok(&json!({"payload": payload})))
}

/// `GET /listings/2021-08-01/items/{sellerId}/{sku}`
pub(crate) fn listing(call: &SellerCall<'_>) -> Result<Answer, Refusal> {
    required(call, "marketplaceIds")?;
    Ok(Answer::ok(&json!({"sku": call.path_parameter})))
}

/// `GET /products/pricing/v0/price`
pub(crate) fn pricing(call: &SellerCall<'_>) -> Result<Answer, Refusal> {
    required(call, "MarketplaceId")?;
    required(call, "ItemType")?;
    let asins = call.parameters.list("Asins");
    let prices: Vec<Value> = asins
        .iter()
        .map(|asin| json!({"status": "Success", "ASIN": asin}))
        .collect();
    Ok(Answer::ok(&json!({"payload": prices})))
}

fn required(call: &SellerCall<'_>, name: &str) -> Result<(), Refusal> {
    let given = call
        .parameters
        .get(name)
        .is_some_and(|value| !value.is_empty());
    given
        .then_some(())
        .ok_or_else(|| Refusal::invalid_input(format!("{name} is missing.")))
}
