//! When to look at which shard for jobs.

use std::time::Duration;

use bulkhead_broker::{Broker, WakeMark, Wakes};
use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::time::Instant;

/// The longest time that a shard is not looked at: bounds the harm of a lost wake-up.
pub(crate) const LONGEST_SLEEP: Duration = Duration::from_secs(2);

/// The shards of a class, as one worker sees them.
pub(crate) struct Shards {
    wakes: Wakes,
    /// Up to here the wake-ups are in `shards`.
    mark: WakeMark,
    shards: Vec<Shard>,
}

struct Shard {
    /// Makes a repeated fetch the same fetch.
    sequence: u64,
    /// The last fetch may have been carried out without this process knowing what it brought.
    unanswered: bool,
    /// When there may be something to fetch.
    due: Instant,
    /// In a row.
    failures: u32,
    /// What the visit that is under way may bring.
    visited_for: Option<usize>,
    /// It woke while it was visited: the visit may have come too early for what woke it.
    woke: bool,
}

/// A fetch from a shard: one at a time.
pub(crate) struct Visit {
    pub(crate) shard: u16,
    pub(crate) sequence: u64,
    /// How many jobs at most.
    pub(crate) max: usize,
    /// What it brings may have been leased by an earlier visit, whose answer was lost.
    pub(crate) is_repeated: bool,
}

impl Shards {
    pub(crate) fn new(broker: &Broker) -> Self {
        let wakes = broker.wakes();
        let sequence = first_sequence();
        let due = Instant::now();
        let shards = (0..broker.shards()).map(|_| Shard {
            sequence,
            unanswered: false,
            due,
            failures: 0,
            visited_for: None,
            woke: false,
        });
        Self {
            mark: wakes.mark(),
            wakes,
            shards: shards.collect(),
        }
    }

    /// Waits until a shard that is not visited is due or has woken.
    pub(crate) async fn wait(&mut self) {
        let next = self.unvisited().map(|(_, shard)| shard.due).min();
        let sleep = next.map_or(LONGEST_SLEEP, |due| due.duration_since(Instant::now()));
        if !sleep.is_zero() {
            let _woken = self.wakes.wait(&self.mark, sleep).await;
        }
        self.note_woken();
    }

    fn note_woken(&mut self) {
        // Marked before it is asked who woke: a wake-up in between is seen twice, and none is missed.
        let mark = self.wakes.mark();
        let woken = self.wakes.wait(&self.mark, LONGEST_SLEEP).now_or_never();
        let Some(woken) = woken else { return };
        self.mark = mark;
        self.wake(woken);
    }

    fn wake(&mut self, woken: impl IntoIterator<Item = u16>) {
        let now = Instant::now();
        for number in woken {
            if let Some(shard) = self.shards.get_mut(usize::from(number)) {
                shard.due = shard.due.min(now);
                shard.woke = shard.visited_for.is_some();
            }
        }
    }

    pub(crate) fn is_due(&self) -> bool {
        self.all_due().next().is_some()
    }

    /// The shards that are due now and not visited.
    pub(crate) fn all_due(&self) -> impl Iterator<Item = u16> {
        let now = Instant::now();
        let due = self.unvisited().filter(move |(_, shard)| shard.due <= now);
        due.map(|(number, _)| number)
    }

    /// What visits under way may bring.
    pub(crate) fn reserved(&self) -> usize {
        self.shards
            .iter()
            .filter_map(|shard| shard.visited_for)
            .sum()
    }

    /// Begins a visit of the shard that has been due the longest: an idle worker goes straight to the one that woke, a
    /// busy one goes round. One whose answer was lost comes first, once: there may be leases that nobody renews. `None`
    /// if none is due, or nothing may be brought.
    pub(crate) fn begin(&mut self, max: usize) -> Option<Visit> {
        if max == 0 {
            return None;
        }
        let now = Instant::now();
        let due = self.unvisited().filter(|(_, shard)| shard.due <= now);
        let (number, _) = due.min_by_key(|(_, shard)| (shard.failures != 1, shard.due))?;
        let shard = self.shards.get_mut(usize::from(number))?;
        // What does not answer takes no room from the others. The answer to a repeated visit does not depend on it.
        let max = if shard.failures > 0 { 1 } else { max };
        shard.visited_for = Some(max);
        shard.woke = false;
        Some(Visit {
            shard: number,
            sequence: shard.sequence,
            max,
            is_repeated: std::mem::replace(&mut shard.unanswered, true),
        })
    }

    /// A visit was answered; there may be more after `wake`.
    pub(crate) fn answered(&mut self, visit: &Visit, wake: Duration) {
        if let Some(shard) = self.shards.get_mut(usize::from(visit.shard)) {
            shard.visited_for = None;
            shard.sequence += 1;
            shard.unanswered = false;
            shard.failures = 0;
            let wake = if shard.woke { Duration::ZERO } else { wake };
            shard.due = Instant::now() + wake.min(LONGEST_SLEEP);
        }
    }

    /// A visit was not answered, or its sequence number `is_stale`. It may be this shard's node of a cluster alone that
    /// is away: after the second try the others have their turn.
    pub(crate) fn failed(&mut self, visit: &Visit, is_stale: bool) {
        if let Some(shard) = self.shards.get_mut(usize::from(visit.shard)) {
            shard.visited_for = None;
            if is_stale {
                shard.sequence = first_sequence();
            }
            shard.failures = shard.failures.saturating_add(1);
            if shard.failures > 1 {
                shard.due = Instant::now() + LONGEST_SLEEP;
            }
        }
    }

    fn unvisited(&self) -> impl Iterator<Item = (u16, &Shard)> {
        let numbered = (0..).zip(&self.shards);
        numbered.filter(|(_, shard)| shard.visited_for.is_none())
    }
}

/// Greater than what an earlier process of the same name used.
fn first_sequence() -> u64 {
    u64::try_from(Timestamp::now().as_microsecond()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use bulkhead_broker::BrokerOptions;
    use bulkhead_devstack::{RedisOptions, RedisServer};
    use bulkhead_domain::Class;

    use super::*;

    async fn two() -> (RedisServer, Shards) {
        let redis = RedisServer::start(RedisOptions::default()).await.unwrap();
        let mut options = BrokerOptions::new(redis.url().into());
        options.shards = 2;
        let broker = Broker::connect(&options, Class::Sync).await.unwrap();
        let shards = Shards::new(&broker);
        (redis, shards)
    }

    #[tokio::test]
    async fn a_shard_that_wakes_while_it_is_visited_is_due_again_at_once() {
        let (_redis, mut shards) = two().await;
        let [first, second] = [0, 1].map(|_| shards.begin(1).expect("both are due"));
        assert_eq!(shards.reserved(), 2);
        assert!(shards.begin(1).is_none());
        shards.wake([first.shard]);
        shards.answered(&second, LONGEST_SLEEP);
        assert!(!shards.is_due());
        shards.answered(&first, LONGEST_SLEEP);
        let again = shards.begin(1).expect("it is due");
        assert_eq!(again.shard, first.shard);
        assert_eq!(again.sequence, first.sequence + 1);
        assert!(!again.is_repeated);
        shards.answered(&again, LONGEST_SLEEP);
        assert!(!shards.is_due());
    }

    #[tokio::test]
    async fn a_visit_without_an_answer_is_repeated_before_others_begin() {
        let (_redis, mut shards) = two().await;
        let [first, second] = [0, 1].map(|_| shards.begin(1).expect("both are due"));
        shards.failed(&second, false);
        shards.answered(&first, Duration::ZERO);
        let again = shards.begin(1).expect("both are due");
        assert_eq!(
            (again.shard, again.sequence),
            (second.shard, second.sequence)
        );
        assert!(again.is_repeated);
        // Twice in a row: its node may be away, the others are not.
        shards.failed(&again, true);
        let other = shards.begin(1).expect("one is due");
        assert_eq!(other.shard, first.shard);
        assert!(shards.begin(1).is_none());
    }
}
