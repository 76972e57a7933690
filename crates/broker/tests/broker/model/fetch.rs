//! Which answers to a fetch are allowed.

use std::time::Duration;

use bulkhead_broker::Fetched;

use super::{
    state::{Model, Place, Reply, Run, is_held, micros},
    transition::{LANES, Settings},
};
use crate::fixture::{VISIBILITY, job_id};

/// Who asks for how much.
pub(crate) struct Asked<'a> {
    pub(crate) worker: &'a str,
    pub(crate) sequence: u64,
    pub(crate) max: usize,
    /// How many entries of queues stood for no job before: a fetch does not look behind any number of them.
    pub(crate) ghosts: u64,
}

impl Model {
    /// Takes over what was fetched, if it was allowed: the first jobs of lanes that wait for nothing, as many as there
    /// are and were asked for, under a token that is greater than any before.
    pub(crate) fn fetch(&mut self, asked: &Asked<'_>, settings: &Settings, fetched: &Fetched) {
        assert!(fetched.undecodable.is_empty());
        let known = self.replies.get(asked.worker);
        if let Some(reply) = known.filter(|reply| reply.sequence == asked.sequence) {
            return self.check_repetition(reply, fetched);
        }
        if settings.class_is_held {
            assert!(
                fetched.leased.is_empty() && fetched.next_wake.is_none(),
                "the class is held"
            );
            return;
        }
        let now_us = settings.now.as_microsecond();
        self.pass_time(now_us);
        let ready = self.ready(settings);
        let leased: Vec<u8> = fetched
            .leased
            .iter()
            .map(|one| number(one.job.id))
            .collect();
        for one in &fetched.leased {
            let n = number(one.job.id);
            self.take(n, settings);
            let alive = self.alive(n);
            assert_eq!(one.job, alive.job(n));
            let trials = (one.attempt, one.crashes);
            assert_eq!(
                trials,
                (alive.failures + 1, alive.crashes),
                "trials of job {n}"
            );
            let token = one.lease.token().get();
            alive.place = Place::Running(Run {
                token,
                worker: asked.worker.to_owned(),
                expires_us: now_us + micros(VISIBILITY),
                is_cancelled: false,
            });
        }
        if asked.ghosts == 0 {
            assert_eq!(
                leased.len(),
                ready.min(asked.max),
                "of {ready} that could be had"
            );
        }
        self.check_wake(
            fetched.next_wake,
            ready - leased.len(),
            asked.ghosts,
            now_us,
        );
        let Some(first) = fetched.leased.first() else {
            return;
        };
        let token = first.lease.token().get();
        assert!(
            token > self.last_token,
            "tokens rise: {token} after {}",
            self.last_token
        );
        assert!(
            fetched
                .leased
                .iter()
                .all(|one| one.lease.token().get() == token)
        );
        self.last_token = token;
        let (sequence, jobs) = (asked.sequence, leased);
        self.replies.insert(
            asked.worker.to_owned(),
            Reply {
                sequence,
                token,
                jobs,
            },
        );
    }

    /// The same sequence brings the same jobs, as far as they are still held.
    fn check_repetition(&self, reply: &Reply, fetched: &Fetched) {
        let is_held = |n: &&u8| self.newest(**n).is_some_and(|run| run.token == reply.token);
        let held: Vec<u8> = reply.jobs.iter().filter(is_held).copied().collect();
        let answered: Vec<u8> = fetched
            .leased
            .iter()
            .map(|one| number(one.job.id))
            .collect();
        assert_eq!(answered, held, "the answer to a repeated fetch");
        assert!(
            fetched
                .leased
                .iter()
                .all(|one| one.lease.token().get() == reply.token)
        );
        assert_eq!(fetched.next_wake, Some(Duration::ZERO));
    }

    /// A fetch queues the delayed jobs whose time has come, and wakes the lanes whose time has.
    fn pass_time(&mut self, now_us: i64) {
        let delayed = self.jobs.iter().filter_map(|(n, job)| match job.place {
            Place::Delayed { until_us } if until_us <= now_us => Some((until_us, *n)),
            _ => None,
        });
        let mut due: Vec<(i64, u8)> = delayed.collect();
        due.sort_unstable();
        for (_, n) in due {
            self.queue_last(n);
        }
        self.parked.retain(|_, until_us| *until_us > now_us);
    }

    /// How many jobs could be had at once.
    fn ready(&self, settings: &Settings) -> usize {
        let in_lane = |lane: u8| {
            let own = self.queues.range((lane, 0)..=(lane, 9));
            own.map(|(_, queue)| queue.len()).sum::<usize>()
        };
        // A cap on what is in flight of a lane or a tenant belongs here, and in `take`.
        (0..LANES)
            .filter(|lane| !self.waits(*lane, settings))
            .map(in_lane)
            .sum()
    }

    /// Takes a job that is the next of its lane.
    fn take(&mut self, n: u8, settings: &Settings) {
        let job = self
            .jobs
            .get(&n)
            .unwrap_or_else(|| panic!("job {n} does not live"));
        let (lane, priority) = (job.lane, job.priority);
        assert!(
            matches!(job.place, Place::Queued),
            "job {n} is {:?}",
            job.place
        );
        assert!(!self.waits(lane, settings), "lane {lane} waits");
        let mut own = self.queues.range_mut((lane, 0)..=(lane, 9));
        let (&queue, ids) = own.next().expect("its lane has jobs");
        assert_eq!(
            (queue, ids.front()),
            ((lane, priority), Some(&n)),
            "first in lane {lane}"
        );
        ids.pop_front();
        if ids.is_empty() {
            self.queues.remove(&queue);
        }
    }

    fn waits(&self, lane: u8, settings: &Settings) -> bool {
        self.parked.contains_key(&lane) || is_held(lane, settings)
    }

    /// A fetch says when to look again.
    fn check_wake(&self, next: Option<Duration>, left: usize, ghosts: u64, now_us: i64) {
        if left > 0 {
            assert_eq!(next, Some(Duration::ZERO), "{left} more can be had");
        } else if ghosts == 0 {
            let delayed = self.jobs.values().filter_map(|job| match job.place {
                Place::Delayed { until_us } => Some(until_us),
                _ => None,
            });
            let soonest = delayed.chain(self.parked.values().copied()).min();
            let wait = soonest.map(|time_us| u64::try_from(time_us - now_us).unwrap_or_default());
            assert_eq!(next, wait.map(Duration::from_micros), "when to look again");
        }
    }
}

/// The number in a job's id.
pub(crate) fn number(id: bulkhead_domain::JobId) -> u8 {
    let n = u8::try_from(id.uuid().as_u128() >> 64).unwrap();
    assert_eq!(id, job_id(n.into()));
    n
}
