//! An order and its items as Orders v0 shows them.

use serde_json::{Value, json};

use super::sweep::Found;
use crate::{
    call::SellerCall,
    clock::{UnixMs, iso_s},
    life::Phase,
    marketplace::Marketplace,
    order::{Item, Order, amount, fulfilled},
};

const HOUR_MS: i64 = 3_600_000;

/// The status that this version gives a phase.
pub(crate) fn status(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending => "Pending",
        Phase::Unshipped => "Unshipped",
        Phase::PartiallyShipped => "PartiallyShipped",
        Phase::Shipped | Phase::Delivered => "Shipped",
        Phase::Cancelled => "Canceled",
    }
}

/// The order; buyer and address only where the call's restricted data token shows them.
pub(crate) fn order(call: &SellerCall<'_>, order: &Order, found: &Found) -> Value {
    let (phase, created) = (found.stage.phase, found.life.created());
    let shipped: u32 = (0..)
        .zip(&order.items)
        .map(|(n, item)| fulfilled(n, item, phase))
        .sum();
    let ordered: u32 = order.items.iter().map(|item| item.quantity).sum();
    let unshipped = if phase == Phase::Cancelled {
        0
    } else {
        ordered - shipped
    };
    let after = |hours: i64| iso_s(created + hours * HOUR_MS);
    let mut document = json!({
        "AmazonOrderId": order.id,
        "SellerOrderId": order.id,
        "PurchaseDate": iso_s(created),
        "LastUpdateDate": iso_s(found.stage.since),
        "OrderStatus": status(phase),
        "FulfillmentChannel": if order.fulfilled_by_amazon { "AFN" } else { "MFN" },
        "SalesChannel": order.marketplace.name,
        "ShipServiceLevel": order.service_level,
        "ShipmentServiceLevelCategory": "Standard",
        "NumberOfItemsShipped": shipped,
        "NumberOfItemsUnshipped": unshipped,
        "PaymentMethod": "Other",
        "PaymentMethodDetails": [order.payment_method],
        "MarketplaceId": order.marketplace.id,
        "OrderType": "StandardOrder",
        "EarliestShipDate": after(0),
        "LatestShipDate": after(48),
        "EarliestDeliveryDate": after(48),
        "LatestDeliveryDate": after(168),
        "IsBusinessOrder": order.buyer.company.is_some(),
        "IsPrime": order.prime,
        "IsPremiumOrder": false,
        "IsReplacementOrder": false,
        "IsISPU": false,
        "HasRegulatedItems": false,
    });
    if phase != Phase::Pending {
        document["OrderTotal"] = money(order.total(), order.marketplace);
    }
    if call.may_show("buyerInfo") {
        document["BuyerInfo"] = buyer(order);
    }
    if call.may_show("shippingAddress") {
        document["ShippingAddress"] = address(order);
    }
    document
}

fn buyer(order: &Order) -> Value {
    let mut buyer = json!({"BuyerName": order.buyer.name, "BuyerEmail": order.buyer.email});
    if let Some((_, purchase_order_number)) = &order.buyer.company {
        buyer["PurchaseOrderNumber"] = json!(purchase_order_number);
    }
    buyer
}

fn address(order: &Order) -> Value {
    let address = &order.address;
    let mut document = json!({
        "Name": order.buyer.name,
        "AddressLine1": address.line_1,
        "City": address.city,
        "PostalCode": address.postal_code,
        "CountryCode": order.marketplace.country,
        "Phone": address.phone,
        "AddressType": if order.buyer.company.is_some() { "Commercial" } else { "Residential" },
    });
    if !address.state.is_empty() {
        document["StateOrRegion"] = json!(address.state);
    }
    if let Some(line_2) = &address.line_2 {
        document["AddressLine2"] = json!(line_2);
    }
    document
}

/// One item; a gift's message only where the call's restricted data token shows it.
pub(crate) fn item(
    call: &SellerCall<'_>,
    order: &Order,
    position: usize,
    item: &Item,
    phase: Phase,
) -> Value {
    let market = order.marketplace;
    let mut document = json!({
        "ASIN": item.asin,
        "SellerSKU": item.sku,
        "OrderItemId": item.id,
        "Title": item.title,
        "QuantityOrdered": if phase == Phase::Cancelled { 0 } else { item.quantity },
        "QuantityShipped": fulfilled(position, item, phase),
        "ProductInfo": {"NumberOfItems": "1"},
        "IsGift": if item.gift_message.is_some() { "true" } else { "false" },
        "ConditionId": "New",
        "ConditionSubtypeId": "New",
        "IsTransparency": false,
        "SerialNumberRequired": false,
    });
    if phase != Phase::Pending {
        document["ItemPrice"] = money(item.price(), market);
        document["ItemTax"] = money(item.tax, market);
        document["ShippingPrice"] = money(item.shipping, market);
        document["PromotionDiscount"] = money(item.discount, market);
    }
    if let Some(promotion) = &item.promotion {
        document["PromotionIds"] = json!([promotion]);
    }
    if let Some(message) = item.gift_message.filter(|_| call.may_show("buyerInfo")) {
        document["BuyerInfo"] = json!({"GiftMessageText": message, "GiftWrapLevel": "Premium"});
    }
    document
}

fn money(minor: u64, market: &Marketplace) -> Value {
    json!({"CurrencyCode": market.currency, "Amount": amount(minor, market)})
}

/// A watermark as this version writes it.
pub(crate) fn watermark(at: UnixMs) -> Value {
    json!(iso_s(at))
}
