//! How long jobs waited until they were started.

use std::time::Duration;

/// 2³⁰ ms are twelve days; what waited longer is in the last bucket with it.
const BUCKETS: usize = 32;

/// How many starts had waited how long, in buckets that double: below 1 ms, below 2 ms, below 4 ms, and so on.
///
/// A wait is from when the job was enqueued (by the clock of who did), or might run if that was later, to its lease (by
/// Redis's). Only a job's first start counts: not one after a snooze, a failure, a crash or a redrive, nor of a job that
/// was moved forward to an earlier time. A job that was given back unstarted has not started.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WaitHistogram([u64; BUCKETS]);

impl WaitHistogram {
    /// Counts a start.
    pub fn record(&mut self, wait: Duration) {
        self.add(bucket_of(wait), 1);
    }

    /// Adds what another has counted.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, count) in other.0.iter().enumerate() {
            self.add(bucket, *count);
        }
    }

    /// How many starts it has counted.
    #[must_use]
    pub fn starts(&self) -> u64 {
        self.0.iter().sum()
    }

    /// A time within which the part `share` (0 to 1) of the starts came, true to a factor of two; `None` if there were
    /// none.
    #[must_use]
    pub fn within(&self, share: f64) -> Option<Duration> {
        let starts = self.starts();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a count, and a part of it"
        )]
        let wanted = ((starts as f64 * share).ceil() as u64).clamp(1, starts.max(1));
        let mut seen = 0;
        self.buckets()
            .find(|(_, count)| {
                seen += count;
                seen >= wanted
            })
            .map(|(below, _)| below)
    }

    /// Each bucket, shortest first: below which time, and how many starts. The last has no bound, whatever it says.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        let below = |bucket: usize| Duration::from_millis(1 << bucket);
        let counts = self.0.iter().enumerate();
        counts.map(move |(bucket, count)| (below(bucket), *count))
    }

    /// Those of the buckets that are not empty, by their numbers.
    pub(crate) fn counted(&self) -> impl Iterator<Item = (u8, u64)> + '_ {
        let counts = (0..).zip(self.0.iter().copied());
        counts.filter(|(_, count)| *count > 0)
    }

    /// Adds to the bucket of this number; to the last for one that there is not.
    pub(crate) fn add(&mut self, bucket: usize, count: u64) {
        let kept = &mut self.0[bucket.min(BUCKETS - 1)];
        *kept = kept.saturating_add(count);
    }
}

fn bucket_of(wait: Duration) -> usize {
    let bits = u128::BITS - wait.as_millis().leading_zeros();
    usize::try_from(bits).unwrap_or(BUCKETS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_below_the_bound_of_its_bucket_and_not_below_the_one_before() {
        for ms in [0, 1, 2, 3, 4, 7, 8, 1_000, 1_024, 86_400_000] {
            let wait = Duration::from_millis(ms);
            let mut waits = WaitHistogram::default();
            waits.record(wait);
            let below = waits.within(1.0).expect("one start");
            assert!(wait < below && (ms == 0 || wait >= below / 2), "{ms} ms");
        }
        let mut waits = WaitHistogram::default();
        waits.record(Duration::MAX);
        assert_eq!(waits.starts(), 1);
    }

    #[test]
    fn shares_are_counted_from_the_shortest_wait() {
        let mut waits = WaitHistogram::default();
        assert_eq!(waits.within(0.5), None);
        for _ in 0..98 {
            waits.record(Duration::ZERO);
        }
        waits.record(Duration::from_millis(3));
        waits.record(Duration::from_secs(1));
        let within = |share| waits.within(share).map(|below| below.as_millis());
        assert_eq!(within(0.5), Some(1));
        assert_eq!(within(0.98), Some(1));
        assert_eq!(within(0.99), Some(4));
        assert_eq!(within(1.0), Some(1_024));
    }
}
