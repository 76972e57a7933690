//! Taking back what crashed workers held.

use bulkhead_domain::JobId;
use redis::{RedisError, Value};
use uuid::Uuid;

use crate::{
    body,
    broker::Broker,
    reply::{bytes, unexpected},
    script,
    trials::{DeadLetter, Trials},
};

/// What became of jobs whose leases had expired.
#[derive(Debug, Default)]
pub struct Reaped {
    /// First in their lanes again; after many crashes in company, within a minute.
    pub requeued: Vec<JobId>,
    /// Forgotten: they had been cancelled.
    pub cancelled: Vec<JobId>,
    /// In the dead letters: they crashed their workers too often.
    pub quarantined: Vec<DeadLetter>,
}

impl Reaped {
    /// How many leases had expired.
    #[must_use]
    pub fn total(&self) -> usize {
        self.requeued.len() + self.cancelled.len() + self.quarantined.len()
    }
}

/// It is not known whether anything was reaped.
#[derive(Debug, thiserror::Error)]
pub enum ReapError {
    /// Repeat it; the next call reaps what is left.
    #[error("reap expired leases")]
    Redis(#[from] RedisError),
}

const MOST: usize = 256;

impl Broker {
    /// Takes back up to `max` (at most 256) jobs of `shard` whose leases have expired by Redis time. Any process may
    /// call it at any time.
    ///
    /// # Errors
    /// [`ReapError`]: repeat it. What was quarantined and not answered is found with [`Broker::presence`].
    pub async fn reap(&self, shard: u16, max: usize) -> Result<Reaped, ReapError> {
        let mut call = script::REAP.on(self.shard(shard), &self.now());
        call.arg(max.min(MOST)).arg(self.options.max_crashes.max(1));
        let reply: Vec<Value> = call.run(&self.redis).await?;
        Ok(read(&reply).ok_or_else(|| unexpected("reap.lua"))?)
    }
}

fn read(reply: &[Value]) -> Option<Reaped> {
    let mut reaped = Reaped::default();
    for job in reply.chunks_exact(4) {
        let id = JobId::new(Uuid::from_slice(bytes(&job[0])?).ok()?);
        match bytes(&job[1])? {
            b"REQUEUED" => reaped.requeued.push(id),
            b"CANCELLED" => reaped.cancelled.push(id),
            b"QUARANTINED" => {
                let job_body = body::decode(id, bytes(&job[2])?).ok();
                let letter = Trials::read(bytes(&job[3])?).into_dead_letter(id, job_body);
                reaped.quarantined.push(letter);
            }
            _ => return None,
        }
    }
    Some(reaped)
}
