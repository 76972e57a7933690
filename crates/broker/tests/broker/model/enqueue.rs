//! What becomes of jobs that are enqueued.

use std::collections::BTreeMap;

use bulkhead_broker::Enqueued;

use super::{
    settings::{BODY_BYTES, Settings, TENANTS, TIMED_BODY_BYTES, tenant_of},
    state::{Alive, Body, Model, Place},
    transition::NewJob,
};

impl Model {
    /// Each at most once while it lives; with `forward` one that waits gets the earlier time and the more urgent
    /// priority.
    pub(crate) fn enqueue(
        &mut self,
        jobs: &[NewJob],
        forward: bool,
        settings: &Settings,
    ) -> Vec<Enqueued> {
        let mut answers = vec![Enqueued::Exists; jobs.len()];
        let is_first = |at: &usize| jobs[..*at].iter().all(|before| before.n != jobs[*at].n);
        let mut order: Vec<usize> = (0..jobs.len()).filter(is_first).collect();
        // Tenant by tenant; what has a time comes first, the rest queue by queue.
        order.sort_by_key(|at| group_of(&jobs[*at]));
        let (alive, new): (Vec<usize>, Vec<usize>) = order
            .iter()
            .copied()
            .partition(|at| self.jobs.contains_key(&jobs[*at].n));
        let mut room = self.room_for_new(settings);
        for at in &new {
            let left = room.entry(tenant_of(jobs[*at].lane)).or_insert(i64::MAX);
            *left -= i64::try_from(jobs[*at].bytes()).unwrap();
            answers[*at] = if *left < 0 {
                Enqueued::TenantFull
            } else {
                Enqueued::Added
            };
        }
        // Of one queue, what is new is pushed before what moves there.
        order.sort_by_key(|at| {
            let is_timed = jobs[*at].not_before_s.is_some();
            (group_of(&jobs[*at]), !is_timed && alive.contains(at))
        });
        let now_us = settings.now.as_microsecond();
        for at in order {
            if alive.contains(&at) && forward {
                answers[at] = self.move_forward(&jobs[at], now_us);
            } else if answers[at] == Enqueued::Added {
                self.add(&jobs[at], now_us);
            }
        }
        answers
    }

    /// How many bytes more each tenant may have.
    fn room_for_new(&self, settings: &Settings) -> BTreeMap<u8, i64> {
        let mut room = BTreeMap::new();
        let Some(most) = settings.high_water_bytes() else {
            return room;
        };
        for tenant in 0..TENANTS {
            room.insert(tenant, i64::try_from(most).unwrap());
        }
        for job in self.jobs.values() {
            *room.entry(tenant_of(job.lane)).or_default() -= i64::try_from(job.bytes).unwrap();
        }
        room
    }

    fn add(&mut self, new: &NewJob, now_us: i64) {
        self.dead.remove(&new.n);
        self.jobs.insert(new.n, Alive::new(new.body()));
        match new.not_before_us(now_us) {
            Some(time_us) if time_us > now_us => self.delay(new.n, time_us),
            _ => self.queue_last(new.n),
        }
    }

    /// It keeps its lane; one in flight stays as it is.
    fn move_forward(&mut self, new: &NewJob, now_us: i64) -> Enqueued {
        let not_before_us = new.not_before_us(now_us).unwrap_or(now_us);
        let job = self.alive(new.n);
        let is_urgent = new.priority < job.priority;
        let due_us = match job.place {
            Place::Running(_) => return Enqueued::Exists,
            Place::Delayed { until_us } => Some(until_us),
            Place::Queued => None,
        };
        let is_earlier = due_us.is_some_and(|due_us| not_before_us < due_us);
        if !is_urgent && !is_earlier {
            return Enqueued::Exists;
        }
        job.priority = job.priority.min(new.priority);
        if is_earlier && not_before_us > now_us {
            self.delay(new.n, not_before_us);
        } else if is_earlier || due_us.is_none() {
            self.unqueue(new.n);
            self.queue_last(new.n);
        }
        Enqueued::MovedForward
    }
}

impl NewJob {
    fn body(&self) -> Body {
        Body {
            lane: self.lane,
            priority: self.priority,
            bytes: self.bytes(),
        }
    }

    /// The body keeps a time that is to come.
    fn bytes(&self) -> u64 {
        let keeps_time = self.not_before_s.is_some_and(|seconds| seconds > 0);
        if keeps_time {
            TIMED_BODY_BYTES
        } else {
            BODY_BYTES
        }
    }

    fn not_before_us(&self, now_us: i64) -> Option<i64> {
        let seconds = self.not_before_s?;
        Some(now_us + i64::from(seconds) * 1_000_000)
    }
}

/// What is pushed together, tenant by tenant: all that has a time, or one queue.
fn group_of(new: &NewJob) -> (u8, Option<(u8, u8)>) {
    let queue = new.not_before_s.is_none();
    (
        tenant_of(new.lane),
        queue.then_some((new.lane, new.priority)),
    )
}
