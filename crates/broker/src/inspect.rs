//! Where jobs are: for operators, and for the scheduler that compares Redis with Postgres.

use std::collections::HashSet;

use bulkhead_domain::{ConnectionId, Job, JobId, JobKind, TenantId, WorkerId};
use jiff::Timestamp;
use redis::{RedisError, Value};
use uuid::Uuid;

use crate::{
    body,
    broker::Broker,
    reply::{HashPage, bytes, unexpected},
    script,
    trials::{Incident, Trials},
};

/// Redis did not answer a question, or did not confirm a command.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// Repeat it; every command here may be repeated.
    #[error("ask Redis about jobs")]
    Redis(#[from] RedisError),
}

/// Whether a job is in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Nowhere: never enqueued, finished, cancelled, or lost with Redis's data.
    Absent,
    /// Queued, delayed or running.
    Alive,
    /// In the dead letters.
    Dead,
}

/// Which jobs are meant: those that match every field that is given. The default means all.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// This job.
    pub id: Option<JobId>,
    /// This customer's.
    pub tenant: Option<TenantId>,
    /// This seller's.
    pub connection: Option<ConnectionId>,
    /// Of this kind.
    pub kind: Option<JobKind>,
}

/// A job with where it is.
#[derive(Debug, Clone)]
pub struct JobEntry {
    /// The job.
    pub job: Job,
    /// When it was enqueued, by the clock of who did.
    pub enqueued_at: Option<Timestamp>,
    /// When it was enqueued, or might first run if that was later.
    pub runnable_at: Option<Timestamp>,
    /// Where it is.
    pub state: JobState,
    /// Which attempt it is at, from 1.
    pub attempt: u32,
    /// How often a worker crashed on it.
    pub crashes: u32,
    /// The last ten things that happened to it, oldest first.
    pub history: Vec<Incident>,
}

/// Where a job is. Times are Redis's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    /// In its lane, to be fetched.
    Queued,
    /// In its lane, which waits.
    Parked {
        /// Until when.
        until: Timestamp,
    },
    /// In its lane, which an operator holds.
    Paused,
    /// Waits for its time.
    Delayed {
        /// When it may run.
        until: Timestamp,
    },
    /// In flight.
    Running {
        /// Who holds it.
        worker: WorkerId,
        /// When its lease expires unless it is renewed.
        expires: Timestamp,
    },
    /// In the dead letters.
    Dead {
        /// Why.
        reason: String,
        /// Since when.
        at: Timestamp,
    },
}

/// How many entries one call of Redis looks at.
pub(crate) const PAGE: usize = 256;

impl Broker {
    /// Where each of `ids` is, in their order; a job's shard is not known from its id, so every shard is asked.
    ///
    /// # Errors
    /// [`InspectError`]: repeat it.
    pub async fn presence(&self, ids: &[JobId]) -> Result<Vec<Presence>, InspectError> {
        let mut found = vec![Presence::Absent; ids.len()];
        for shard in self.shards.iter() {
            for (ids, found) in ids.chunks(PAGE).zip(found.chunks_mut(PAGE)) {
                let mut pipeline = redis::pipe();
                for (key, id) in ["jobs", "dead"]
                    .iter()
                    .flat_map(|name| ids.iter().map(move |id| (shard.key(name), id)))
                {
                    pipeline
                        .cmd("HEXISTS")
                        .arg(key)
                        .arg(&id.uuid().as_bytes()[..]);
                }
                let exist: Vec<bool> = pipeline.query_async(&mut self.redis.clone()).await?;
                let (alive, dead) = exist.split_at(ids.len());
                for (n, presence) in found.iter_mut().enumerate() {
                    if alive[n] {
                        *presence = Presence::Alive;
                    } else if dead[n] && *presence == Presence::Absent {
                        *presence = Presence::Dead;
                    }
                }
            }
        }
        Ok(found)
    }

    /// Which of `ids` live: queued, delayed or running.
    ///
    /// # Errors
    /// [`InspectError`]: repeat it.
    pub async fn exists(&self, ids: &[JobId]) -> Result<Vec<bool>, InspectError> {
        let presence = self.presence(ids).await?;
        Ok(presence.iter().map(|one| *one == Presence::Alive).collect())
    }

    /// One job, wherever it is.
    ///
    /// # Errors
    /// [`InspectError`]: repeat it.
    pub async fn job(&self, id: JobId) -> Result<Option<JobEntry>, InspectError> {
        for shard in 0..self.shards() {
            if let Some(entry) = self.look_at(shard, &[id]).await?.pop() {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// Up to `limit` jobs that match, living ones and dead letters, in no particular order. Looks through the whole
    /// class, page by page: for operators, not for workers. What moves meanwhile may be missed.
    ///
    /// # Errors
    /// [`InspectError`]: repeat it.
    pub async fn jobs(
        &self,
        filter: &JobFilter,
        limit: usize,
    ) -> Result<Vec<JobEntry>, InspectError> {
        let mut entries = Vec::new();
        for shard in 0..self.shards() {
            for hash in ["jobs", "dead_bodies"] {
                let room = limit.saturating_sub(entries.len());
                let mut ids = self.matching(shard, hash, filter).await?;
                ids.truncate(room);
                entries.extend(self.look_at(shard, &ids).await?);
            }
        }
        Ok(entries)
    }

    /// The ids in a shard's `jobs` or `dead_bodies` that match.
    pub(crate) async fn matching(
        &self,
        shard: u16,
        hash: &str,
        filter: &JobFilter,
    ) -> Result<Vec<JobId>, InspectError> {
        let is_elsewhere = |connection| self.shard_of(connection) != shard;
        if filter.connection.is_some_and(is_elsewhere) {
            return Ok(Vec::new());
        }
        let key = self.shard(shard).key(hash);
        if let Some(id) = filter.id {
            let mut command = redis::cmd("HGET");
            command.arg(&key).arg(&id.uuid().as_bytes()[..]);
            let stored: Option<Vec<u8>> = command.query_async(&mut self.redis.clone()).await?;
            let matches = stored.is_some_and(|stored| filter.matches(id, &stored));
            return Ok(matches.then_some(id).into_iter().collect());
        }
        self.scan(&key, filter).await
    }

    /// The ids in the hash `key` that match, page by page.
    async fn scan(&self, key: &str, filter: &JobFilter) -> Result<Vec<JobId>, InspectError> {
        let mut found = HashSet::new();
        let mut cursor = 0_u64;
        loop {
            let mut command = redis::cmd("HSCAN");
            command.arg(key).arg(cursor).arg("COUNT").arg(PAGE);
            let (next, page): HashPage = command.query_async(&mut self.redis.clone()).await?;
            for (id, stored) in page {
                if let Ok(uuid) = Uuid::from_slice(&id)
                    && filter.matches(JobId::new(uuid), &stored)
                {
                    found.insert(JobId::new(uuid));
                }
            }
            if next == 0 {
                return Ok(found.into_iter().collect());
            }
            cursor = next;
        }
    }

    /// What is known of those of `ids` that a shard has.
    async fn look_at(&self, shard: u16, ids: &[JobId]) -> Result<Vec<JobEntry>, InspectError> {
        let mut entries = Vec::new();
        for page in ids.chunks(PAGE) {
            let mut call = script::INSPECT.on(self.shard(shard), &self.now());
            for id in page {
                call.arg(&id.uuid().as_bytes()[..]);
            }
            let reply: Vec<Value> = call.run(&self.redis).await?;
            for (id, parts) in page.iter().zip(reply.chunks_exact(5)) {
                let parts: Option<Vec<&[u8]>> = parts.iter().map(bytes).collect();
                let parts = parts.ok_or_else(|| unexpected("inspect.lua"))?;
                entries.extend(read(*id, &parts));
            }
        }
        Ok(entries)
    }
}

impl JobFilter {
    /// Whether a stored body matches. A body that cannot be read matches by its lane only.
    fn matches(&self, id: JobId, stored: &[u8]) -> bool {
        let Some(lane) = body::lane(stored) else {
            return false;
        };
        self.id.is_none_or(|wanted| wanted == id)
            && self.tenant.is_none_or(|wanted| wanted == lane.tenant)
            && self
                .connection
                .is_none_or(|wanted| wanted == lane.connection)
            && self
                .kind
                .is_none_or(|wanted| body::decode(id, stored).is_ok_and(|job| job.kind == wanted))
    }
}

/// Reads one job of the script's reply; `None` if it is absent or cannot be read.
fn read(id: JobId, parts: &[&[u8]]) -> Option<JobEntry> {
    let [state, time, text, stored, trials] = parts else {
        return None;
    };
    let trials = Trials::read(trials);
    let time = || {
        let time_us: f64 = std::str::from_utf8(time).ok()?.parse().ok()?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "µs since 1970 are below 2^53"
        )]
        Timestamp::from_microsecond(time_us as i64).ok()
    };
    let state = match *state {
        b"QUEUED" => JobState::Queued,
        b"PAUSED" => JobState::Paused,
        b"PARKED" => JobState::Parked { until: time()? },
        b"DELAYED" => JobState::Delayed { until: time()? },
        b"RUNNING" => JobState::Running {
            worker: WorkerId::new(String::from_utf8_lossy(text).into_owned()),
            expires: time()?,
        },
        b"DEAD" => JobState::Dead {
            reason: trials.reason.clone(),
            at: Timestamp::from_millisecond(trials.at_ms).ok()?,
        },
        _ => return None,
    };
    let read = body::read(id, stored).ok()?;
    Some(JobEntry {
        job: read.job,
        runnable_at: read.runnable_at,
        enqueued_at: body::enqueued_at(stored),
        state,
        attempt: trials.attempt(),
        crashes: trials.crashes,
        history: trials.history,
    })
}
