//! The queue as it should be: where each job is, and what each call must answer. Which lane is served next is the
//! broker's choice; `fetch.rs` says which choices are allowed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bulkhead_broker::{Acknowledged, JobState, Outcome, Renewed};
use bulkhead_domain::{Job, Priority, WorkerId};
use jiff::Timestamp;

use super::settings::{Scope, Settings, tenant_of};
use crate::fixture::{self, VISIBILITY};

/// Everything that lives or is dead.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) jobs: BTreeMap<u8, Alive>,
    /// Dead letters with what their jobs were.
    pub(crate) dead: BTreeMap<u8, Body>,
    /// By lane and priority; none is empty.
    pub(crate) queues: BTreeMap<(u8, u8), VecDeque<u8>>,
    /// As `queues`, with what stands for no job any more: before each step as the broker has it, which may have swept.
    pub(crate) entries: BTreeMap<(u8, u8), VecDeque<u8>>,
    /// Until when each lane waits, µs. A fetch wakes it, not the time alone.
    pub(crate) parked: BTreeMap<u8, i64>,
    /// The last fetch of each worker that brought something.
    pub(crate) replies: BTreeMap<String, Reply>,
    pub(crate) last_token: u64,
}

/// What of a job does not change, unless it moves forward.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Body {
    pub(crate) lane: u8,
    pub(crate) priority: u8,
    pub(crate) bytes: u64,
}

/// A job that lives.
#[derive(Debug)]
pub(crate) struct Alive {
    pub(crate) lane: u8,
    pub(crate) priority: u8,
    pub(crate) bytes: u64,
    pub(crate) place: Place,
    pub(crate) failures: u32,
    pub(crate) crashes: u32,
    crashes_alone: u32,
}

/// The one place where a job is.
#[derive(Debug)]
pub(crate) enum Place {
    Queued,
    Delayed { until_us: i64 },
    Running(Run),
}

/// A job in flight.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) token: u64,
    pub(crate) worker: String,
    pub(crate) expires_us: i64,
    pub(crate) is_cancelled: bool,
}

/// What a worker was answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) sequence: u64,
    pub(crate) token: u64,
    pub(crate) jobs: Vec<u8>,
}

/// What a reaping does.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Reaping {
    pub(crate) requeued: Vec<u8>,
    pub(crate) cancelled: Vec<u8>,
    pub(crate) quarantined: Vec<u8>,
    /// Those of `requeued` that are told apart: within a minute from now.
    pub(crate) spread: Vec<u8>,
}

/// A job and the token of a lease of it.
pub(crate) type Held = (u8, u64);

/// Within what time jobs that crashed in company too often run again, µs.
const SPREAD_US: i64 = 60_000_000;

impl Alive {
    pub(crate) fn new(body: Body) -> Self {
        Self {
            lane: body.lane,
            priority: body.priority,
            bytes: body.bytes,
            place: Place::Queued,
            failures: 0,
            crashes: 0,
            crashes_alone: 0,
        }
    }

    /// The job as it was enqueued.
    pub(crate) fn job(&self, n: u8) -> Job {
        job(n, self.lane, self.priority)
    }
}

/// A job as it is enqueued.
pub(crate) fn job(n: u8, lane: u8, priority: u8) -> Job {
    let mut job = fixture::job(n.into(), tenant_of(lane).into(), lane.into());
    job.priority = Priority::new(priority);
    job
}

impl Model {
    /// Only the newest lease may; said twice, it counts once.
    pub(crate) fn acknowledge(
        &mut self,
        ends: &[(Held, Outcome)],
        now_us: i64,
    ) -> Vec<Acknowledged> {
        let mut answers = vec![Acknowledged::Completed; ends.len()];
        let is_done = |at: &usize| ends[*at].1 == Outcome::Complete;
        let (done, others): (Vec<_>, Vec<_>) = (0..ends.len()).partition(is_done);
        // What goes back to the front of a lane keeps its order: the first one goes last.
        for at in done.into_iter().chain(others.into_iter().rev()) {
            let ((n, token), outcome) = &ends[at];
            answers[at] = self.end(*n, *token, outcome, now_us);
        }
        answers
    }

    fn end(&mut self, n: u8, token: u64, outcome: &Outcome, now_us: i64) -> Acknowledged {
        let Some(run) = self.run(n) else {
            return Acknowledged::NotLeased;
        };
        if run.token != token {
            return Acknowledged::Fenced;
        }
        if *outcome == Outcome::Complete {
            self.jobs.remove(&n);
            return Acknowledged::Completed;
        }
        if run.is_cancelled {
            self.jobs.remove(&n);
            return Acknowledged::Cancelled;
        }
        match outcome {
            Outcome::Complete | Outcome::DeadLetter { .. } => {
                self.bury(n);
                Acknowledged::DeadLettered
            }
            Outcome::Release => {
                self.queue_first(n);
                Acknowledged::Released
            }
            Outcome::Retry { after, .. } => {
                self.alive(n).failures += 1;
                self.delay(n, now_us + micros(*after));
                Acknowledged::Retrying
            }
            Outcome::Snooze {
                for_,
                park_lane: false,
            } => {
                self.delay(n, now_us + micros(*for_));
                Acknowledged::Snoozed
            }
            Outcome::Snooze {
                for_,
                park_lane: true,
            } => {
                self.queue_first(n);
                let until = self.parked.entry(self.jobs[&n].lane).or_insert(i64::MIN);
                *until = (*until).max(now_us + micros(*for_));
                Acknowledged::Snoozed
            }
        }
    }

    /// A lease that has expired is lost, reaped or not.
    pub(crate) fn renew(&mut self, leases: &[Held], now_us: i64) -> Vec<Renewed> {
        let mut extend = |&(n, token): &Held| {
            let Some(run) = self.run(n) else {
                return Renewed::Lost;
            };
            if run.token != token || run.expires_us <= now_us {
                return Renewed::Lost;
            }
            run.expires_us = now_us + micros(VISIBILITY);
            if run.is_cancelled {
                Renewed::Cancelled
            } else {
                Renewed::Extended
            }
        };
        leases.iter().map(&mut extend).collect()
    }

    /// Of the leases that have expired the oldest `max`; back in their lanes they keep the order of expiry.
    pub(crate) fn reap(&mut self, max: usize, max_crashes: u32, now_us: i64) -> Reaping {
        let running = self.jobs.iter().filter_map(|(n, job)| match &job.place {
            Place::Running(run) if run.expires_us <= now_us => {
                Some((run.expires_us, *n, run.worker.clone()))
            }
            _ => None,
        });
        let mut expired: Vec<_> = running.collect();
        expired.sort();
        expired.truncate(max);
        let mut reaping = Reaping::default();
        for (_, n, worker) in expired.iter().rev() {
            let companions = expired
                .iter()
                .filter(|(_, _, other)| other == worker)
                .count();
            // Of a full batch there may be more to come.
            let was_alone = companions == 1 && expired.len() < max;
            self.crash(*n, was_alone, max_crashes, &mut reaping);
        }
        reaping
    }

    fn crash(&mut self, n: u8, was_alone: bool, max_crashes: u32, reaping: &mut Reaping) {
        if self.run(n).is_some_and(|run| run.is_cancelled) {
            self.jobs.remove(&n);
            reaping.cancelled.push(n);
            return;
        }
        let job = self.alive(n);
        job.crashes += 1;
        job.crashes_alone += u32::from(was_alone);
        if job.crashes_alone >= max_crashes || job.crashes >= 2 * max_crashes {
            self.bury(n);
            reaping.quarantined.push(n);
        } else if job.crashes > max_crashes {
            reaping.spread.push(n);
            reaping.requeued.push(n);
        } else {
            self.queue_first(n);
            reaping.requeued.push(n);
        }
    }

    /// Takes over the time that the broker gave a job that crashed in company.
    pub(crate) fn spread(&mut self, n: u8, until_us: Option<i64>, now_us: i64) {
        let until_us = until_us.expect("it is delayed");
        assert!(
            (now_us..now_us + SPREAD_US).contains(&until_us),
            "job {n} runs at {until_us}"
        );
        self.delay(n, until_us);
    }

    /// Whether crashes counted against the job of a lease that is the newest.
    pub(crate) fn forgive(&mut self, (n, token): Held) -> bool {
        if self.run(n).is_none_or(|run| run.token != token) {
            return false;
        }
        let job = self.alive(n);
        job.crashes_alone = 0;
        std::mem::take(&mut job.crashes) > 0
    }

    /// Returns which are gone and which are told.
    pub(crate) fn cancel(&mut self, scope: &Scope) -> (BTreeSet<u8>, BTreeSet<u8>) {
        let matching: Vec<u8> = self
            .jobs
            .iter()
            .filter(|(n, job)| scope.matches(**n, job.lane))
            .map(|(n, _)| *n)
            .collect();
        let (mut removed, mut told) = (BTreeSet::new(), BTreeSet::new());
        for n in matching {
            if let Some(run) = self.run(n) {
                run.is_cancelled = true;
                told.insert(n);
            } else {
                self.unqueue(n);
                self.jobs.remove(&n);
                removed.insert(n);
            }
        }
        (removed, told)
    }

    /// `order` is the broker's choice.
    pub(crate) fn redrive(&mut self, scope: &Scope, order: &[u8]) {
        assert_eq!(
            order.iter().copied().collect::<BTreeSet<_>>(),
            self.dead_of(scope)
        );
        for n in order {
            let body = self.dead.remove(n).expect("it is dead");
            self.jobs.insert(*n, Alive::new(body));
            self.queue_last(*n);
        }
    }

    pub(crate) fn discard(&mut self, scope: &Scope) -> BTreeSet<u8> {
        let matching = self.dead_of(scope);
        self.dead.retain(|n, _| !matching.contains(n));
        matching
    }

    fn dead_of(&self, scope: &Scope) -> BTreeSet<u8> {
        let matching = self
            .dead
            .iter()
            .filter(|(n, body)| scope.matches(**n, body.lane));
        matching.map(|(n, _)| *n).collect()
    }

    /// Redis is empty; tokens go on from where they were.
    pub(crate) fn lose_everything(&mut self) {
        let last_token = self.last_token;
        *self = Self {
            last_token,
            ..Self::default()
        };
    }

    /// Where an operator sees a job.
    pub(crate) fn state_of(&self, n: u8, settings: &Settings) -> JobState {
        let job = &self.jobs[&n];
        match &job.place {
            Place::Running(run) => JobState::Running {
                worker: WorkerId::new(run.worker.clone()),
                expires: timestamp(run.expires_us),
            },
            Place::Delayed { until_us } => JobState::Delayed {
                until: timestamp(*until_us),
            },
            Place::Queued if settings.is_held(job.lane) || settings.class_is_held => {
                JobState::Paused
            }
            Place::Queued => match self.parked.get(&job.lane) {
                Some(until_us) => JobState::Parked {
                    until: timestamp(*until_us),
                },
                None => JobState::Queued,
            },
        }
    }

    /// The newest lease of a job in flight.
    pub(crate) fn newest(&self, n: u8) -> Option<&Run> {
        match &self.jobs.get(&n)?.place {
            Place::Running(run) => Some(run),
            _ => None,
        }
    }

    fn run(&mut self, n: u8) -> Option<&mut Run> {
        match &mut self.jobs.get_mut(&n)?.place {
            Place::Running(run) => Some(run),
            _ => None,
        }
    }

    pub(crate) fn alive(&mut self, n: u8) -> &mut Alive {
        self.jobs.get_mut(&n).expect("it lives")
    }

    pub(crate) fn delay(&mut self, n: u8, until_us: i64) {
        self.alive(n).place = Place::Delayed { until_us };
    }

    /// One whose entry is still in the queue takes its place again.
    pub(crate) fn queue_last(&mut self, n: u8) {
        let (entries, queue) = self.queue_of(n);
        if !entries.contains(&n) {
            entries.push_back(n);
        }
        let place = |n: &u8| entries.iter().position(|other| other == n);
        let before = queue.iter().filter(|other| place(other) < place(&n));
        queue.insert(before.count(), n);
    }

    fn queue_first(&mut self, n: u8) {
        let (entries, queue) = self.queue_of(n);
        entries.push_front(n);
        queue.push_front(n);
    }

    /// Entries and jobs of a job's queue.
    fn queue_of(&mut self, n: u8) -> (&mut VecDeque<u8>, &mut VecDeque<u8>) {
        let job = self.alive(n);
        job.place = Place::Queued;
        let queue = (job.lane, job.priority);
        let entries = self.entries.entry(queue).or_default();
        (entries, self.queues.entry(queue).or_default())
    }

    pub(crate) fn unqueue(&mut self, n: u8) {
        for queue in self.queues.values_mut() {
            queue.retain(|other| *other != n);
        }
        self.queues.retain(|_, queue| !queue.is_empty());
    }

    fn bury(&mut self, n: u8) {
        let job = self.jobs.remove(&n).expect("it lives");
        let (lane, priority, bytes) = (job.lane, job.priority, job.bytes);
        self.dead.insert(
            n,
            Body {
                lane,
                priority,
                bytes,
            },
        );
    }
}

pub(crate) fn micros(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap()
}

fn timestamp(time_us: i64) -> Timestamp {
    Timestamp::from_microsecond(time_us).unwrap()
}
