//! What Redis holds, read past the broker.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use redis::aio::MultiplexedConnection;

use super::state::{Model, Place};

/// Where everything is. Queues are without their ghosts.
#[derive(Debug)]
pub(crate) struct Places {
    alive: BTreeSet<u8>,
    dead: BTreeSet<u8>,
    queues: BTreeMap<(u8, u8), VecDeque<u8>>,
    /// With their ghosts.
    pub(crate) entries: BTreeMap<(u8, u8), VecDeque<u8>>,
    /// Entries that stand for no job, of each lane.
    pub(crate) ghosts: BTreeMap<u8, u64>,
    due: BTreeMap<u8, i64>,
    leases: BTreeMap<u8, i64>,
    holders: BTreeMap<u8, (u64, String)>,
    cancelled: BTreeSet<u8>,
    parked: BTreeMap<u8, i64>,
    disagreements: Vec<String>,
}

type Ids = Vec<Vec<u8>>;
type Timed = Vec<(Vec<u8>, f64)>;
type Texts = BTreeMap<Vec<u8>, Vec<u8>>;
/// The reply of `places.lua`.
type Raw = (
    (Ids, Ids, Ids),
    Ids,
    BTreeMap<Vec<u8>, u64>,
    Timed,
    Timed,
    Texts,
    Ids,
    Timed,
    Ids,
    Vec<String>,
);

impl Places {
    pub(crate) async fn read(redis: &MultiplexedConnection) -> Self {
        let raw: Raw = redis::Script::new(include_str!("places.lua"))
            .invoke_async(&mut redis.clone())
            .await
            .unwrap();
        let (
            (jobs, dead, bodies),
            entries,
            ghosts,
            due,
            leases,
            holders,
            cancelled,
            parked,
            trials,
            disagreements,
        ) = raw;
        assert_eq!(set(&dead), set(&bodies), "dead letters and their bodies");
        assert!(
            set(&trials).is_subset(&set(&jobs)),
            "trials of jobs that do not live"
        );
        let mut of_lanes = BTreeMap::new();
        for (entry, count) in &ghosts {
            *of_lanes.entry(number(entry)).or_default() += count;
        }
        Self {
            alive: set(&jobs),
            dead: set(&dead),
            entries: queues(&entries, BTreeMap::new()),
            queues: queues(&entries, ghosts),
            ghosts: of_lanes,
            due: times(&due),
            leases: times(&leases),
            holders: holders
                .iter()
                .map(|(id, holder)| (number(id), read_holder(holder)))
                .collect(),
            cancelled: set(&cancelled),
            parked: times(&parked),
            disagreements,
        }
    }

    /// When a delayed job may run, µs.
    pub(crate) fn due_us(&self, n: u8) -> Option<i64> {
        self.due.get(&n).copied()
    }

    /// Every job is in the one place where the model has it, and nothing else is anywhere.
    pub(crate) fn check(&self, model: &Model) {
        assert!(self.disagreements.is_empty(), "{:?}", self.disagreements);
        assert_eq!(
            self.alive,
            model.jobs.keys().copied().collect(),
            "who lives"
        );
        assert_eq!(
            self.dead,
            model.dead.keys().copied().collect(),
            "who is dead"
        );
        assert_eq!(self.queues, model.queues, "queues");
        assert_eq!(self.parked, model.parked, "parked lanes");
        let (mut due, mut leases) = (BTreeMap::new(), BTreeMap::new());
        let (mut holders, mut cancelled) = (BTreeMap::new(), BTreeSet::new());
        for (n, job) in &model.jobs {
            match &job.place {
                Place::Queued => {}
                Place::Delayed { until_us } => {
                    due.insert(*n, *until_us);
                }
                Place::Running(run) => {
                    leases.insert(*n, run.expires_us);
                    holders.insert(*n, (run.token, run.worker.clone()));
                    if run.is_cancelled {
                        cancelled.insert(*n);
                    }
                }
            }
        }
        assert_eq!(self.due, due, "delayed jobs");
        assert_eq!(self.leases, leases, "leases");
        assert_eq!(self.holders, holders, "holders of leases");
        assert_eq!(
            self.cancelled, cancelled,
            "jobs that are not wanted any more"
        );
    }
}

/// The number of a job, a lane or a tenant: each stands in the first half of its id.
fn number(id: &[u8]) -> u8 {
    id[7]
}

fn set(ids: &[Vec<u8>]) -> BTreeSet<u8> {
    let numbers: BTreeSet<u8> = ids.iter().map(|id| number(id)).collect();
    assert_eq!(numbers.len(), ids.len());
    numbers
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "µs since 1970 are below 2^53"
)]
fn times(timed: &[(Vec<u8>, f64)]) -> BTreeMap<u8, i64> {
    timed
        .iter()
        .map(|(id, time_us)| (number(id), *time_us as i64))
        .collect()
}

/// Entries are connection, priority and id; a ghost is one of them.
fn queues(
    entries: &[Vec<u8>],
    mut ghosts: BTreeMap<Vec<u8>, u64>,
) -> BTreeMap<(u8, u8), VecDeque<u8>> {
    let mut queues: BTreeMap<_, VecDeque<u8>> = BTreeMap::new();
    for entry in entries {
        match ghosts.get_mut(entry) {
            Some(left) if *left > 0 => *left -= 1,
            _ => {
                let queue = (number(entry), entry[16] - b'0');
                queues
                    .entry(queue)
                    .or_default()
                    .push_back(number(&entry[17..]));
            }
        }
    }
    let without_entry: Vec<_> = ghosts.iter().filter(|(_, left)| **left > 0).collect();
    assert!(
        without_entry.is_empty(),
        "ghosts without an entry: {without_entry:?}"
    );
    queues
}

fn read_holder(holder: &[u8]) -> (u64, String) {
    let text = String::from_utf8(holder.to_vec()).unwrap();
    let (token, worker) = text.split_at(16);
    (token.parse().unwrap(), worker.trim_end().to_owned())
}
