//! A seller: who it is, and the orders it has at any time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{
    clock::{Pace, UnixMs},
    dice::{ALPHANUMERIC, CAPITALS, Dice},
    life::Life,
    marketplace::{self, Marketplace},
    order::{Identity, Order},
};

/// Above this number of orders none arrive by themselves, so that memory stays bounded.
const MAX_ORDERS: usize = 2_000_000;
const DAY_MS: f64 = 86_400_000.0;
/// Distinguish the dice of what belongs to the same order.
const LIFE: u64 = 1;
const IDENTITY: u64 = 2;
const FACTS: u64 = 3;
const PLACE: u64 = 4;
const CREATED: u64 = 5;

/// Position of an order in its seller's list: never changes, and all its facts follow from it.
pub(crate) type OrderIndex = u32;

/// One seller and its orders.
#[derive(Debug)]
pub(crate) struct Seller {
    pub(crate) index: u32,
    pub(crate) id: String,
    pub(crate) region: &'static str,
    pub(crate) marketplaces: Vec<&'static Marketplace>,
    pub(crate) refresh_token: String,
    /// Index of the application that it is authorized for.
    pub(crate) application: u16,
    rules: Rules,
    orders: Mutex<Orders>,
}

/// What all sellers share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) seed: u64,
    pub(crate) start_ms: UnixMs,
    pub(crate) pace: Pace,
    pub(crate) arrivals_per_hour: f64,
}

#[derive(Debug, Default)]
struct Orders {
    lives: Vec<Life>,
    /// How many of `lives` appeared by themselves after the start.
    scheduled: u32,
    snapshot: Option<Arc<Snapshot>>,
}

/// The orders that existed at `at`, by the time of their last change.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) at: UnixMs,
    /// (last updated, order), sorted: the key that pages follow.
    pub(crate) by_update: Vec<(UnixMs, OrderIndex)>,
    /// (created, order), sorted.
    pub(crate) by_creation: Vec<(UnixMs, OrderIndex)>,
}

impl Seller {
    pub(crate) fn new(index: u32, applications: u16, orders: u32, rules: Rules) -> Self {
        let mut dice = Dice::for_thing(&[rules.seed, u64::from(index), 0x5E11E4]);
        let region = ["na", "eu", "fe"][index as usize % 3];
        let mut marketplaces = marketplace::of_region(region);
        marketplaces.truncate(1 + dice.below(marketplaces.len() as u64) as usize);
        let seller = Self {
            index,
            id: format!("A{}{index:05}", dice.text(CAPITALS, 8)),
            region,
            marketplaces,
            refresh_token: format!("Atzr|IwEBI{}", dice.text(ALPHANUMERIC, 300)),
            application: (index % u32::from(applications)) as u16,
            rules,
            orders: Mutex::default(),
        };
        seller.place_existing(orders);
        seller
    }

    pub(crate) fn store_name(&self) -> &'static str {
        Dice::for_thing(&[self.rules.seed, u64::from(self.index), 0x57043])
            .pick(crate::catalog::STORES)
    }

    fn place_existing(&self, count: u32) {
        let mut orders = self.lock();
        for index in 0..count {
            let age_ms = self.dice(CREATED, index).between(600_000.0, 30.0 * DAY_MS);
            let life = self.life(index, self.rules.start_ms - age_ms as i64);
            orders.lives.push(life);
        }
    }

    /// Lets orders appear whose time has come.
    fn catch_up(&self, orders: &mut Orders, now: UnixMs) {
        let every_s = 3_600.0 / self.rules.arrivals_per_hour;
        while self.rules.arrivals_per_hour > 0.0 && orders.lives.len() < MAX_ORDERS {
            let early_s = self
                .dice(CREATED, u32::MAX - orders.scheduled)
                .between(0.0, every_s);
            let after_s = every_s * f64::from(orders.scheduled + 1) - early_s;
            let created = self.rules.pace.at(self.rules.start_ms, after_s);
            if created > now {
                return;
            }
            orders.scheduled += 1;
            let life = self.life(orders.lives.len() as OrderIndex, created);
            orders.lives.push(life);
        }
    }

    /// Places `count` new orders now and names them; `None` if they are too many to keep.
    pub(crate) fn arrive(&self, count: u32, now: UnixMs) -> Option<Vec<String>> {
        let mut orders = self.lock();
        self.catch_up(&mut orders, now);
        let first = orders.lives.len() as OrderIndex;
        let arrived = first..first + count;
        if arrived.end as usize > MAX_ORDERS {
            return None;
        }
        orders
            .lives
            .extend(arrived.clone().map(|index| self.life(index, now)));
        Some(arrived.map(|index| self.identity(index).order_id).collect())
    }

    /// All orders as they were at `at`, which is not after `now`.
    pub(crate) fn snapshot(&self, at: UnixMs, now: UnixMs) -> Arc<Snapshot> {
        let mut orders = self.lock();
        self.catch_up(&mut orders, now);
        if let Some(snapshot) = orders.snapshot.as_ref().filter(|s| s.at == at) {
            return Arc::clone(snapshot);
        }
        let snapshot = Arc::new(Snapshot::take(&orders.lives, at));
        // What arrives within this millisecond is not in it yet.
        orders.snapshot = (at < now).then(|| Arc::clone(&snapshot));
        snapshot
    }

    /// The life of an order that a snapshot named.
    pub(crate) fn life_of(&self, index: OrderIndex) -> Option<Life> {
        self.lock().lives.get(index as usize).cloned()
    }

    /// The order that `order_id` names, if it exists at `now`.
    pub(crate) fn find(&self, order_id: &str, now: UnixMs) -> Option<(OrderIndex, Life)> {
        let index: OrderIndex = order_id.rsplit('-').next()?.parse().ok()?;
        let mut orders = self.lock();
        self.catch_up(&mut orders, now);
        let life = orders.lives.get(index as usize)?.clone();
        (self.identity(index).order_id == order_id).then_some((index, life))
    }

    pub(crate) fn identity(&self, index: OrderIndex) -> Identity {
        Identity::draw(&mut self.dice(IDENTITY, index), self.index, index)
    }

    pub(crate) fn facts(&self, index: OrderIndex) -> Order {
        let mut dice = self.dice(FACTS, index);
        Order::draw(&mut dice, self.identity(index), self.marketplace_of(index))
    }

    pub(crate) fn is_fulfilled_by_amazon(&self, index: OrderIndex) -> bool {
        Order::is_fulfilled_by_amazon(&mut self.dice(FACTS, index))
    }

    /// Where an order was placed: mostly in the seller's first marketplace.
    pub(crate) fn marketplace_of(&self, index: OrderIndex) -> &'static Marketplace {
        let mut dice = self.dice(PLACE, index);
        if dice.percent(60) {
            self.marketplaces[0]
        } else {
            dice.pick(&self.marketplaces)
        }
    }

    fn life(&self, index: OrderIndex, created: UnixMs) -> Life {
        let mut dice = self.dice(LIFE, index);
        Life::draw(&mut dice, self.rules.start_ms, created, self.rules.pace)
    }

    fn dice(&self, of: u64, index: OrderIndex) -> Dice {
        Dice::for_thing(&[self.rules.seed, u64::from(self.index), u64::from(index), of])
    }

    fn lock(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Snapshot {
    fn take(lives: &[Life], at: UnixMs) -> Self {
        let existing = || {
            lives
                .iter()
                .zip(0..)
                .filter(|(life, _)| life.created() <= at)
        };
        let mut by_update: Vec<_> = existing()
            .filter_map(|(life, index)| Some((life.stage(at)?.since, index)))
            .collect();
        by_update.sort_unstable();
        let mut by_creation: Vec<_> = existing()
            .map(|(life, index)| (life.created(), index))
            .collect();
        by_creation.sort_unstable();
        Self {
            at,
            by_update,
            by_creation,
        }
    }
}
