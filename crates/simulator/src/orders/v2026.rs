//! Orders 2026-01-01.

use serde::Serialize;

use super::{
    document_v2026::{Included, status},
    shape_v2026::Document,
    sweep::{Filters, Found, Key, Names, Sweep, marketplaces},
};
use crate::{
    answer::{Answer, Refusal, Served},
    call::SellerCall,
    clock::iso_ms,
    order::Order,
};

const NAMES: Names = Names {
    created_after: "createdAfter",
    created_before: "createdBefore",
    updated_after: "lastUpdatedAfter",
    updated_before: "lastUpdatedBefore",
};
const STATUSES: &[&str] = &[
    "PENDING_AVAILABILITY",
    "PENDING",
    "UNSHIPPED",
    "PARTIALLY_SHIPPED",
    "SHIPPED",
    "CANCELLED",
    "UNFULFILLABLE",
];
/// May differ from page to page of a sweep.
const FREE_PARAMETERS: &[&str] = &["paginationToken", "maxResultsPerPage", "includedData"];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    orders: Vec<Document<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pagination: Option<Pagination>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_updated_before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_before: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Pagination {
    next_token: String,
}

#[derive(Serialize)]
struct One<'a> {
    order: Document<'a>,
}

/// `GET /orders/2026-01-01/orders`
pub(crate) fn search(call: &SellerCall<'_>) -> Result<Answer, Refusal> {
    let included = Included::read(call)?;
    let sweep = sweep(call)?;
    let (found, next_token) = sweep.turn(call, status);
    let facts: Vec<Order> = found
        .iter()
        .map(|found| call.seller.facts(found.index))
        .collect();
    let documents = found.iter().zip(&facts);
    let watermark = |key| (sweep.key == key).then(|| iso_ms(sweep.until));
    let page = Page {
        orders: documents
            .map(|(found, order)| Document::new(order, found, sweep.seen_at, included))
            .collect(),
        pagination: next_token.map(|next_token| Pagination { next_token }),
        last_updated_before: watermark(Key::Updated),
        created_before: watermark(Key::Created),
    };
    let served = served(call, &found);
    Ok(Answer::ok(&page).on_page(sweep.page).serving(served))
}

/// `GET /orders/2026-01-01/orders/{orderId}`
pub(crate) fn get(call: &SellerCall<'_>) -> Result<Answer, Refusal> {
    let included = Included::read(call)?;
    let (index, life) = call
        .seller
        .find(call.path_parameter, call.now)
        .ok_or_else(|| Refusal::not_found("The requested order was not found."))?;
    let stage = life
        .stage(call.now)
        .ok_or_else(|| Refusal::internal("order without a stage"))?;
    let found = Found { index, life, stage };
    let facts = call.seller.facts(index);
    let order = Document::new(&facts, &found, call.now, included);
    Ok(Answer::ok(&One { order }).serving(served(call, &[found])))
}

fn sweep(call: &SellerCall<'_>) -> Result<Sweep, Refusal> {
    let parameters = call.parameters;
    let fingerprint = parameters.fingerprint(FREE_PARAMETERS);
    let page_size = parameters.number("maxResultsPerPage", 1, 100)?;
    let sweep = match parameters.get("paginationToken") {
        Some(token) => Sweep::resume(call, token, "paginationToken")?,
        None => Sweep::start(call, &NAMES, filters(call)?)?.bound_to(fingerprint),
    };
    if !sweep.is_bound_to(fingerprint) {
        return Err(Refusal::invalid_input(
            "The parameters of a request with a paginationToken must be those of the first request.",
        ));
    }
    Ok(sweep.with_page_size(page_size.unwrap_or(100)))
}

fn filters(call: &SellerCall<'_>) -> Result<Filters, Refusal> {
    Ok(Filters {
        statuses: call.parameters.list_of("fulfillmentStatuses", STATUSES)?,
        fulfilled_by: call
            .parameters
            .list_of("fulfilledBy", &["MERCHANT", "AMAZON"])?,
        marketplaces: marketplaces(call, "marketplaceIds")?,
    })
}

fn served(call: &SellerCall<'_>, found: &[Found]) -> Served {
    Served {
        seller: call.seller.index,
        orders: found
            .iter()
            .map(|found| (found.index, found.stage.since))
            .collect(),
        with_items: true,
    }
}
