//! Acknowledgements on their way to Redis. The fetcher takes those of the shard that it calls anyway, the acker all others.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use bulkhead_broker::Acknowledgement;
use tokio::sync::Notify;

/// As many as go in one call.
const BATCH: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct Gathered {
    state: Mutex<State>,
    /// There is something for the acker.
    news: Notify,
}

#[derive(Debug, Default)]
struct State {
    shards: BTreeMap<u16, Vec<Acknowledgement>>,
    /// What the fetcher could not deliver: the acker's alone.
    returned: Vec<(u16, Vec<Acknowledgement>)>,
    /// What the acker could not deliver: after everything else, until its shard answers somebody.
    put_off: VecDeque<(u16, Vec<Acknowledgement>)>,
    /// Shards that the fetcher calls next, unless it waits for too long.
    left_to_fetcher: BTreeSet<u16>,
    closed: bool,
}

impl Gathered {
    /// Adds one; gives it back if the worker has ended.
    pub(crate) fn add(&self, acknowledgement: Acknowledgement) -> Result<(), Acknowledgement> {
        let mut state = self.lock();
        if state.closed {
            return Err(acknowledgement);
        }
        let shard = acknowledgement.lease.shard();
        state.shards.entry(shard).or_default().push(acknowledgement);
        if !state.left_to_fetcher.contains(&shard) {
            self.news.notify_one();
        }
        Ok(())
    }

    /// What the fetcher takes along to a shard; what gathers there from now on is the acker's.
    pub(crate) fn take(&self, shard: u16) -> Vec<Acknowledgement> {
        let mut state = self.lock();
        state.left_to_fetcher.remove(&shard);
        let taken = state.take(shard);
        if state.shards.contains_key(&shard) {
            self.news.notify_one();
        }
        taken
    }

    /// The acker delivers what the fetcher could not.
    pub(crate) fn give_back(&self, shard: u16, acknowledgements: Vec<Acknowledgement>) {
        if !acknowledgements.is_empty() {
            self.lock().returned.push((shard, acknowledgements));
            self.news.notify_one();
        }
    }

    /// What the acker could not deliver: other shards have their turn first, and what gathers for this one waits too. It
    /// may be this one's node of a cluster alone that is away.
    pub(crate) fn put_off(&self, shard: u16, acknowledgements: Vec<Acknowledgement>) {
        self.lock().put_off.push_back((shard, acknowledgements));
    }

    /// A shard answers: what was put off there waits no longer.
    pub(crate) fn answered(&self, shard: u16) {
        let mut state = self.lock();
        if !state.is_put_off(shard) {
            return;
        }
        for one in std::mem::take(&mut state.put_off) {
            if one.0 == shard {
                state.returned.push(one);
            } else {
                state.put_off.push_back(one);
            }
        }
        self.news.notify_one();
    }

    /// Says which shards the fetcher calls next: it takes along what gathers there. None, whenever it waits.
    pub(crate) fn leave_to_fetcher(&self, shards: impl IntoIterator<Item = u16>) {
        let mut state = self.lock();
        state.left_to_fetcher = shards.into_iter().collect();
        if state.next_shard().is_some() {
            self.news.notify_one();
        }
    }

    /// What the acker delivers next; `None` once it is closed and empty.
    pub(crate) async fn next(&self) -> Option<(u16, Vec<Acknowledgement>)> {
        loop {
            {
                let mut state = self.lock();
                if let Some(returned) = state.returned.pop() {
                    return Some(returned);
                }
                if let Some(shard) = state.next_shard() {
                    return Some((shard, state.take(shard)));
                }
                if let Some(put_off) = state.put_off.pop_front() {
                    return Some(put_off);
                }
                if state.closed {
                    return None;
                }
            }
            self.news.notified().await;
        }
    }

    /// Nothing more is added, and nothing is left to a fetcher.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.left_to_fetcher.clear();
        self.news.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next_shard(&self) -> Option<u16> {
        let mut shards = self.shards.keys();
        shards
            .find(|shard| !self.left_to_fetcher.contains(shard) && !self.is_put_off(**shard))
            .copied()
    }

    fn is_put_off(&self, shard: u16) -> bool {
        self.put_off.iter().any(|(put_off, _)| *put_off == shard)
    }

    fn take(&mut self, shard: u16) -> Vec<Acknowledgement> {
        let Some(gathered) = self.shards.get_mut(&shard) else {
            return Vec::new();
        };
        let rest = gathered.split_off(gathered.len().min(BATCH));
        let taken = std::mem::replace(gathered, rest);
        if gathered.is_empty() {
            self.shards.remove(&shard);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use bulkhead_broker::{Broker, BrokerOptions, FetchRequest, Outcome};
    use bulkhead_devstack::{RedisOptions, RedisServer};
    use bulkhead_domain::{
        ApplicationId, Class, ConnectionId, Job, JobId, JobKind, JobParams, Priority, TenantId,
        WorkerId,
    };
    use futures_util::FutureExt;
    use jiff::civil::date;
    use uuid::Uuid;

    use super::*;

    /// One acknowledgement in each of two shards: only a fetch makes a lease.
    async fn two() -> [Acknowledgement; 2] {
        let redis = RedisServer::start(RedisOptions::default()).await.unwrap();
        let mut options = BrokerOptions::new(redis.url().into());
        options.shards = 2;
        let broker = Broker::connect(&options, Class::Sync).await.unwrap();
        let jobs = [0, 1].map(|n| Job {
            id: JobId::new(Uuid::from_u128(n)),
            kind: JobKind::Sync,
            tenant: TenantId::new(Uuid::nil()),
            connection: ConnectionId::new(Uuid::from_u128(n)),
            application: ApplicationId::new(Uuid::nil()),
            day: date(2026, 11, 24),
            priority: Priority::NIGHT,
            params: JobParams::default(),
            trace: None,
        });
        broker.enqueue(&jobs).await.unwrap();
        let worker = WorkerId::new("a".to_owned());
        let mut both = Vec::new();
        for shard in [0, 1] {
            let request = FetchRequest {
                worker: &worker,
                shard,
                sequence: 1,
                max: 1,
            };
            let lease = broker.fetch(&request).await.unwrap().leased.remove(0).lease;
            let outcome = Outcome::Complete;
            both.push(Acknowledgement { lease, outcome });
        }
        both.try_into().unwrap()
    }

    fn next(gathered: &Gathered) -> Option<Option<(u16, usize)>> {
        let next = gathered.next().now_or_never()?;
        Some(next.map(|(shard, acknowledgements)| (shard, acknowledgements.len())))
    }

    #[tokio::test]
    async fn what_is_left_to_the_fetcher_is_the_ackers_as_soon_as_the_fetcher_waits() {
        let [first, second] = two().await;
        let gathered = Gathered::default();
        gathered.leave_to_fetcher([0]);
        for one in [&first, &second, &first] {
            gathered.add(one.clone()).unwrap();
        }
        assert_eq!(next(&gathered), Some(Some((1, 1))));
        assert_eq!(next(&gathered), None);
        assert_eq!(gathered.take(0).len(), 2);
        // The fetcher is at that shard now: what gathers meanwhile does not wait until it comes round again.
        gathered.add(first.clone()).unwrap();
        assert_eq!(next(&gathered), Some(Some((0, 1))));
        gathered.leave_to_fetcher([0, 1]);
        gathered.add(first).unwrap();
        assert_eq!(next(&gathered), None);
        gathered.leave_to_fetcher([]);
        assert_eq!(next(&gathered), Some(Some((0, 1))));
    }

    #[tokio::test]
    async fn what_was_put_off_comes_after_other_shards_until_its_own_answers() {
        let [first, second] = two().await;
        let gathered = Gathered::default();
        gathered.put_off(0, vec![first.clone(), first.clone()]);
        gathered.add(first.clone()).unwrap();
        gathered.add(second.clone()).unwrap();
        assert_eq!(next(&gathered), Some(Some((1, 1))));
        // Nothing else is left: it is tried again, and then what gathered behind it.
        assert_eq!(next(&gathered), Some(Some((0, 2))));
        assert_eq!(next(&gathered), Some(Some((0, 1))));
        gathered.put_off(0, vec![first.clone(), first]);
        gathered.answered(1);
        gathered.add(second.clone()).unwrap();
        assert_eq!(next(&gathered), Some(Some((1, 1))));
        gathered.add(second).unwrap();
        gathered.answered(0);
        assert_eq!(next(&gathered), Some(Some((0, 2))));
        gathered.close();
        assert_eq!(next(&gathered), Some(Some((1, 1))));
        assert_eq!(next(&gathered), Some(None));
    }

    #[tokio::test]
    async fn what_the_fetcher_could_not_deliver_is_the_ackers_alone() {
        let [first, second] = two().await;
        let gathered = Gathered::default();
        gathered.leave_to_fetcher([0, 1]);
        gathered.add(first.clone()).unwrap();
        let taken = gathered.take(0);
        gathered.leave_to_fetcher([0, 1]);
        gathered.give_back(0, taken);
        assert_eq!(gathered.take(0).len(), 0);
        assert_eq!(next(&gathered), Some(Some((0, 1))));
        gathered.add(second).unwrap();
        gathered.close();
        assert!(gathered.add(first).is_err());
        assert_eq!(next(&gathered), Some(Some((1, 1))));
        assert_eq!(next(&gathered), Some(None));
    }
}
