//! The model's numbers in the broker's words, and back.

use std::collections::BTreeSet;

use bulkhead_broker::{Acknowledgement, CapScope, JobFilter, Lease, Outcome};
use bulkhead_domain::JobId;

use super::{
    settings::{Capped, Scope},
    state::Held,
};
use crate::fixture::{connection, job_id, tenant};

/// The number in a job's id.
pub(super) fn number(id: JobId) -> u8 {
    let n = u8::try_from(id.uuid().as_u128() >> 64).unwrap();
    assert_eq!(id, job_id(n.into()));
    n
}

pub(super) fn said(ends: &[(Lease, Outcome)]) -> Vec<Acknowledgement> {
    let said = |(lease, outcome): &(Lease, Outcome)| Acknowledgement {
        lease: lease.clone(),
        outcome: outcome.clone(),
    };
    ends.iter().map(said).collect()
}

pub(super) fn held(ends: &[(Lease, Outcome)]) -> Vec<(Held, Outcome)> {
    let held = ends
        .iter()
        .map(|(lease, outcome)| (held_of(lease), outcome.clone()));
    held.collect()
}

pub(super) fn held_of(lease: &Lease) -> Held {
    (number(lease.job_id()), lease.token().get())
}

pub(super) fn numbers(ids: &[JobId]) -> Vec<u8> {
    ids.iter().copied().map(number).collect()
}

pub(super) fn set(ids: &[JobId]) -> BTreeSet<u8> {
    ids.iter().copied().map(number).collect()
}

pub(super) fn cap(of: Capped) -> CapScope {
    match of {
        Capped::EveryLane => CapScope::EveryConnection,
        Capped::EveryTenant => CapScope::EveryTenant,
        Capped::Lane(lane) => CapScope::Connection(connection(lane.into())),
        Capped::Tenant(number) => CapScope::Tenant(tenant(number.into())),
    }
}

pub(super) fn filter(scope: &Scope) -> JobFilter {
    let mut filter = JobFilter::default();
    match *scope {
        Scope::All => {}
        Scope::Job(n) => filter.id = Some(job_id(n.into())),
        Scope::Lane(lane) => filter.connection = Some(connection(lane.into())),
        Scope::Tenant(number) => filter.tenant = Some(tenant(number.into())),
    }
    filter
}
