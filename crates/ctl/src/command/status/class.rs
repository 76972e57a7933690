//! The queue of each class.

use bulkhead_broker::Stats;
use bulkhead_domain::{Class, ObligationState, TenantId};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::tenant::Owed;
use crate::table::Rows;

#[derive(Debug, Serialize)]
pub(super) struct ClassStatus {
    class: Class,
    queued: u64,
    delayed: u64,
    running: u64,
    dead: u64,
    /// Connections that wait for Amazon.
    parked_lanes: u64,
    /// Connections that an operator holds.
    paused_lanes: u64,
    /// Whether an operator holds the class, as Redis obeys.
    held: bool,
    /// Tenants that an operator holds in it, as Redis obeys.
    held_tenants: Vec<TenantId>,
    /// What the jobs take in Redis.
    bytes: u64,
    /// Since when the first job of a queue has waited; null: nothing is queued.
    oldest_queued_at: Option<Timestamp>,
    /// Since when the longest overdue obligation is due; null: nothing is overdue, or Postgres was not reached.
    oldest_due_at: Option<Timestamp>,
    #[serde(skip)]
    now: Timestamp,
}

impl ClassStatus {
    /// `all`, `2 tenants` or `-`
    fn held_in_short(&self) -> String {
        match (self.held, self.held_tenants.len()) {
            (true, _) => "all".to_owned(),
            (false, 0) => "-".to_owned(),
            (false, 1) => "1 tenant".to_owned(),
            (false, some) => format!("{some} tenants"),
        }
    }

    fn ago(&self, then: Option<Timestamp>) -> String {
        then.map_or_else(|| "-".to_owned(), |then| ago(self.now, then))
    }
}

/// The classes' table.
pub(super) struct Classes<'c>(pub(super) &'c [ClassStatus]);

pub(super) fn summed(stats: &[Stats], owed: Option<&Owed>, now: Timestamp) -> Vec<ClassStatus> {
    let classes = stats.iter().map(|stats| ClassStatus {
        class: stats.class,
        queued: stats.total.queued,
        delayed: stats.total.delayed,
        running: stats.total.running,
        dead: stats.dead,
        parked_lanes: stats.parked_lanes,
        paused_lanes: stats.paused_lanes,
        held: stats.paused,
        held_tenants: stats.paused_tenants.clone(),
        bytes: stats.bytes,
        oldest_queued_at: stats.oldest,
        oldest_due_at: owed
            .and_then(|owed| oldest(owed, stats.class))
            .filter(|due| *due <= now),
        now,
    });
    classes.collect()
}

fn oldest(owed: &Owed, class: Class) -> Option<Timestamp> {
    let open = owed.counts.iter().filter(|count| {
        let is_open = matches!(
            count.state,
            ObligationState::Owed | ObligationState::Enqueued
        );
        is_open && count.kind.class() == class
    });
    open.filter_map(|count| count.earliest_due).min()
}

impl Classes<'_> {
    pub(super) fn render(&self, colour: bool) -> String {
        let heads = [
            "class",
            "queued",
            "delayed",
            "running",
            "dead",
            "parked lanes",
            "paused lanes",
            "held",
            "oldest queued",
            "oldest due",
        ];
        let mut rows = Rows::new(&heads, "");
        for one in self.0 {
            rows.add([
                one.class.to_string(),
                one.queued.to_string(),
                one.delayed.to_string(),
                one.running.to_string(),
                one.dead.to_string(),
                one.parked_lanes.to_string(),
                one.paused_lanes.to_string(),
                one.held_in_short(),
                one.ago(one.oldest_queued_at),
                one.ago(one.oldest_due_at),
            ]);
        }
        rows.render(colour)
    }
}

/// `3m 20s ago`
fn ago(now: Timestamp, then: Timestamp) -> String {
    let seconds = SignedDuration::from_secs(now.duration_since(then).as_secs());
    format!("{seconds:#} ago")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_shown_to_the_second() {
        let now: Timestamp = "2026-11-24T12:00:00.9Z".parse().unwrap();
        let then: Timestamp = "2026-11-24T11:56:40Z".parse().unwrap();
        assert_eq!(ago(now, then), "3m 20s ago");
    }
}
