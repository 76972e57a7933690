//! The log of requests, with the time at which each arrived: the judge of tests.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{faults::Kind, operation::OPERATIONS};

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// When it arrived by the host's real clock, unix microseconds.
    pub(crate) arrived_us: i64,
    /// Position in the table of operations; `None` for unknown paths.
    pub(crate) operation: Option<usize>,
    pub(crate) seller: Option<u32>,
    pub(crate) application: Option<u16>,
    /// HTTP status of the answer; 0 while there is none, and for ever if none was sent.
    pub(crate) status: u16,
    pub(crate) page: Option<u32>,
    pub(crate) fault: Option<Kind>,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ending {
    pub(crate) status: u16,
    pub(crate) page: Option<u32>,
    pub(crate) fault: Option<Kind>,
    /// Refused because the usage plan was exceeded.
    pub(crate) over_plan: bool,
}

/// Totals since the start; they survive the log's ring.
#[derive(Debug, Clone, Default)]
pub(crate) struct Totals {
    pub(crate) requests: u64,
    pub(crate) by_operation: Vec<u64>,
    pub(crate) by_status: BTreeMap<u16, u64>,
    pub(crate) by_fault: BTreeMap<Kind, u64>,
    pub(crate) over_plan: u64,
}

/// The last requests, numbered from 1.
#[derive(Debug)]
pub(crate) struct Journal {
    capacity: usize,
    ring: Mutex<Ring>,
}

#[derive(Debug)]
struct Ring {
    entries: VecDeque<Entry>,
    totals: Totals,
}

/// Requests that were asked for are no longer in the log.
#[derive(Debug, thiserror::Error)]
#[error(
    "requests up to {dropped} were dropped from the log, which keeps {capacity} (--log-capacity)"
)]
pub(crate) struct Dropped {
    dropped: u64,
    capacity: usize,
}

impl Journal {
    pub(crate) fn new(capacity: usize) -> Self {
        let totals = Totals {
            by_operation: vec![0; OPERATIONS.len()],
            ..Totals::default()
        };
        let ring = Ring {
            entries: VecDeque::new(),
            totals,
        };
        Self {
            capacity,
            ring: Mutex::new(ring),
        }
    }

    /// Writes a request down and gives it its number.
    pub(crate) fn arrived(&self, entry: Entry) -> u64 {
        let mut ring = self.lock();
        if ring.entries.len() == self.capacity {
            ring.entries.pop_front();
        }
        ring.totals.requests += 1;
        if let Some(operation) = entry.operation {
            ring.totals.by_operation[operation] += 1;
        }
        ring.entries.push_back(entry);
        ring.totals.requests
    }

    /// Notes how the request with this number ended.
    pub(crate) fn ended(&self, sequence: u64, ending: Ending) {
        let mut ring = self.lock();
        *ring.totals.by_status.entry(ending.status).or_default() += 1;
        ring.totals.over_plan += u64::from(ending.over_plan);
        if let Some(fault) = ending.fault {
            *ring.totals.by_fault.entry(fault).or_default() += 1;
        }
        let dropped = ring.dropped();
        let position = sequence
            .checked_sub(dropped + 1)
            .map(|position| position as usize);
        if let Some(entry) = position.and_then(|position| ring.entries.get_mut(position)) {
            entry.status = ending.status;
            entry.page = ending.page;
            entry.fault = ending.fault;
        }
    }

    /// The requests numbered above `after`, with their numbers.
    ///
    /// # Errors
    /// [`Dropped`]: some of them are no longer kept.
    pub(crate) fn since(&self, after: u64) -> Result<Vec<(u64, Entry)>, Dropped> {
        let ring = self.lock();
        let dropped = ring.dropped();
        let capacity = self.capacity;
        if after < dropped {
            return Err(Dropped { dropped, capacity });
        }
        let kept = ring.entries.iter().skip((after - dropped) as usize);
        Ok((after + 1..).zip(kept.cloned()).collect())
    }

    pub(crate) fn totals(&self) -> Totals {
        self.lock().totals.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    /// Number of the last request that is no longer kept; 0 if all are.
    fn dropped(&self) -> u64 {
        self.totals.requests - self.entries.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(arrived_us: i64) -> Entry {
        Entry {
            arrived_us,
            operation: Some(0),
            seller: None,
            application: None,
            status: 0,
            page: None,
            fault: None,
        }
    }

    #[test]
    fn asking_for_dropped_requests_is_an_error() {
        let journal = Journal::new(3);
        for at in 0..5 {
            journal.arrived(entry(at));
        }
        let kept: Vec<_> = journal
            .since(2)
            .unwrap()
            .into_iter()
            .map(|(n, e)| (n, e.arrived_us))
            .collect();
        assert_eq!(kept, [(3, 2), (4, 3), (5, 4)]);
        let error = journal.since(1).unwrap_err().to_string();
        assert!(error.contains("up to 2 were dropped"), "{error}");
    }

    #[test]
    fn a_request_that_ends_after_it_was_dropped_is_still_counted() {
        let journal = Journal::new(1);
        let first = journal.arrived(entry(1));
        journal.arrived(entry(2));
        let ending = Ending {
            status: 200,
            ..Ending::default()
        };
        journal.ended(first, ending);
        assert_eq!(journal.since(1).unwrap()[0].1.status, 0);
        assert_eq!(journal.totals().by_status[&200], 1);
    }
}
