//! New jobs.

use std::collections::{BTreeMap, HashSet};

use bulkhead_domain::{Class, ConnectionId, Job, JobId, Priority, TenantId};
use futures_util::future::join_all;
use jiff::Timestamp;
use redis::{RedisError, Value};

use crate::{
    body,
    broker::Broker,
    keys::ShardKey,
    reply::{bytes, number, unexpected},
    script::{self, Call},
};

/// What became of a job that was to be enqueued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// It is new.
    Added,
    /// A job of this id lives already (queued, delayed or running), and stays as it is.
    Exists,
    /// A job of this id lives already, and runs sooner now: [`Broker::enqueue_forward`].
    MovedForward,
    /// It was not enqueued: its tenant's living jobs take as much as [`tenant_high_water_bytes`] allows. Try again
    /// later.
    ///
    /// [`tenant_high_water_bytes`]: crate::BrokerOptions::tenant_high_water_bytes
    TenantFull,
}

/// Jobs were not enqueued, or not all. Repeating the whole batch is harmless: what was added answers `Exists`.
#[derive(Debug, thiserror::Error)]
pub enum EnqueueError {
    /// A mistake of the caller; nothing was enqueued.
    #[error("job {job_id} is of class {actual}, this queue of class {expected}")]
    WrongClass {
        /// The job.
        job_id: JobId,
        /// The class of its kind.
        actual: Class,
        /// The class of the queue.
        expected: Class,
    },
    /// A mistake of the caller.
    #[error("job {job_id} cannot be encoded")]
    Encode {
        /// The job.
        job_id: JobId,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Try again later. Jobs of other shards may have been enqueued.
    #[error(
        "shard {shard} of {class} is full: its jobs take {used_bytes} bytes, the high-water mark is {high_water_bytes}"
    )]
    HighWater {
        /// The class.
        class: Class,
        /// The shard that is full.
        shard: u16,
        /// What its jobs' bodies take.
        used_bytes: u64,
        /// What they may take, the shard's part of the class's mark.
        high_water_bytes: u64,
    },
    /// Outcome unknown: try again.
    #[error("enqueue")]
    Redis(#[from] RedisError),
}

/// A job, its position in the input, and its time in µs.
struct Entry<'a> {
    position: usize,
    job: &'a Job,
    not_before_us: Option<i64>,
}

/// What becomes of a job that lives already.
#[derive(Debug, Clone, Copy)]
enum Existing {
    Stays,
    MovesForward,
}

const BATCH: usize = 256;

impl Broker {
    /// Enqueues jobs that may run at once; answers in their order. An id that comes twice counts once: the first says
    /// what became of it, the others [`Enqueued::Exists`].
    ///
    /// # Errors
    /// [`EnqueueError`]: repeat the whole batch after the cause is gone.
    pub async fn enqueue(&self, jobs: &[Job]) -> Result<Vec<Enqueued>, EnqueueError> {
        self.enqueue_each(jobs.iter().map(|job| (job, None)), Existing::Stays)
            .await
    }

    /// Enqueues jobs, each not to run before its time (by Redis's clock); answers in their order.
    ///
    /// # Errors
    /// As [`Broker::enqueue`].
    pub async fn enqueue_at(
        &self,
        jobs: &[(Job, Option<Timestamp>)],
    ) -> Result<Vec<Enqueued>, EnqueueError> {
        self.enqueue_each(jobs.iter().map(|(job, at)| (job, *at)), Existing::Stays)
            .await
    }

    /// As [`Broker::enqueue_at`], but a job that lives already and is not running gets the earlier of both times and the
    /// more urgent of both priorities: also one that waits for its next attempt. It keeps its lane and everything else,
    /// and goes behind what is queued there with that priority. A parked or paused lane stays so. One that runs answers
    /// [`Enqueued::Exists`].
    ///
    /// # Errors
    /// As [`Broker::enqueue`].
    pub async fn enqueue_forward(
        &self,
        jobs: &[(Job, Option<Timestamp>)],
    ) -> Result<Vec<Enqueued>, EnqueueError> {
        self.enqueue_each(
            jobs.iter().map(|(job, at)| (job, *at)),
            Existing::MovesForward,
        )
        .await
    }

    async fn enqueue_each(
        &self,
        jobs: impl ExactSizeIterator<Item = (&Job, Option<Timestamp>)>,
        existing: Existing,
    ) -> Result<Vec<Enqueued>, EnqueueError> {
        let mut answers = vec![Enqueued::Exists; jobs.len()];
        let mut seen = HashSet::with_capacity(jobs.len());
        let mut by_shard: BTreeMap<u16, Vec<Entry<'_>>> = BTreeMap::new();
        for (position, (job, not_before)) in jobs.enumerate() {
            self.check_class(job)?;
            if !seen.insert(job.id) {
                continue;
            }
            let shard = self.shard_of(job.connection);
            by_shard.entry(shard).or_default().push(Entry {
                position,
                job,
                not_before_us: not_before.map(Timestamp::as_microsecond),
            });
        }
        // Shards beside each other, what one shard gets one after the other: lanes keep their order.
        let shards = by_shard.into_iter();
        let calls = shards.map(|(shard, entries)| self.enqueue_shard(shard, entries, existing));
        for added in join_all(calls).await {
            for (position, answer) in added? {
                answers[position] = answer;
            }
        }
        Ok(answers)
    }

    fn check_class(&self, job: &Job) -> Result<(), EnqueueError> {
        let (actual, expected) = (job.kind.class(), self.class);
        if actual == expected {
            return Ok(());
        }
        Err(EnqueueError::WrongClass {
            job_id: job.id,
            actual,
            expected,
        })
    }

    /// Returns positions and answers.
    async fn enqueue_shard(
        &self,
        shard: u16,
        mut entries: Vec<Entry<'_>>,
        existing: Existing,
    ) -> Result<Vec<(usize, Enqueued)>, EnqueueError> {
        // One push for all that a queue gets, and few tenants in a batch; stable, so that each queue keeps its order.
        entries.sort_by_key(|entry| (entry.job.tenant, queue_of(entry)));
        let mut answers = Vec::with_capacity(entries.len());
        for batch in entries.chunks(BATCH) {
            self.enqueue_batch(shard, batch, existing, &mut answers)
                .await?;
        }
        Ok(answers)
    }

    async fn enqueue_batch(
        &self,
        shard: u16,
        batch: &[Entry<'_>],
        existing: Existing,
        answers: &mut Vec<(usize, Enqueued)>,
    ) -> Result<(), EnqueueError> {
        let shards = u64::from(self.shards());
        let high_water_bytes = self.options.high_water_bytes / shards;
        let bodies = self.bodies(batch)?;
        let tenants = bytes_by_tenant(batch, &bodies);
        let mut call = script::ENQUEUE.on(self.shard(shard), &self.now());
        call.arg(high_water_bytes)
            .arg(self.options.tenant_high_water_bytes / shards)
            .arg(existing.word())
            .arg(batch.len())
            .arg(tenants.len());
        for (tenant, bytes) in &tenants {
            call.arg(tenant.uuid().as_bytes()).arg(*bytes);
        }
        for (entry, body) in batch.iter().zip(&bodies) {
            call.arg(entry.job.id.uuid().as_bytes()).arg(&body[..]);
        }
        for group in batch.chunk_by(|one, next| queue_of(one) == queue_of(next)) {
            add_group(&mut call, self.shard(shard), group);
        }
        let reply: Vec<Value> = call.run(&self.redis).await?;
        match reply.first().and_then(bytes) {
            Some(b"ADDED") => {}
            Some(b"HIGH_WATER") => {
                return Err(EnqueueError::HighWater {
                    class: self.class,
                    shard,
                    used_bytes: reply.get(1).and_then(number).unwrap_or_default(),
                    high_water_bytes,
                });
            }
            _ => return Err(unexpected("enqueue.lua").into()),
        }
        let first = answers.len();
        answers.extend(batch.iter().map(|entry| (entry.position, Enqueued::Added)));
        for said in reply[1..].chunks_exact(2) {
            let position = number(&said[0]).and_then(|position| usize::try_from(position).ok());
            let index = position.and_then(|position| position.checked_sub(1));
            let entry = index.and_then(|index| answers.get_mut(first + index));
            let answer = bytes(&said[1]).and_then(Enqueued::read);
            let (Some(entry), Some(answer)) = (entry, answer) else {
                return Err(unexpected("enqueue.lua").into());
            };
            entry.1 = answer;
        }
        Ok(())
    }

    fn bodies(&self, batch: &[Entry<'_>]) -> Result<Vec<Vec<u8>>, EnqueueError> {
        let now = self.options.clock.about_now();
        let encode = |entry: &Entry<'_>| {
            let job_id = entry.job.id;
            let not_before = entry
                .not_before_us
                .and_then(|time_us| Timestamp::from_microsecond(time_us).ok());
            body::encode(entry.job, now, not_before)
                .map_err(|source| EnqueueError::Encode { job_id, source })
        };
        batch.iter().map(encode).collect()
    }
}

/// What jobs are pushed together: one queue's, or all that are delayed.
fn queue_of(entry: &Entry<'_>) -> Option<(ConnectionId, Priority)> {
    let job = entry.job;
    entry
        .not_before_us
        .is_none()
        .then_some((job.connection, job.priority))
}

impl Existing {
    const fn word(self) -> &'static str {
        match self {
            Self::Stays => "",
            Self::MovesForward => "FORWARD",
        }
    }
}

impl Enqueued {
    fn read(word: &[u8]) -> Option<Self> {
        Some(match word {
            b"EXISTS" => Self::Exists,
            b"MOVED_FORWARD" => Self::MovedForward,
            b"TENANT_FULL" => Self::TenantFull,
            _ => return None,
        })
    }
}

/// What the bodies of each tenant take; the batch is sorted by tenant.
fn bytes_by_tenant(batch: &[Entry<'_>], bodies: &[Vec<u8>]) -> Vec<(TenantId, usize)> {
    let mut bytes: Vec<(TenantId, usize)> = Vec::new();
    for (entry, body) in batch.iter().zip(bodies) {
        match bytes.last_mut() {
            Some((tenant, sum)) if *tenant == entry.job.tenant => *sum += body.len(),
            _ => bytes.push((entry.job.tenant, body.len())),
        }
    }
    bytes
}

/// Where jobs that are pushed together go.
fn add_group(call: &mut Call, shard: &ShardKey, group: &[Entry<'_>]) {
    if let Some((connection, priority)) = queue_of(&group[0]) {
        let priority = b'0' + priority.get();
        call.arg(&shard.queue(connection.uuid().as_bytes(), priority)[..]);
    } else {
        call.arg("");
    }
    call.arg(group.len());
    for time_us in group.iter().filter_map(|entry| entry.not_before_us) {
        call.arg(time_us);
    }
}
