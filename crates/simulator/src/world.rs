//! Everything there is: applications, sellers, their grants, and the books that are kept on clients.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
};

use crate::{
    access_token::Mint,
    clock::{Pace, SimulatedClock},
    dice::{ALPHANUMERIC, Dice, HEXADECIMAL},
    faults::Faults,
    journal::Journal,
    lwa::AuthorizationCodes,
    operation::OPERATIONS,
    options::Options,
    reports::Reports,
    restricted::RestrictedTokens,
    seller::{Rules, Seller},
    served::ServedOrders,
    usage_plan::Limiter,
};

/// The state of one simulator.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) options: Options,
    pub(crate) base_url: String,
    pub(crate) clock: SimulatedClock,
    pub(crate) pace: Pace,
    pub(crate) mint: Mint,
    pub(crate) applications: Vec<Application>,
    pub(crate) sellers: Vec<Seller>,
    pub(crate) grants: Vec<Grant>,
    pub(crate) codes: AuthorizationCodes,
    pub(crate) restricted: RestrictedTokens,
    pub(crate) reports: Reports,
    pub(crate) faults: Faults,
    pub(crate) journal: Journal,
    pub(crate) served: ServedOrders,
    limiters: Vec<Option<Limiter>>,
    by_seller_id: HashMap<String, u32>,
    by_refresh_token: HashMap<String, u32>,
}

/// A developer's application.
#[derive(Debug)]
pub(crate) struct Application {
    pub(crate) application_id: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
}

/// A seller's authorization of its applications.
#[derive(Debug, Default)]
pub(crate) struct Grant {
    revoked: AtomicBool,
    /// Applications that it has authorized besides the one from the start.
    further: Mutex<BTreeSet<u16>>,
    /// Access tokens of an earlier generation count as expired.
    generation: AtomicU32,
    /// Access tokens given for the refresh token.
    pub(crate) refreshes: AtomicU64,
}

impl Grant {
    pub(crate) fn is_revoked(&self) -> bool {
        self.revoked.load(Ordering::SeqCst)
    }

    pub(crate) fn set_revoked(&self, revoked: bool) {
        self.revoked.store(revoked, Ordering::SeqCst);
    }

    /// Notes that the seller has authorized this application too.
    pub(crate) fn consent(&self, application: u16) {
        self.further().insert(application);
    }

    pub(crate) fn has_consented(&self, application: u16) -> bool {
        self.further().contains(&application)
    }

    fn further(&self) -> MutexGuard<'_, BTreeSet<u16>> {
        self.further.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn generation(&self) -> u32 {
        self.generation.load(Ordering::SeqCst)
    }

    pub(crate) fn expire_tokens(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }
}

impl World {
    pub(crate) fn new(options: Options, base_url: String) -> Self {
        let clock = SimulatedClock::start();
        let pace = Pace::new(options.time_scale);
        let rules = Rules {
            seed: options.seed,
            start_ms: clock.started_ms(),
            pace,
            arrivals_per_hour: options.arrivals_per_hour,
        };
        let sellers: Vec<_> = (0..options.sellers)
            .map(|index| Seller::new(index, options.applications, options.orders, rules))
            .collect();
        let limiter = |plan| Limiter::new(plan, pace, clock.clone());
        let by = |name: fn(&Seller) -> &String| {
            sellers
                .iter()
                .map(|seller| (name(seller).clone(), seller.index))
                .collect()
        };
        Self {
            base_url,
            pace,
            mint: Mint::new(options.seed),
            applications: (0..options.applications)
                .map(|n| Application::new(options.seed, n))
                .collect(),
            grants: sellers.iter().map(|_| Grant::default()).collect(),
            codes: AuthorizationCodes::default(),
            restricted: RestrictedTokens::default(),
            reports: Reports::default(),
            faults: Faults::new(options.seed),
            journal: Journal::new(options.log_capacity as usize),
            served: ServedOrders::new(sellers.len()),
            limiters: OPERATIONS
                .iter()
                .map(|operation| operation.plan.map(limiter))
                .collect(),
            by_seller_id: by(|seller| &seller.id),
            by_refresh_token: by(|seller| &seller.refresh_token),
            clock,
            options,
            sellers,
        }
    }

    pub(crate) fn seller(&self, seller_id: &str) -> Option<&Seller> {
        self.by_seller_id
            .get(seller_id)
            .map(|index| &self.sellers[*index as usize])
    }

    pub(crate) fn seller_of_refresh_token(&self, token: &str) -> Option<u32> {
        self.by_refresh_token.get(token).copied()
    }

    pub(crate) fn application(&self, client_id: &str) -> Option<u16> {
        (0..)
            .zip(&self.applications)
            .find(|(_, a)| a.client_id == client_id)
            .map(|(index, _)| index)
    }

    /// The buckets of an operation with a plan.
    pub(crate) fn limiter(&self, operation: usize) -> Option<&Limiter> {
        self.limiters[operation].as_ref()
    }

    /// The grants that a control call means: one seller's, or all.
    pub(crate) fn grants_of(&self, seller: Option<u32>) -> &[Grant] {
        match seller {
            Some(seller) => &self.grants[seller as usize..=seller as usize],
            None => &self.grants,
        }
    }
}

impl Application {
    fn new(seed: u64, number: u16) -> Self {
        let mut dice = Dice::for_thing(&[seed, u64::from(number), 0xA99]);
        Self {
            application_id: format!("amzn1.sp.solution.{}", dice.text(HEXADECIMAL, 32)),
            client_id: format!(
                "amzn1.application-oa2-client.{}",
                dice.text(HEXADECIMAL, 32)
            ),
            client_secret: format!("amzn1.oa2-cs.v1.{}", dice.text(ALPHANUMERIC, 64)),
        }
    }
}
