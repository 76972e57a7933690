//! Orders 2026-01-01: search with paging, get.

mod wire;

use bulkhead_broker::Permit;
use bulkhead_domain::operation::{GET_ORDER, SEARCH_ORDERS};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::Value;

use crate::{
    call::Called,
    document,
    error::{CallError, Flaw},
    order::Order,
    sp_api::{Call, SellerAccess, SpApi},
};

/// Which orders.
#[derive(Debug, Clone)]
pub struct OrdersQuery {
    /// From when on; Amazon takes exactly one of the two.
    pub since: Since,
    /// Until when; at least two minutes ago. Of the same kind as `since`.
    pub before: Option<Timestamp>,
    /// Of which marketplaces; empty means all of the seller's.
    pub marketplace_ids: Vec<String>,
    /// Orders per page, 1 to 100.
    pub page_size: u8,
    /// The page after the one that gave this token. The rest of the query must stay as it was; only `page_size` and `included_data` may change.
    pub pagination_token: Option<PaginationToken>,
    /// Branches of the order beside the bare one.
    pub included_data: Vec<IncludedData>,
}

/// From when on. Both ends are inclusive, so that an order may come twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// Changed at or after this time.
    LastUpdated(Timestamp),
    /// Placed at or after this time.
    Created(Timestamp),
}

/// Where the next page begins; good for 24 hours. Opaque.
#[derive(Clone, PartialEq, Eq)]
pub struct PaginationToken(String);

impl PaginationToken {
    /// Takes a token that was stored with a checkpoint.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The token, to be stored with a checkpoint.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for PaginationToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PaginationToken(…)")
    }
}

/// A branch of the order that Amazon sends only if asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncludedData {
    /// Who bought.
    Buyer,
    /// Where it goes.
    Recipient,
    /// What it brings.
    Proceeds,
    /// What it costs.
    Expense,
    /// Which promotions applied.
    Promotion,
    /// Whether and why it was cancelled.
    Cancellation,
    /// When it must ship and arrive.
    Fulfillment,
    /// In which packages it went.
    Packages,
    /// Taxes and registrations.
    Tax,
    /// How it was paid.
    Payment,
    /// Orders that fulfil it.
    FulfillmentOrders,
}

impl IncludedData {
    /// Every branch.
    pub const ALL: [Self; 11] = [
        Self::Buyer,
        Self::Recipient,
        Self::Proceeds,
        Self::Expense,
        Self::Promotion,
        Self::Cancellation,
        Self::Fulfillment,
        Self::Packages,
        Self::Tax,
        Self::Payment,
        Self::FulfillmentOrders,
    ];

    /// The branch as Amazon names it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Buyer => "BUYER",
            Self::Recipient => "RECIPIENT",
            Self::Proceeds => "PROCEEDS",
            Self::Expense => "EXPENSE",
            Self::Promotion => "PROMOTION",
            Self::Cancellation => "CANCELLATION",
            Self::Fulfillment => "FULFILLMENT",
            Self::Packages => "PACKAGES",
            Self::Tax => "TAX",
            Self::Payment => "PAYMENT",
            Self::FulfillmentOrders => "FULFILLMENT_ORDERS",
        }
    }
}

/// One page of a search.
#[derive(Debug, Clone)]
pub struct SearchOrdersPage {
    /// The orders, with their items.
    pub orders: Vec<Order>,
    /// The next page; `None` on the last.
    pub next_token: Option<PaginationToken>,
    /// Everything changed before this time is in the pages of this search: the next search's `since` once the last page is stored.
    pub last_updated_before: Option<Timestamp>,
}

impl SpApi {
    /// One page of the orders that `query` describes.
    ///
    /// # Errors
    /// [`CallError`]: its variants say what to do next. A pagination token past its 24 hours is a [`CallError::InvalidRequest`].
    pub async fn search_orders(
        &self,
        permit: Permit,
        seller: &SellerAccess<'_>,
        query: &OrdersQuery,
    ) -> Result<Called<SearchOrdersPage>, CallError> {
        let call = Call {
            operation: &SEARCH_ORDERS,
            method: Method::GET,
            path: &["orders", "2026-01-01", "orders"],
            query: &query.parameters(),
            body: None,
        };
        self.call(permit, seller, call).await?.decode(page)
    }

    /// One order.
    ///
    /// # Errors
    /// [`CallError`]: its variants say what to do next.
    pub async fn get_order(
        &self,
        permit: Permit,
        seller: &SellerAccess<'_>,
        order_id: &str,
        included_data: &[IncludedData],
    ) -> Result<Called<Order>, CallError> {
        let call = Call {
            operation: &GET_ORDER,
            method: Method::GET,
            path: &["orders", "2026-01-01", "orders", order_id],
            query: &included(included_data),
            body: None,
        };
        self.call(permit, seller, call).await?.decode(single)
    }
}

impl OrdersQuery {
    /// Always in this order: Amazon wants a page's parameters as they were on the first.
    fn parameters(&self) -> Vec<(&'static str, String)> {
        let (after, before, since) = match self.since {
            Since::LastUpdated(since) => ("lastUpdatedAfter", "lastUpdatedBefore", since),
            Since::Created(since) => ("createdAfter", "createdBefore", since),
        };
        let mut parameters = vec![(after, since.to_string())];
        parameters.extend(self.before.map(|time| (before, time.to_string())));
        if !self.marketplace_ids.is_empty() {
            parameters.push(("marketplaceIds", self.marketplace_ids.join(",")));
        }
        parameters.push(("maxResultsPerPage", self.page_size.to_string()));
        parameters.extend(included(&self.included_data));
        if let Some(token) = &self.pagination_token {
            parameters.push(("paginationToken", token.0.clone()));
        }
        parameters
    }
}

fn included(data: &[IncludedData]) -> Vec<(&'static str, String)> {
    let names: Vec<&str> = data.iter().map(|branch| branch.as_str()).collect();
    if names.is_empty() {
        return Vec::new();
    }
    vec![("includedData", names.join(","))]
}

fn page(mut answer: Value) -> Result<SearchOrdersPage, Flaw> {
    let orders = document::take_list(&mut answer, "/orders")?;
    Ok(SearchOrdersPage {
        orders: orders
            .into_iter()
            .map(wire::order)
            .collect::<Result<_, _>>()?,
        next_token: document::text(&answer, "/pagination/nextToken")
            .filter(|token| !token.is_empty())
            .map(PaginationToken),
        last_updated_before: document::time(&answer, "/lastUpdatedBefore"),
    })
}

fn single(mut answer: Value) -> Result<Order, Flaw> {
    let order = answer.get_mut("order").map(Value::take);
    wire::order(order.ok_or(Flaw::Missing("/order"))?)
}
