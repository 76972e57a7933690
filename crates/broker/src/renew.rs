//! Keeping leases.

use redis::{RedisError, Value};

use crate::{
    broker::Broker,
    lease::Lease,
    reply::{bytes, micros, unexpected},
    script,
};

/// What became of a lease that was to be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewed {
    /// It lasts one visibility timeout from now.
    Extended,
    /// It expired, or a newer one exists: stop the job at once and write nothing more.
    Lost,
    /// It is extended, but an operator wants the job stopped: stop it and acknowledge.
    Cancelled,
}

/// It is not known whether the leases were extended.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// Repeat it; stop the jobs if that does not succeed before their leases expire.
    #[error("renew leases")]
    Redis(#[from] RedisError),
}

const BATCH: usize = 256;

impl Broker {
    /// Extends leases of `shard` by Redis time; this host's clock is not read. Answers in their order.
    ///
    /// # Errors
    /// [`RenewError`]: repeat it.
    pub async fn renew(&self, shard: u16, leases: &[Lease]) -> Result<Vec<Renewed>, RenewError> {
        let mut answers = Vec::with_capacity(leases.len());
        for batch in leases.chunks(BATCH) {
            let mut call = script::RENEW.on(self.shard(shard), &self.now());
            call.arg(micros(self.options.visibility_timeout));
            for lease in batch {
                call.arg(lease.job_id.uuid().as_bytes())
                    .arg(lease.token_digits());
            }
            let reply: Vec<Value> = call.run(&self.redis).await?;
            for word in &reply {
                answers.push(match bytes(word) {
                    Some(b"EXTENDED") => Renewed::Extended,
                    Some(b"LOST") => Renewed::Lost,
                    Some(b"CANCELLED") => Renewed::Cancelled,
                    _ => return Err(unexpected("renew.lua").into()),
                });
            }
        }
        Ok(answers)
    }
}
