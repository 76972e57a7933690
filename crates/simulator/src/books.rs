//! What the controls show: requests, counts, orders.

use std::{collections::BTreeMap, sync::atomic::Ordering};

use serde_json::{Value, json};

use crate::{
    clock::{UnixMs, iso_ms},
    faults::Fault,
    journal::Entry,
    life::Phase,
    operation::OPERATIONS,
    seller::{OrderIndex, Seller},
    world::World,
};

/// One line of the request log. `status` 0: no answer was sent (yet).
pub(crate) fn request(world: &World, sequence: u64, entry: &Entry) -> Value {
    json!({
        "sequence": sequence,
        "arrived_us": entry.arrived_us,
        "operation": entry.operation.map(|operation| OPERATIONS[operation].key),
        "seller_id": entry.seller.map(|seller| &world.sellers[seller as usize].id),
        "application": entry.application.map(|a| &world.applications[usize::from(a)].client_id),
        "status": entry.status,
        "page": entry.page,
        "fault": entry.fault,
    })
}

/// Totals since the start. `throttled` are all 429, `over_plan` those that a usage plan gave.
pub(crate) fn counts(world: &World) -> Value {
    let totals = world.journal.totals();
    let by_operation: BTreeMap<_, _> = OPERATIONS
        .iter()
        .zip(&totals.by_operation)
        .filter(|(_, count)| **count > 0)
        .map(|(operation, count)| (operation.key, *count))
        .collect();
    let by_status: BTreeMap<_, _> = totals
        .by_status
        .iter()
        .map(|(status, count)| (status.to_string(), *count))
        .collect();
    let by_fault: Vec<_> = totals
        .by_fault
        .iter()
        .map(|(fault, count)| json!({"kind": fault, "count": count}))
        .collect();
    let (orders, order_items) = served_totals(world);
    json!({
        "requests": totals.requests,
        "by_operation": by_operation,
        "by_status": by_status,
        "by_fault": by_fault,
        "throttled": totals.by_status.get(&429).copied().unwrap_or_default(),
        "over_plan": totals.over_plan,
        "token_refreshes": token_refreshes(world),
        "orders": orders,
        "order_items": order_items,
    })
}

fn token_refreshes(world: &World) -> Value {
    let of = |seller: &Seller| {
        world.grants[seller.index as usize]
            .refreshes
            .load(Ordering::Relaxed)
    };
    let per_seller: BTreeMap<_, _> = world
        .sellers
        .iter()
        .map(|seller| (&seller.id, of(seller)))
        .filter(|(_, n)| *n > 0)
        .collect();
    let total: u64 = per_seller.values().sum();
    json!({"total": total, "per_seller": per_seller})
}

/// Different orders, and different items, that clients were sent.
fn served_totals(world: &World) -> (usize, usize) {
    world
        .sellers
        .iter()
        .fold((0, 0), |(orders, items), seller| {
            let served = world.served.of(seller.index);
            let with_items = served.iter().filter(|(_, order)| order.with_items);
            let of_seller: usize = with_items
                .map(|(index, _)| seller.identity(*index).item_ids.len())
                .sum();
            (orders + served.len(), items + of_seller)
        })
}

/// Every order of a seller that a complete answer contained, with the newest state sent.
pub(crate) fn served(world: &World, seller: &Seller) -> Vec<Value> {
    let served = world.served.of(seller.index);
    let view = |(index, order): (&OrderIndex, &crate::served::ServedOrder)| {
        let identity = seller.identity(*index);
        let items = if order.with_items {
            identity.item_ids
        } else {
            Vec::new()
        };
        json!({
            "order_id": identity.order_id,
            "last_updated_time": iso_ms(order.last_updated),
            "items": items,
        })
    };
    served.iter().map(view).collect()
}

/// Every order that exists now, by the time of its last change.
pub(crate) fn orders(world: &World, seller: &Seller) -> Vec<Value> {
    let now = world.clock.now_ms();
    let snapshot = seller.snapshot(now, now);
    let orders = snapshot.by_update.iter();
    orders
        .filter_map(|(_, index)| order(seller, *index, now))
        .collect()
}

fn order(seller: &Seller, index: OrderIndex, now: UnixMs) -> Option<Value> {
    let life = seller.life_of(index)?;
    let stage = life.stage(now)?;
    let identity = seller.identity(index);
    Some(json!({
        "order_id": identity.order_id,
        "created_time": iso_ms(life.created()),
        "last_updated_time": iso_ms(stage.since),
        "status": status(stage.phase),
        "items": identity.item_ids,
    }))
}

fn status(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending => "PENDING",
        Phase::Unshipped => "UNSHIPPED",
        Phase::PartiallyShipped => "PARTIALLY_SHIPPED",
        Phase::Shipped => "SHIPPED",
        Phase::Delivered => "DELIVERED",
        Phase::Cancelled => "CANCELLED",
    }
}

/// An armed fault.
pub(crate) fn fault(world: &World, fault: &Fault) -> Value {
    let mut view = json!(fault);
    view["operation"] = json!(fault.operation.map(|operation| OPERATIONS[operation].key));
    view["seller_id"] = json!(
        fault
            .seller
            .map(|seller| &world.sellers[seller as usize].id)
    );
    view
}

/// Sellers that have withdrawn their authorization.
pub(crate) fn revoked(world: &World) -> Vec<&str> {
    let sellers = world.sellers.iter();
    let revoked = sellers.filter(|seller| world.grants[seller.index as usize].is_revoked());
    revoked.map(|seller| seller.id.as_str()).collect()
}
