//! Orders v0, whose reads end in March 2027.

use serde_json::json;

use super::{
    document_v0::{self as document, status},
    sweep::{Filters, Found, Key, Names, Sweep, marketplaces},
};
use crate::{
    answer::{Answer, Refusal, Served},
    call::SellerCall,
};

const NAMES: Names = Names {
    created_after: "CreatedAfter",
    created_before: "CreatedBefore",
    updated_after: "LastUpdatedAfter",
    updated_before: "LastUpdatedBefore",
};
const STATUSES: &[&str] = &[
    "Pending",
    "Unshipped",
    "PartiallyShipped",
    "Shipped",
    "Canceled",
    "Unfulfillable",
    "InvoiceUnconfirmed",
    "PendingAvailability",
];

/// `GET /orders/v0/orders`
pub(crate) fn search(call: &SellerCall<'_>) -> Result<Answer, Refusal> {
    let sweep = sweep(call)?;
    let (found, next_token) = sweep.turn(call, status);
    let order = |found: &Found| document::order(call, &call.seller.facts(found.index), found);
    let mut payload = json!({"Orders": found.iter().map(order).collect::<Vec<_>>()});
    let watermark = match sweep.key {
        Key::Created => "CreatedBefore",
        Key::Updated => "LastUpdatedBefore",
    };
    payload[watermark] = document::watermark(sweep.until);
    if let Some(next_token) = next_token {
        payload["NextToken"] = json!(next_token);
    }
    let served = served(call, &found, false);
    Ok(Answer::ok(&json!({"payload": payload}))
        .on_page(sweep.page)
        .serving(served))
}

/// `GET /orders/v0/orders/{orderId}`
pub(crate) fn get(call: &SellerCall<'_>) -> Result<Answer, Refusal> {
    let found = find(call)?;
    let order = document::order(call, &call.seller.facts(found.index), &found);
    Ok(Answer::ok(&json!({"payload": order})).serving(served(call, &[found], false)))
}

/// `GET /orders/v0/orders/{orderId}/orderItems`
pub(crate) fn items(call: &SellerCall<'_>) -> Result<Answer, Refusal> {
    let found = find(call)?;
    let order = call.seller.facts(found.index);
    let items: Vec<_> = (0..)
        .zip(&order.items)
        .map(|(position, item)| document::item(call, &order, position, item, found.stage.phase))
        .collect();
    let payload = json!({"AmazonOrderId": order.id, "OrderItems": items});
    Ok(Answer::ok(&json!({"payload": payload})).serving(served(call, &[found], true)))
}

fn find(call: &SellerCall<'_>) -> Result<Found, Refusal> {
    let found = call.seller.find(call.path_parameter, call.now);
    let found = found.and_then(|(index, life)| {
        let stage = life.stage(call.now)?;
        Some(Found { index, life, stage })
    });
    found.ok_or_else(|| Refusal::not_found("The requested order was not found."))
}

/// With a `NextToken`, every other parameter is ignored.
fn sweep(call: &SellerCall<'_>) -> Result<Sweep, Refusal> {
    let parameters = call.parameters;
    if let Some(token) = parameters.get("NextToken") {
        return Sweep::resume(call, token, "NextToken");
    }
    let channels = parameters.list_of("FulfillmentChannels", &["AFN", "MFN"])?;
    let marketplaces = marketplaces(call, "MarketplaceIds")?;
    if marketplaces.is_empty() {
        return Err(Refusal::invalid_input("MarketplaceIds is missing."));
    }
    let page_size = parameters.number("MaxResultsPerPage", 1, 100)?;
    let filters = Filters {
        statuses: parameters.list_of("OrderStatuses", STATUSES)?,
        fulfilled_by: channels
            .iter()
            .map(|channel| party(channel).to_owned())
            .collect(),
        marketplaces,
    };
    Ok(Sweep::start(call, &NAMES, filters)?.with_page_size(page_size.unwrap_or(100)))
}

fn party(channel: &str) -> &'static str {
    if channel == "AFN" {
        "AMAZON"
    } else {
        "MERCHANT"
    }
}

fn served(call: &SellerCall<'_>, found: &[Found], with_items: bool) -> Served {
    Served {
        seller: call.seller.index,
        orders: found
            .iter()
            .map(|found| (found.index, found.stage.since))
            .collect(),
        with_items,
    }
}
