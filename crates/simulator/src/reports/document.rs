//! The content of order reports: tab-separated text, gzipped.

use std::io::Write;

use axum::http::StatusCode;
use flate2::{Compression, write::GzEncoder};

use super::store::Report;
use crate::{
    answer::{Answer, Refusal},
    call::OpenCall,
    clock::{UnixMs, iso_s},
    life::{Life, Phase},
    order::{Item, Order, amount},
    seller::{OrderIndex, Seller},
};

/// A report type that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    ByLastUpdate,
    ByOrderDate,
    /// Unshipped orders with buyer and address.
    Shipping,
}

const KINDS: &[(Kind, &str)] = &[
    (
        Kind::ByLastUpdate,
        "GET_FLAT_FILE_ALL_ORDERS_DATA_BY_LAST_UPDATE_GENERAL",
    ),
    (
        Kind::ByOrderDate,
        "GET_FLAT_FILE_ALL_ORDERS_DATA_BY_ORDER_DATE_GENERAL",
    ),
    (Kind::Shipping, "GET_FLAT_FILE_ORDER_REPORT_DATA_SHIPPING"),
];
const COLUMNS: &[&str] = &[
    "amazon-order-id",
    "merchant-order-id",
    "purchase-date",
    "last-updated-date",
    "order-status",
    "fulfillment-channel",
    "sales-channel",
    "ship-service-level",
    "product-name",
    "sku",
    "asin",
    "item-status",
    "quantity",
    "currency",
    "item-price",
    "item-tax",
    "shipping-price",
    "item-promotion-discount",
    "ship-country",
];
const PERSONAL_COLUMNS: &[&str] = &[
    "buyer-email",
    "buyer-name",
    "buyer-phone-number",
    "recipient-name",
    "ship-address-1",
    "ship-city",
    "ship-postal-code",
];

impl Kind {
    pub(crate) fn find(name: &str) -> Option<Self> {
        KINDS
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(kind, _)| *kind)
    }

    pub(crate) fn name(self) -> &'static str {
        KINDS
            .iter()
            .find(|(kind, _)| *kind == self)
            .map_or("", |(_, name)| name)
    }

    /// Shows personal data, so that its document needs a restricted data token.
    pub(crate) fn is_restricted(self) -> bool {
        self == Self::Shipping
    }
}

impl Report {
    /// The orders that the report shows, as they were when it was asked for.
    pub(crate) fn rows(
        &self,
        seller: &Seller,
        now: UnixMs,
    ) -> impl Iterator<Item = (OrderIndex, Life)> {
        let snapshot = seller.snapshot(self.created, now);
        let chosen: Vec<_> = match self.kind {
            Kind::ByLastUpdate => snapshot.by_update.iter(),
            Kind::ByOrderDate | Kind::Shipping => snapshot.by_creation.iter(),
        }
        .filter(|(at, _)| (self.from..=self.until).contains(at))
        .filter(|(_, index)| {
            self.marketplace_ids
                .iter()
                .any(|id| id == seller.marketplace_of(*index).id)
        })
        .filter_map(|(_, index)| Some((*index, seller.life_of(*index)?)))
        .filter(|(_, life)| self.kind != Kind::Shipping || self.is_unshipped(life))
        .collect();
        chosen.into_iter()
    }

    fn is_unshipped(&self, life: &Life) -> bool {
        life.stage(self.created)
            .is_some_and(|stage| stage.phase == Phase::Unshipped)
    }
}

/// The document as storage sends it.
pub(crate) fn gzipped(call: &OpenCall<'_>, report: &Report) -> Answer {
    let seller = &call.world.sellers[report.seller as usize];
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(text(report, seller, call.now).as_bytes());
    match written.and_then(|()| encoder.finish()) {
        Ok(body) => Answer::new(
            StatusCode::OK,
            "text/tab-separated-values; charset=UTF-8",
            body.into(),
        ),
        Err(error) => Refusal::internal(&error.to_string()).into(),
    }
}

fn text(report: &Report, seller: &Seller, now: UnixMs) -> String {
    let personal = report.kind.is_restricted();
    let extra: &[&str] = if personal { PERSONAL_COLUMNS } else { &[] };
    let mut text = [COLUMNS, extra].concat().join("\t");
    text.push('\n');
    for (index, life) in report.rows(seller, now) {
        let order = seller.facts(index);
        for item in &order.items {
            let mut row = row(&order, item, &life, report.created);
            if personal {
                row.extend(personal_fields(&order));
            }
            text.push_str(&row.join("\t"));
            text.push('\n');
        }
    }
    text
}

fn row(order: &Order, item: &Item, life: &Life, at: UnixMs) -> Vec<String> {
    let stage = life.stage(at);
    let status = stage.map_or("Pending", |stage| match stage.phase {
        Phase::Pending => "Pending",
        Phase::Unshipped => "Unshipped",
        Phase::PartiallyShipped => "Shipping",
        Phase::Shipped | Phase::Delivered => "Shipped",
        Phase::Cancelled => "Cancelled",
    });
    let money = |minor| amount(minor, order.marketplace);
    vec![
        order.id.clone(),
        order.id.clone(),
        iso_s(life.created()),
        iso_s(stage.map_or(life.created(), |stage| stage.since)),
        status.to_owned(),
        if order.fulfilled_by_amazon {
            "Amazon"
        } else {
            "Merchant"
        }
        .to_owned(),
        order.marketplace.name.to_owned(),
        order.service_level.to_owned(),
        item.title.to_owned(),
        item.sku.clone(),
        item.asin.clone(),
        status.to_owned(),
        item.quantity.to_string(),
        order.marketplace.currency.to_owned(),
        money(item.price()),
        money(item.tax),
        money(item.shipping),
        money(item.discount),
        order.marketplace.country.to_owned(),
    ]
}

fn personal_fields(order: &Order) -> [String; 7] {
    let (buyer, address) = (&order.buyer, &order.address);
    [
        buyer.email.clone(),
        buyer.name.clone(),
        address.phone.clone(),
        buyer.name.clone(),
        address.line_1.clone(),
        address.city.to_owned(),
        address.postal_code.clone(),
    ]
}
