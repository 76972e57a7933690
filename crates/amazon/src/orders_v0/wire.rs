//! An order of v0 → [`Order`], in the words of 2026-01-01.

use serde_json::Value;

use super::OrderItemsV0Page;
use crate::{
    document::{count, money, required_count, required_text, required_time, text, time},
    error::Flaw,
    order::{Order, OrderItem},
    pii::{BuyerPii, ORDERS_V0},
};

const MONEY: (&str, &str) = ("/Amount", "/CurrencyCode");

pub(super) fn order(mut document: Value) -> Result<Order, Flaw> {
    let pii = BuyerPii::take_out(&mut document, ORDERS_V0);
    Ok(Order {
        order_id: required_text(&document, "/AmazonOrderId")?,
        created: required_time(&document, "/PurchaseDate")?,
        last_updated: required_time(&document, "/LastUpdateDate")?,
        fulfillment_status: Some(status(&required_text(&document, "/OrderStatus")?)),
        fulfilled_by: text(&document, "/FulfillmentChannel").map(fulfilled_by),
        marketplace_id: text(&document, "/MarketplaceId"),
        channel: text(&document, "/SalesChannel"),
        grand_total: money(&document, "/OrderTotal", MONEY),
        ship_by: time(&document, "/LatestShipDate"),
        deliver_by: time(&document, "/LatestDeliveryDate"),
        items: Vec::new(),
        document,
        pii,
    })
}

pub(super) fn item(document: &Value) -> Result<OrderItem, Flaw> {
    let quantity_ordered = required_count(document, "/QuantityOrdered")?;
    Ok(OrderItem {
        item_id: required_text(document, "/OrderItemId")?,
        asin: text(document, "/ASIN"),
        sku: text(document, "/SellerSKU"),
        title: text(document, "/Title"),
        quantity_ordered,
        quantity_fulfilled: count(document, "/QuantityShipped"),
        // `ItemPrice` is the line's price: that of one only where one was ordered. It stays in the document.
        unit_price: money(document, "/ItemPrice", MONEY).filter(|_| quantity_ordered == 1),
        proceeds_total: None,
    })
}

impl Order {
    /// Joins an order of v0 and its items, all pages in their order. The document gets them under `OrderItems`.
    #[must_use]
    pub fn with_items_v0(mut self, pages: Vec<OrderItemsV0Page>) -> Self {
        let mut documents = Vec::new();
        for page in pages {
            self.items.extend(page.items);
            documents.extend(page.documents);
        }
        self.document["OrderItems"] = Value::Array(documents);
        let pii = BuyerPii::take_out(&mut self.document, ORDERS_V0);
        self.pii = BuyerPii::join(self.pii, pii);
        self
    }
}

/// `PartiallyShipped` → `PARTIALLY_SHIPPED`; the one word that is spelt otherwise is `Canceled`.
fn status(v0: &str) -> String {
    if v0 == "Canceled" {
        return "CANCELLED".to_owned();
    }
    let mut status = String::with_capacity(v0.len() + 2);
    for (index, c) in v0.char_indices() {
        if index > 0 && c.is_ascii_uppercase() {
            status.push('_');
        }
        status.push(c.to_ascii_uppercase());
    }
    status
}

fn fulfilled_by(channel: String) -> String {
    match channel.as_str() {
        "AFN" => "AMAZON".to_owned(),
        "MFN" => "MERCHANT".to_owned(),
        _ => channel,
    }
}
