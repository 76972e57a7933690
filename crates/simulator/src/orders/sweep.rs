//! One pass over a seller's orders, page by page.
//!
//! A sweep sees the orders as they were two minutes (Amazon's) before its first page, so that every
//! order appears exactly once, however the orders change meanwhile. What changed later is found by
//! the next sweep, which starts at this one's watermark.

use serde::{Deserialize, Serialize};

use crate::{
    answer::Refusal,
    call::SellerCall,
    clock::UnixMs,
    life::{Life, Stage},
    marketplace::Marketplace,
    opaque,
    seller::OrderIndex,
};

/// Changes appear in a search only this long after they happened.
pub(crate) const LAG_S: f64 = 120.0;
const TOKEN_LIFETIME_S: f64 = 24.0 * 3_600.0;

/// Which time a sweep selects and sorts by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Key {
    Created,
    Updated,
}

/// Which orders, and how far the sweep has come; the content of a paging token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Sweep {
    pub(crate) key: Key,
    pub(crate) from: UnixMs,
    /// Watermark: the last moment that the sweep covers.
    pub(crate) until: UnixMs,
    /// The moment whose state it shows.
    pub(crate) seen_at: UnixMs,
    filters: Filters,
    page_size: u32,
    /// Number of the page to come, from 1.
    pub(crate) page: u32,
    /// The last order of the page before.
    after: Option<(UnixMs, OrderIndex)>,
    issued: UnixMs,
    seller: u32,
    application: u16,
    /// Of the request's parameters; see `Parameters::fingerprint`.
    fingerprint: u64,
}

/// Which orders of its time a sweep shows; an empty list means all.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Filters {
    pub(crate) statuses: Vec<String>,
    pub(crate) marketplaces: Vec<String>,
    pub(crate) fulfilled_by: Vec<String>,
}

/// How a version of the API names the parameters.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) created_after: &'static str,
    pub(crate) created_before: &'static str,
    pub(crate) updated_after: &'static str,
    pub(crate) updated_before: &'static str,
}

/// One order of a page.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) index: OrderIndex,
    pub(crate) life: Life,
    pub(crate) stage: Stage,
}

impl Sweep {
    /// The sweep that a request without a paging token starts.
    pub(crate) fn start(
        call: &SellerCall<'_>,
        names: &Names,
        filters: Filters,
    ) -> Result<Self, Refusal> {
        let window = Window::read(call, names)?;
        let seen_at = call.now - call.world.pace.ms(LAG_S);
        Ok(Self {
            key: window.key,
            from: window.from,
            until: window.until.unwrap_or(seen_at),
            seen_at,
            filters,
            page_size: 100,
            page: 1,
            after: None,
            issued: call.now,
            seller: call.seller.index,
            application: call.application,
            fingerprint: 0,
        })
    }

    /// The sweep that `token` continues.
    ///
    /// # Errors
    /// 400 if the token is not ours, another seller's, or older than 24 hours.
    pub(crate) fn resume(call: &SellerCall<'_>, token: &str, name: &str) -> Result<Self, Refusal> {
        let sweep = opaque::open::<Self>(call.world.options.seed, token).filter(|sweep| {
            sweep.seller == call.seller.index && sweep.application == call.application
        });
        let sweep = sweep.ok_or_else(|| Refusal::invalid_input(format!("Invalid {name}.")))?;
        if call.now > sweep.issued + call.world.pace.ms(TOKEN_LIFETIME_S) {
            return Err(Refusal::invalid_input(format!("The {name} has expired.")));
        }
        Ok(sweep)
    }

    /// The next page, and the token of the page after it unless this is the last.
    pub(crate) fn turn(
        &self,
        call: &SellerCall<'_>,
        status: StatusName,
    ) -> (Vec<Found>, Option<String>) {
        let snapshot = call.seller.snapshot(self.seen_at, call.now);
        let sorted = match self.key {
            Key::Created => &snapshot.by_creation,
            Key::Updated => &snapshot.by_update,
        };
        let first = match self.after {
            Some(after) => sorted.partition_point(|entry| *entry <= after),
            None => sorted.partition_point(|(at, _)| *at < self.from),
        };
        let mut last = None;
        let mut found = Vec::with_capacity(self.page_size as usize);
        for (at, index) in sorted[first..]
            .iter()
            .take_while(|(at, _)| *at <= self.until)
        {
            let Some(order) = self.admit(call, *index, status) else {
                continue;
            };
            if found.len() == self.page_size as usize {
                return (found, last.map(|last| self.token_after(call, last)));
            }
            found.push(order);
            last = Some((*at, *index));
        }
        (found, None)
    }

    fn admit(&self, call: &SellerCall<'_>, index: OrderIndex, status: StatusName) -> Option<Found> {
        let life = call.seller.life_of(index)?;
        let stage = life.stage(self.seen_at)?;
        let wanted =
            |list: &[String], value: &str| list.is_empty() || list.iter().any(|v| v == value);
        let fulfilled_by = || {
            if call.seller.is_fulfilled_by_amazon(index) {
                "AMAZON"
            } else {
                "MERCHANT"
            }
        };
        let admitted = wanted(&self.filters.statuses, status(stage.phase))
            && wanted(
                &self.filters.marketplaces,
                call.seller.marketplace_of(index).id,
            )
            && (self.filters.fulfilled_by.is_empty()
                || wanted(&self.filters.fulfilled_by, fulfilled_by()));
        admitted.then_some(Found { index, life, stage })
    }

    fn token_after(&self, call: &SellerCall<'_>, last: (UnixMs, OrderIndex)) -> String {
        let next = Self {
            after: Some(last),
            page: self.page + 1,
            issued: call.now,
            ..self.clone()
        };
        opaque::seal(call.world.options.seed, &next)
    }

    /// Ties the sweep to the parameters that it was started with.
    pub(crate) fn bound_to(self, fingerprint: u64) -> Self {
        Self {
            fingerprint,
            ..self
        }
    }

    pub(crate) fn with_page_size(self, page_size: u32) -> Self {
        Self { page_size, ..self }
    }

    pub(crate) fn is_bound_to(&self, fingerprint: u64) -> bool {
        self.fingerprint == fingerprint
    }
}

/// How a version of the API names a phase.
pub(crate) type StatusName = fn(crate::life::Phase) -> &'static str;

struct Window {
    key: Key,
    from: UnixMs,
    until: Option<UnixMs>,
}

impl Window {
    fn read(call: &SellerCall<'_>, names: &Names) -> Result<Self, Refusal> {
        let time = |name| call.parameters.time(name);
        let created = (time(names.created_after)?, time(names.created_before)?);
        let updated = (time(names.updated_after)?, time(names.updated_before)?);
        let (key, from, until, after, before) = match (created, updated) {
            ((Some(from), until), (None, None)) => (
                Key::Created,
                from,
                until,
                names.created_after,
                names.created_before,
            ),
            ((None, None), (Some(from), until)) => (
                Key::Updated,
                from,
                until,
                names.updated_after,
                names.updated_before,
            ),
            _ => {
                return Err(Refusal::invalid_input(format!(
                    "Exactly one of {} and {} must be given, and no *Before of the other.",
                    names.created_after, names.updated_after
                )));
            }
        };
        let latest = call.now - call.world.pace.ms(LAG_S);
        if until.is_some_and(|until| until < from || until > latest) {
            return Err(Refusal::invalid_input(format!(
                "{before} must be equal to or after {after} and at least two minutes before now."
            )));
        }
        if from > call.now {
            return Err(Refusal::invalid_input(format!(
                "{after} must not be in the future."
            )));
        }
        Ok(Self { key, from, until })
    }
}

/// The marketplaces that a request names, all of which must be the seller's.
pub(crate) fn marketplaces(call: &SellerCall<'_>, name: &str) -> Result<Vec<String>, Refusal> {
    let sells_in = |id: &str| {
        let mine = &call.seller.marketplaces;
        mine.iter()
            .any(|marketplace: &&'static Marketplace| marketplace.id == id)
    };
    let ids = call.parameters.list(name);
    match ids.iter().find(|id| !sells_in(id)) {
        Some(_) => Err(Refusal::invalid_input(format!("Invalid {name}."))),
        None if ids.len() > 50 => Err(Refusal::invalid_input(format!("At most 50 {name}."))),
        None => Ok(ids),
    }
}
