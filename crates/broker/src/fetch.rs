//! Taking jobs to run.

use std::time::Duration;

use bulkhead_domain::{FencingToken, Job, JobId, Priority, WorkerId};
use redis::{RedisError, Value};
use uuid::Uuid;

use crate::{
    acknowledge::{Acknowledgement, Outcome},
    body::{self, Lane, Stored},
    broker::Broker,
    lease::Lease,
    reply::{bytes, micros, number, unexpected},
    script::{self, Call},
    trials::Trials,
};

/// A request for jobs of one shard.
#[derive(Debug, Clone, Copy)]
pub struct FetchRequest<'a> {
    /// Who asks.
    pub worker: &'a WorkerId,
    /// From where.
    pub shard: u16,
    /// A number of this worker at this shard that grows with every fetch. After an error, repeat it: if the lost
    /// reply held jobs, the same ones are answered.
    pub sequence: u64,
    /// How many jobs at most; 256 is the most that is answered.
    pub max: usize,
}

/// What a fetch found.
#[derive(Debug, Default)]
pub struct Fetched {
    /// The jobs to run, each under its lease.
    pub leased: Vec<Leased>,
    /// Jobs whose bodies this version cannot read; they are in the dead letters now.
    pub undecodable: Vec<JobId>,
    /// How long until something else becomes runnable by itself: zero if there is more already, `None` if nothing
    /// will without being enqueued.
    pub next_wake: Option<Duration>,
}

/// A job with the right to run it.
#[derive(Debug, Clone)]
pub struct Leased {
    /// What to do.
    pub job: Job,
    /// The right to do it.
    pub lease: Lease,
    /// Which attempt this is, from 1; only failures count.
    pub attempt: u32,
    /// How often a worker crashed on it.
    pub crashes: u32,
    /// How long it had waited until this lease, if it has not been started before: see
    /// [`WaitHistogram`](crate::WaitHistogram).
    pub waited: Option<Duration>,
}

/// No jobs were answered.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// A mistake of the caller: this worker has already used a greater sequence number.
    #[error("worker {worker} has already fetched with a greater sequence than {sequence}")]
    Stale {
        /// The worker.
        worker: WorkerId,
        /// The number that it used again.
        sequence: u64,
    },
    /// Repeat it with the same sequence number.
    #[error("fetch")]
    Redis(#[from] RedisError),
}

/// As many as one script may take.
const MOST: usize = 256;

impl Broker {
    /// Leases up to `max` jobs, chosen fairly: the tenant that was served least, its connection that was served
    /// least, its most urgent job, first come first served.
    ///
    /// # Errors
    /// [`FetchError::Redis`]: repeat with the same sequence number.
    pub async fn fetch(&self, request: &FetchRequest<'_>) -> Result<Fetched, FetchError> {
        if request.max == 0 {
            return Ok(Fetched::default());
        }
        let mut call = script::FETCH.on(self.shard(request.shard), &self.now());
        self.add_request(&mut call, request);
        let reply: Vec<Value> = call.run(&self.redis).await?;
        self.fetched(request, &reply).await
    }

    pub(crate) fn add_request(&self, call: &mut Call, request: &FetchRequest<'_>) {
        call.arg(request.worker.as_str())
            .arg(format!("{:016}", request.sequence))
            .arg(request.max.min(MOST))
            .arg(micros(self.options.visibility_timeout));
    }

    /// Reads the script's reply, and buries what cannot be read.
    pub(crate) async fn fetched(
        &self,
        request: &FetchRequest<'_>,
        reply: &[Value],
    ) -> Result<Fetched, FetchError> {
        if reply.first().and_then(bytes) == Some(b"STALE") {
            return Err(FetchError::Stale {
                worker: request.worker.clone(),
                sequence: request.sequence,
            });
        }
        let (mut fetched, unreadable) =
            read(reply, request.shard).ok_or_else(|| unexpected("fetch.lua"))?;
        fetched.undecodable = self.bury_unreadable(request.shard, unreadable).await?;
        Ok(fetched)
    }

    async fn bury_unreadable(
        &self,
        shard: u16,
        unreadable: Vec<Acknowledgement>,
    ) -> Result<Vec<JobId>, FetchError> {
        if unreadable.is_empty() {
            return Ok(Vec::new());
        }
        let ids = unreadable.iter().map(|one| one.lease.job_id).collect();
        self.acknowledge_all(shard, &unreadable).await?;
        Ok(ids)
    }
}

/// Reads a `FETCHED` reply: what can be run, and what has to be buried.
fn read(reply: &[Value], shard: u16) -> Option<(Fetched, Vec<Acknowledgement>)> {
    let [word, token, wait, jobs @ ..] = reply else {
        return None;
    };
    if bytes(word)? != b"FETCHED" {
        return None;
    }
    let mut fetched = Fetched {
        next_wake: number(wait).map(Duration::from_micros),
        ..Fetched::default()
    };
    let mut unreadable = Vec::new();
    let Some(token) = FencingToken::from_redis(number(token)?) else {
        return Some((fetched, unreadable));
    };
    let [
        Value::Array(ids),
        Value::Array(bodies),
        Value::Array(trials),
    ] = jobs
    else {
        return None;
    };
    fetched.leased.reserve(ids.len());
    for (n, id) in ids.iter().enumerate() {
        let job_id = JobId::new(Uuid::from_slice(bytes(id)?).ok()?);
        let stored = bodies.get(n).and_then(bytes).unwrap_or_default();
        let trials = Trials::read(trials.get(n).and_then(bytes).unwrap_or_default());
        let lease = |lane: Lane, priority| Lease {
            job_id,
            token,
            shard,
            connection: lane.connection,
            tenant: lane.tenant,
            priority,
            body_bytes: u32::try_from(stored.len()).unwrap_or(u32::MAX),
        };
        match body::read(job_id, stored) {
            Ok(read) => fetched.leased.push(Leased {
                lease: lease(lane_of(&read.job), read.job.priority),
                waited: trials.is_untried().then(|| waited(&read, token)).flatten(),
                job: read.job,
                attempt: trials.attempt(),
                crashes: trials.crashes,
            }),
            Err(error) => unreadable.push(Acknowledgement {
                lease: lease(body::lane(stored)?, Priority::NIGHT),
                outcome: Outcome::DeadLetter {
                    reason: error.to_string(),
                },
            }),
        }
    }
    Some((fetched, unreadable))
}

/// The token of a lease is its time in µs by Redis's clock, or just above older tokens if that went back.
fn waited(stored: &Stored, token: FencingToken) -> Option<Duration> {
    let since = stored.runnable_at.filter(|_| !stored.was_started)?;
    let since_us = u64::try_from(since.as_microsecond()).ok()?;
    Some(Duration::from_micros(token.get().saturating_sub(since_us)))
}

fn lane_of(job: &Job) -> Lane {
    Lane {
        tenant: job.tenant,
        connection: job.connection,
    }
}
