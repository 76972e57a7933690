//! New jobs.

use std::collections::BTreeMap;

use bulkhead_domain::{Class, Job, JobId};
use jiff::Timestamp;
use redis::{RedisError, Value};

use crate::{
    body,
    broker::Broker,
    reply::{bytes, number, unexpected},
    script,
};

/// What became of a job that was to be enqueued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// It is new.
    Added,
    /// A job of this id lives already (queued, delayed or running), and stays as it is.
    Exists,
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
    /// A mistake of the caller; nothing was enqueued.
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

/// A job's position in the input, its id, its body and its time in µs.
struct Entry {
    position: usize,
    id: JobId,
    body: Vec<u8>,
    not_before_us: Option<i64>,
}

const BATCH: usize = 256;

impl Broker {
    /// Enqueues jobs that may run at once; answers in their order.
    ///
    /// # Errors
    /// [`EnqueueError`]: repeat the whole batch after the cause is gone.
    pub async fn enqueue(&self, jobs: &[Job]) -> Result<Vec<Enqueued>, EnqueueError> {
        self.enqueue_each(jobs.iter().map(|job| (job, None))).await
    }

    /// Enqueues jobs, each not to run before its time (by Redis's clock); answers in their order.
    ///
    /// # Errors
    /// As [`Broker::enqueue`].
    pub async fn enqueue_at(
        &self,
        jobs: &[(Job, Option<Timestamp>)],
    ) -> Result<Vec<Enqueued>, EnqueueError> {
        self.enqueue_each(jobs.iter().map(|(job, at)| (job, *at)))
            .await
    }

    async fn enqueue_each(
        &self,
        jobs: impl ExactSizeIterator<Item = (&Job, Option<Timestamp>)>,
    ) -> Result<Vec<Enqueued>, EnqueueError> {
        let mut answers = vec![Enqueued::Exists; jobs.len()];
        let mut by_shard: BTreeMap<u16, Vec<Entry>> = BTreeMap::new();
        for (position, (job, not_before)) in jobs.enumerate() {
            let entry = self.entry(position, job, not_before)?;
            let shard = self.shard_of(job.connection);
            by_shard.entry(shard).or_default().push(entry);
        }
        for (shard, entries) in by_shard {
            for batch in entries.chunks(BATCH) {
                self.enqueue_batch(shard, batch, &mut answers).await?;
            }
        }
        Ok(answers)
    }

    fn entry(
        &self,
        position: usize,
        job: &Job,
        not_before: Option<Timestamp>,
    ) -> Result<Entry, EnqueueError> {
        let (job_id, actual, expected) = (job.id, job.kind.class(), self.class);
        if actual != expected {
            return Err(EnqueueError::WrongClass {
                job_id,
                actual,
                expected,
            });
        }
        let body = body::encode(job).map_err(|source| EnqueueError::Encode { job_id, source })?;
        Ok(Entry {
            position,
            id: job_id,
            body,
            not_before_us: not_before.map(Timestamp::as_microsecond),
        })
    }

    async fn enqueue_batch(
        &self,
        shard: u16,
        batch: &[Entry],
        answers: &mut [Enqueued],
    ) -> Result<(), EnqueueError> {
        let high_water_bytes = self.options.high_water_bytes / u64::from(self.shards());
        let mut call = script::ENQUEUE.on(self.shard(shard), &self.now());
        call.arg(high_water_bytes);
        for entry in batch {
            call.arg(entry.id.uuid().as_bytes()).arg(&entry.body[..]);
            match entry.not_before_us {
                Some(time_us) => call.arg(time_us),
                None => call.arg(""),
            };
        }
        let reply: Vec<Value> = call.run(&self.redis).await?;
        if reply.first().and_then(bytes) == Some(b"HIGH_WATER") {
            return Err(EnqueueError::HighWater {
                class: self.class,
                shard,
                used_bytes: reply.get(1).and_then(number).unwrap_or_default(),
                high_water_bytes,
            });
        }
        for (entry, word) in batch.iter().zip(&reply) {
            answers[entry.position] = match bytes(word) {
                Some(b"ADDED") => Enqueued::Added,
                Some(b"EXISTS") => Enqueued::Exists,
                _ => return Err(unexpected("enqueue.lua").into()),
            };
        }
        Ok(())
    }
}
