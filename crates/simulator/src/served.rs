//! What clients have been sent: the judge of "lost 0, duplicated 0".

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{answer::Served, clock::UnixMs, seller::OrderIndex};

/// Per seller, every order that a complete answer contained.
#[derive(Debug)]
pub(crate) struct ServedOrders(Vec<Mutex<BTreeMap<OrderIndex, ServedOrder>>>);

/// The newest state of an order that a client was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ServedOrder {
    pub(crate) last_updated: UnixMs,
    /// Whether its items were sent too (Orders v0 sends them apart).
    pub(crate) with_items: bool,
}

impl ServedOrders {
    pub(crate) fn new(sellers: usize) -> Self {
        Self((0..sellers).map(|_| Mutex::default()).collect())
    }

    pub(crate) fn record(&self, served: &Served) {
        let mut orders = self.lock(served.seller);
        for (index, last_updated) in &served.orders {
            let order = orders.entry(*index).or_insert(ServedOrder {
                last_updated: *last_updated,
                with_items: false,
            });
            order.last_updated = order.last_updated.max(*last_updated);
            order.with_items |= served.with_items;
        }
    }

    pub(crate) fn of(&self, seller: u32) -> BTreeMap<OrderIndex, ServedOrder> {
        self.lock(seller).clone()
    }

    fn lock(&self, seller: u32) -> MutexGuard<'_, BTreeMap<OrderIndex, ServedOrder>> {
        self.0[seller as usize]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
