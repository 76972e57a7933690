//! Orders v0, whose reads end in March 2027: the fallback.
//!
//! An order comes without its items; [`Order::with_items_v0`] joins them. Buyers' data need a restricted data token in place of the access token.

mod wire;

use bulkhead_broker::Permit;
use bulkhead_domain::operation::{GET_ORDER_ITEMS_V0, GET_ORDERS_V0};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::Value;

use crate::{
    call::Called,
    document,
    error::{CallError, Flaw},
    order::{Order, OrderItem},
    orders::{PaginationToken, Since},
    sp_api::{Call, SellerAccess, SpApi},
};

/// Which orders.
#[derive(Debug, Clone)]
pub struct OrdersV0Query {
    /// From when on; Amazon takes exactly one of the two.
    pub since: Since,
    /// Until when; at least two minutes ago. Of the same kind as `since`.
    pub before: Option<Timestamp>,
    /// Of which marketplaces; at least one.
    pub marketplace_ids: Vec<String>,
    /// Orders per page, 1 to 100.
    pub page_size: u8,
    /// The page after the one that gave this token; of the rest only the marketplaces still count.
    pub next_token: Option<PaginationToken>,
}

/// One page of orders.
#[derive(Debug, Clone)]
pub struct OrdersV0Page {
    /// The orders, without items.
    pub orders: Vec<Order>,
    /// The next page; `None` on the last.
    pub next_token: Option<PaginationToken>,
    /// Everything changed before this time is in the pages of this pass.
    pub last_updated_before: Option<Timestamp>,
}

/// One page of an order's items. What Amazon sent is kept until it is joined to its order.
#[derive(Clone)]
pub struct OrderItemsV0Page {
    /// Whose items.
    pub order_id: String,
    /// The items.
    pub items: Vec<OrderItem>,
    /// The next page; `None` on the last.
    pub next_token: Option<PaginationToken>,
    documents: Vec<Value>,
}

impl std::fmt::Debug for OrderItemsV0Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OrderItemsV0Page({} items)", self.items.len())
    }
}

impl SpApi {
    /// One page of the orders that `query` describes.
    ///
    /// # Errors
    /// [`CallError`]: its variants say what to do next.
    pub async fn get_orders_v0(
        &self,
        permit: Permit,
        seller: &SellerAccess<'_>,
        query: &OrdersV0Query,
    ) -> Result<Called<OrdersV0Page>, CallError> {
        let call = Call {
            operation: &GET_ORDERS_V0,
            method: Method::GET,
            path: &["orders", "v0", "orders"],
            query: &query.parameters(),
            body: None,
        };
        self.call(permit, seller, call).await?.decode(page)
    }

    /// One page of the items of one order.
    ///
    /// # Errors
    /// [`CallError`]: its variants say what to do next.
    pub async fn get_order_items_v0(
        &self,
        permit: Permit,
        seller: &SellerAccess<'_>,
        order_id: &str,
        next_token: Option<&PaginationToken>,
    ) -> Result<Called<OrderItemsV0Page>, CallError> {
        let token = next_token.map(|token| ("NextToken", token.as_str().to_owned()));
        let call = Call {
            operation: &GET_ORDER_ITEMS_V0,
            method: Method::GET,
            path: &["orders", "v0", "orders", order_id, "orderItems"],
            query: token.as_slice(),
            body: None,
        };
        self.call(permit, seller, call).await?.decode(items_page)
    }
}

impl OrdersV0Query {
    fn parameters(&self) -> Vec<(&'static str, String)> {
        let mut parameters = vec![("MarketplaceIds", self.marketplace_ids.join(","))];
        if let Some(token) = &self.next_token {
            parameters.push(("NextToken", token.as_str().to_owned()));
            return parameters;
        }
        let (after, before, since) = match self.since {
            Since::LastUpdated(since) => ("LastUpdatedAfter", "LastUpdatedBefore", since),
            Since::Created(since) => ("CreatedAfter", "CreatedBefore", since),
        };
        parameters.push((after, since.to_string()));
        parameters.extend(self.before.map(|time| (before, time.to_string())));
        parameters.push(("MaxResultsPerPage", self.page_size.to_string()));
        parameters
    }
}

fn page(mut answer: Value) -> Result<OrdersV0Page, Flaw> {
    let orders = document::take_list(&mut answer, "/payload/Orders")?;
    Ok(OrdersV0Page {
        orders: orders
            .into_iter()
            .map(wire::order)
            .collect::<Result<_, _>>()?,
        next_token: next_token(&answer),
        last_updated_before: document::time(&answer, "/payload/LastUpdatedBefore"),
    })
}

fn items_page(mut answer: Value) -> Result<OrderItemsV0Page, Flaw> {
    let documents = document::take_list(&mut answer, "/payload/OrderItems")?;
    Ok(OrderItemsV0Page {
        order_id: document::required_text(&answer, "/payload/AmazonOrderId")?,
        items: documents.iter().map(wire::item).collect::<Result<_, _>>()?,
        next_token: next_token(&answer),
        documents,
    })
}

fn next_token(answer: &Value) -> Option<PaginationToken> {
    document::text(answer, "/payload/NextToken")
        .filter(|token| !token.is_empty())
        .map(PaginationToken::new)
}
