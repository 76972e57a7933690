//! An order as the fleet stores it, whichever version of the API it came through.

use jiff::Timestamp;
use serde_json::Value;

use crate::pii::BuyerPii;

/// What is used, typed; everything else, raw; buyers' personal data, apart.
#[derive(Debug, Clone)]
pub struct Order {
    /// `111-1234567-1234567`.
    pub order_id: String,
    /// When the buyer placed it.
    pub created: Timestamp,
    /// When Amazon last changed anything about it.
    pub last_updated: Timestamp,
    /// In the words of 2026-01-01: `UNSHIPPED`, `SHIPPED`, …
    pub fulfillment_status: Option<String>,
    /// `AMAZON` or `MERCHANT`.
    pub fulfilled_by: Option<String>,
    /// `ATVPDKIKX0DER`.
    pub marketplace_id: Option<String>,
    /// The sales channel's name.
    pub channel: Option<String>,
    /// What the buyer pays in all.
    pub grand_total: Option<Money>,
    /// The end of the window to ship in.
    pub ship_by: Option<Timestamp>,
    /// The end of the window to deliver in.
    pub deliver_by: Option<Timestamp>,
    /// The items, in Amazon's order.
    pub items: Vec<OrderItem>,
    /// Everything that Amazon sent, fields that this code does not know included, without what is in `pii`.
    pub document: Value,
    /// What was taken out of `document`; `None` if there was nothing.
    pub pii: Option<BuyerPii>,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderItem {
    /// Unique within the order.
    pub item_id: String,
    /// Amazon's number for the product.
    pub asin: Option<String>,
    /// The seller's.
    pub sku: Option<String>,
    /// The product's title.
    pub title: Option<String>,
    /// How many were ordered.
    pub quantity_ordered: i64,
    /// How many have shipped.
    pub quantity_fulfilled: Option<i64>,
    /// The price of one.
    pub unit_price: Option<Money>,
    /// What the seller gets for this line.
    pub proceeds_total: Option<Money>,
}

/// An amount as Amazon wrote it; never rounded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Money {
    /// Decimal: `19.99`.
    pub amount: String,
    /// ISO 4217: `USD`.
    pub currency: String,
}
