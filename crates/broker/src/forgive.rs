//! Crashes that a job turned out not to have caused.

use redis::{RedisError, Value};

use crate::{
    broker::Broker,
    lease::Lease,
    reply::{bytes, unexpected},
    script,
};

/// Not known whether the crashes still count.
#[derive(Debug, thiserror::Error)]
pub enum ForgiveError {
    /// Repeat it, or leave it: the next step of the job may forgive them as well.
    #[error("forgive a job's crashes")]
    Redis(#[from] RedisError),
}

impl Broker {
    /// Takes the crashes of earlier workers off a job that has got on since: a job that lives through many workers
    /// would otherwise be quarantined for what happened to them. Returns whether any counted; a lease that is no
    /// longer held forgives nothing.
    ///
    /// # Errors
    /// [`ForgiveError`]: they may still count.
    pub async fn forgive_crashes(&self, lease: &Lease) -> Result<bool, ForgiveError> {
        let mut call = script::FORGIVE.on(self.shard(lease.shard), &self.now());
        call.arg(lease.job_id.uuid().as_bytes())
            .arg(format!("{:016}", lease.token.get()));
        let reply: Value = call.run(&self.redis).await?;
        match bytes(&reply) {
            Some(b"FORGIVEN") => Ok(true),
            Some(b"INNOCENT" | b"FENCED" | b"NOT_LEASED") => Ok(false),
            _ => Err(unexpected("forgive.lua").into()),
        }
    }
}
