//! Jobs to measure with: about 200 bytes each.

use bulkhead_domain::{
    ApplicationId, ConnectionId, Dataset, Job, JobId, JobKind, JobParams, Priority, TenantId,
};
use jiff::civil::date;
use uuid::Uuid;

/// How many connections one tenant has.
pub(crate) const LANES_PER_TENANT: u128 = 10;

/// Spreads a number over all 128 bits, as real ids are.
fn id(kind: u64, number: u128) -> Uuid {
    Uuid::new_v5(
        &Uuid::NAMESPACE_OID,
        &[&kind.to_be_bytes()[..], &number.to_be_bytes()[..]].concat(),
    )
}

pub(crate) fn tenant(number: u128) -> TenantId {
    TenantId::new(id(1, number))
}

pub(crate) fn connection(number: u128) -> ConnectionId {
    ConnectionId::new(id(2, number))
}

pub(crate) fn application(number: u64) -> ApplicationId {
    ApplicationId::new(id(4, u128::from(number)))
}

/// Job `number` of a connection of a tenant.
pub(crate) fn job(number: u128, tenant: TenantId, connection: ConnectionId) -> Job {
    Job {
        id: JobId::new(id(3, number)),
        kind: JobKind::Sync,
        tenant,
        connection,
        application: application(0),
        day: date(2026, 11, 24),
        priority: Priority::NIGHT,
        params: JobParams {
            dataset: Some(Dataset::Orders),
            since: None,
        },
        trace: None,
    }
}

/// `count` jobs, the first of them number `first`, one after the other on each of `lanes` connections.
pub(crate) fn spread(first: u128, count: usize, lanes: usize) -> Vec<Job> {
    let lanes: Vec<_> = (0..lanes.max(1) as u128)
        .map(|lane| (tenant(lane / LANES_PER_TENANT), connection(lane)))
        .collect();
    (0..count)
        .map(|n| {
            let (tenant, connection) = lanes[n % lanes.len()];
            job(first + n as u128, tenant, connection)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_has_about_two_hundred_bytes() {
        let json = serde_json::to_vec(&spread(0, 1, 1)[0]).expect("plain data");
        assert!((190..=260).contains(&json.len()), "{}", json.len());
    }

    #[test]
    fn jobs_are_spread_over_their_lanes() {
        let jobs = spread(7, 40, 20);
        let lanes: std::collections::HashSet<_> = jobs.iter().map(|job| job.connection).collect();
        let tenants: std::collections::HashSet<_> = jobs.iter().map(|job| job.tenant).collect();
        let ids: std::collections::HashSet<_> = jobs.iter().map(|job| job.id).collect();
        assert_eq!((lanes.len(), tenants.len(), ids.len()), (20, 2, 40));
    }
}
