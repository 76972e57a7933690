//! What operators set and name, and how large the model is.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

/// What the body of a job takes: of one that may run at once, and of one with a time.
pub(crate) const BODY_BYTES: u64 = 85;
pub(crate) const TIMED_BODY_BYTES: u64 = 103;
pub(crate) const JOBS: u8 = 20;
pub(crate) const LANES: u8 = 5;
pub(crate) const TENANTS: u8 = 2;
pub(crate) const WORKERS: usize = 3;

/// The state that no answer of the broker decides: what operators have set, and the time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    pub(crate) now: Timestamp,
    pub(crate) max_crashes: u32,
    /// How many living jobs a tenant may have: its high-water mark, in bodies of jobs.
    pub(crate) jobs_of_tenant: Option<u32>,
    pub(crate) paused_lanes: BTreeSet<u8>,
    pub(crate) held_tenants: BTreeSet<u8>,
    pub(crate) class_is_held: bool,
    pub(crate) weights: BTreeMap<u8, u8>,
    pub(crate) caps: BTreeMap<Capped, u32>,
}

/// What a cap on jobs in flight is about: one lane or tenant, or all that have none of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Capped {
    EveryLane,
    EveryTenant,
    Lane(u8),
    Tenant(u8),
}

/// What an operator's command is about.
#[derive(Debug, Clone)]
pub(crate) enum Scope {
    All,
    Job(u8),
    Lane(u8),
    Tenant(u8),
}

/// A lane belongs to one tenant.
pub(crate) fn tenant_of(lane: u8) -> u8 {
    lane % TENANTS
}

impl Settings {
    /// The cap that holds, or no limit.
    pub(crate) fn most(&self, own: Capped, every: Capped) -> usize {
        let cap = self.caps.get(&own).or_else(|| self.caps.get(&every));
        cap.map_or(usize::MAX, |most| usize::try_from(*most).unwrap())
    }

    /// A tenant's mark.
    pub(crate) fn high_water_bytes(&self) -> Option<u64> {
        Some(u64::from(self.jobs_of_tenant?) * BODY_BYTES)
    }

    /// Whether an operator holds a lane, or its tenant.
    pub(crate) fn is_held(&self, lane: u8) -> bool {
        self.paused_lanes.contains(&lane) || self.held_tenants.contains(&tenant_of(lane))
    }
}

impl Scope {
    pub(crate) fn matches(&self, n: u8, lane: u8) -> bool {
        match *self {
            Self::All => true,
            Self::Job(wanted) => n == wanted,
            Self::Lane(wanted) => lane == wanted,
            Self::Tenant(wanted) => tenant_of(lane) == wanted,
        }
    }
}
