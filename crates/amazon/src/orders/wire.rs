//! An order of 2026-01-01 → [`Order`].

use serde_json::Value;

use crate::{
    document::{count, money, required_count, required_text, required_time, text, time},
    error::Flaw,
    order::{Order, OrderItem},
    pii::{BuyerPii, ORDERS_2026_01_01},
};

const MONEY: (&str, &str) = ("/amount", "/currencyCode");

pub(super) fn order(mut document: Value) -> Result<Order, Flaw> {
    let pii = BuyerPii::take_out(&mut document, ORDERS_2026_01_01);
    let items = document.pointer("/orderItems").and_then(Value::as_array);
    let items = items.ok_or(Flaw::Missing("/orderItems"))?;
    Ok(Order {
        order_id: required_text(&document, "/orderId")?,
        created: required_time(&document, "/createdTime")?,
        last_updated: required_time(&document, "/lastUpdatedTime")?,
        fulfillment_status: text(&document, "/fulfillment/fulfillmentStatus"),
        fulfilled_by: text(&document, "/fulfillment/fulfilledBy"),
        marketplace_id: text(&document, "/salesChannel/marketplaceId"),
        channel: text(&document, "/salesChannel/channelName"),
        grand_total: money(&document, "/proceeds/grandTotal", MONEY),
        ship_by: time(&document, "/fulfillment/shipByWindow/latestDateTime"),
        deliver_by: time(&document, "/fulfillment/deliverByWindow/latestDateTime"),
        items: items.iter().map(item).collect::<Result<_, _>>()?,
        document,
        pii,
    })
}

fn item(document: &Value) -> Result<OrderItem, Flaw> {
    Ok(OrderItem {
        item_id: required_text(document, "/orderItemId")?,
        asin: text(document, "/product/asin"),
        sku: text(document, "/product/sellerSku"),
        title: text(document, "/product/title"),
        quantity_ordered: required_count(document, "/quantityOrdered")?,
        quantity_fulfilled: count(document, "/fulfillment/quantityFulfilled"),
        unit_price: money(document, "/product/price/unitPrice", MONEY),
        proceeds_total: money(document, "/proceeds/proceedsTotal", MONEY),
    })
}
