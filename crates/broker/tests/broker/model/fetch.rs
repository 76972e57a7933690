//! Which answers to a fetch are allowed.

use std::time::Duration;

use bulkhead_broker::Fetched;

use super::{
    settings::{Capped, LANES, Settings, TENANTS, tenant_of},
    state::{Alive, Model, Place, Reply, Run, micros},
    translation::number,
};
use crate::fixture::VISIBILITY;

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
        self.check_wake(asked, fetched, ready - leased.len(), settings);
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

    /// How many jobs could be had at once: what lies in lanes that do not wait, as far as lane and tenant have room.
    pub(super) fn ready(&self, settings: &Settings) -> usize {
        let in_lane = |lane: u8| {
            let own = self.queues.range((lane, 0)..=(lane, 9));
            let queued = own.map(|(_, queue)| queue.len()).sum::<usize>();
            queued.min(self.room_of_lane(lane, settings))
        };
        let in_tenant = |tenant: u8| {
            let own = (0..LANES).filter(|lane| tenant_of(*lane) == tenant);
            let lanes = own.filter(|lane| !self.waits(*lane, settings)).map(in_lane);
            lanes
                .sum::<usize>()
                .min(self.room_of_tenant(tenant, settings))
        };
        (0..TENANTS).map(in_tenant).sum()
    }

    /// How many more jobs of a lane may be in flight.
    fn room_of_lane(&self, lane: u8, settings: &Settings) -> usize {
        let most = settings.most(Capped::Lane(lane), Capped::EveryLane);
        most.saturating_sub(self.in_flight(|job| job.lane == lane))
    }

    fn room_of_tenant(&self, tenant: u8, settings: &Settings) -> usize {
        let most = settings.most(Capped::Tenant(tenant), Capped::EveryTenant);
        most.saturating_sub(self.in_flight(|job| tenant_of(job.lane) == tenant))
    }

    fn in_flight(&self, is_counted: impl Fn(&Alive) -> bool) -> usize {
        let running = self
            .jobs
            .values()
            .filter(|job| matches!(job.place, Place::Running(_)));
        running.filter(|job| is_counted(job)).count()
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
        let room = self
            .room_of_lane(lane, settings)
            .min(self.room_of_tenant(tenant_of(lane), settings));
        assert!(room > 0, "job {n} is beyond a cap");
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
        self.parked.contains_key(&lane) || settings.is_held(lane)
    }

    /// A fetch says when to look again: at once if there is more, or may be.
    fn check_wake(&self, asked: &Asked<'_>, fetched: &Fetched, left: usize, settings: &Settings) {
        let next = fetched.next_wake;
        // That a lane behind has no room turns out only when it is looked at.
        let saw_all = fetched.leased.len() < asked.max || settings.caps.is_empty();
        if left > 0 {
            assert_eq!(next, Some(Duration::ZERO), "{left} more can be had");
        } else if asked.ghosts == 0 && (saw_all || next != Some(Duration::ZERO)) {
            let delayed = self.jobs.values().filter_map(|job| match job.place {
                Place::Delayed { until_us } => Some(until_us),
                _ => None,
            });
            let soonest = delayed.chain(self.parked.values().copied()).min();
            let wait = soonest.map(|time_us| time_us - settings.now.as_microsecond());
            let wait = wait.map(|wait_us| u64::try_from(wait_us).unwrap_or_default());
            assert_eq!(next, wait.map(Duration::from_micros), "when to look again");
        }
    }
}
