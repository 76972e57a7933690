//! A page of orders as rows.

use std::collections::HashMap;

use bulkhead_amazon::{BuyerPii, Money, Order, OrderItem};
use bulkhead_store::{OrderItemRow, OrderRow};
use jiff::Timestamp;
use serde_json::Value;

/// Under which names the two versions of the API keep an order's items, and an item's id.
const ITEMS: [(&str, &str); 2] = [("orderItems", "orderItemId"), ("OrderItems", "OrderItemId")];

/// What one page stores.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) orders: Vec<OrderRow>,
    pub(crate) items: Vec<OrderItemRow>,
    pub(crate) pii: Vec<Personal>,
}

/// A buyer's data on the way to being sealed.
#[derive(Debug)]
pub(crate) struct Personal {
    pub(crate) order_id: String,
    pub(crate) last_updated: Timestamp,
    pub(crate) pii: BuyerPii,
}

impl Rows {
    /// The rows of `orders`; of an order that is there twice, the newer.
    pub(crate) fn of(orders: Vec<Order>) -> Self {
        let mut newest: HashMap<String, Order> = HashMap::new();
        for order in orders {
            let older = newest
                .get(&order.order_id)
                .is_none_or(|found| found.last_updated <= order.last_updated);
            if older {
                newest.insert(order.order_id.clone(), order);
            }
        }
        let mut rows = Self::default();
        for order in newest.into_values() {
            rows.add(order);
        }
        rows
    }

    fn add(&mut self, mut order: Order) {
        let documents = take_items(&mut order.document);
        if let Some(pii) = order.pii.take() {
            self.pii.push(Personal {
                order_id: order.order_id.clone(),
                last_updated: order.last_updated,
                pii,
            });
        }
        let mut seen = Vec::new();
        for item in &order.items {
            // One item twice in one order would be two rows with one key.
            if !seen.contains(&&item.item_id) {
                seen.push(&item.item_id);
                self.items.push(item_row(&order, item, &documents));
            }
        }
        self.orders.push(order_row(order));
    }
}

/// An item's document is its own row's: taken out of the order's.
fn take_items(document: &mut Value) -> HashMap<String, Value> {
    let mut documents = HashMap::new();
    for (items, id) in ITEMS {
        let taken = document
            .as_object_mut()
            .and_then(|fields| fields.remove(items));
        let Some(Value::Array(taken)) = taken else {
            continue;
        };
        for item in taken {
            if let Some(id) = item.get(id).and_then(Value::as_str) {
                documents.insert(id.to_owned(), item);
            }
        }
    }
    documents
}

fn order_row(order: Order) -> OrderRow {
    let (total_amount, total_currency) = money(order.grand_total);
    OrderRow {
        order_id: order.order_id,
        created_time: order.created,
        last_updated_time: order.last_updated,
        marketplace_id: order.marketplace_id,
        fulfillment_status: order.fulfillment_status,
        fulfilled_by: order.fulfilled_by,
        total_amount,
        total_currency,
        document: order.document,
    }
}

fn item_row(order: &Order, item: &OrderItem, documents: &HashMap<String, Value>) -> OrderItemRow {
    let (total_amount, total_currency) = money(item.proceeds_total.clone());
    OrderItemRow {
        order_id: order.order_id.clone(),
        order_item_id: item.item_id.clone(),
        last_updated_time: order.last_updated,
        asin: item.asin.clone(),
        seller_sku: item.sku.clone(),
        title: item.title.clone(),
        quantity_ordered: pieces(item.quantity_ordered),
        quantity_fulfilled: item.quantity_fulfilled.map(pieces),
        total_amount,
        total_currency,
        document: documents.get(&item.item_id).cloned().unwrap_or(Value::Null),
    }
}

fn money(money: Option<Money>) -> (Option<String>, Option<String>) {
    money.map_or((None, None), |money| {
        (Some(money.amount), Some(money.currency))
    })
}

/// Nobody orders two thousand million pieces of anything.
fn pieces(count: i64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
