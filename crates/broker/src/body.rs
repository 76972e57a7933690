//! How a job lies in Redis.
//!
//! ```text
//! 0  1   version 0x02; with 0x80 once it was started or moved forward, so that its next start is no first one
//! 1  1   priority, '0' to '9'
//! 2 16   tenant
//! 18 16  connection
//! 34 16  application
//! 50  6   when it was enqueued by the clock of who did, ms since 1970, big-endian; version 0x01 has none
//! 56  …  the rest as JSON: k kind, d day, x params, tp traceparent, n not to run before, ms, if that is later
//! ```
//! The scripts read the first 34 bytes; the id is the key. Half the size of the job's own JSON.

use bulkhead_domain::{
    ApplicationId, ConnectionId, Job, JobId, JobKind, JobParams, Priority, TenantId,
};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const VERSION: u8 = 2;
const STARTED: u8 = 0x80;
/// Without a time; what a fleet that is being upgraded may still have queued.
const VERSION_1: u8 = 1;
const TIME: usize = 50;
const HEADER: usize = 56;

/// Why a body is not a job of this version of the fleet.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("unknown version of a job's body")]
    Version,
    #[error("a job's body is cut short")]
    Short,
    #[error("a job's body cannot be read")]
    Json(#[from] serde_json::Error),
}

#[derive(Serialize, Deserialize)]
struct Rest {
    k: JobKind,
    d: Date,
    #[serde(default, skip_serializing_if = "is_default")]
    x: JobParams,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tp: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    n: Option<i64>,
}

fn is_default(params: &JobParams) -> bool {
    *params == JobParams::default()
}

/// What the scripts read of a body, and what a queue is filed under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Lane {
    pub(crate) tenant: TenantId,
    pub(crate) connection: ConnectionId,
}

/// The body of a job that is enqueued at `enqueued_at`, not to run before `not_before`.
pub(crate) fn encode(
    job: &Job,
    enqueued_at: Timestamp,
    not_before: Option<Timestamp>,
) -> Result<Vec<u8>, serde_json::Error> {
    let mut body = Vec::with_capacity(192);
    body.push(VERSION);
    body.push(b'0' + job.priority.get());
    body.extend_from_slice(job.tenant.uuid().as_bytes());
    body.extend_from_slice(job.connection.uuid().as_bytes());
    body.extend_from_slice(job.application.uuid().as_bytes());
    body.extend_from_slice(&enqueued_at.as_millisecond().to_be_bytes()[2..]);
    let rest = Rest {
        k: job.kind,
        d: job.day,
        x: job.params.clone(),
        tp: job.trace.clone(),
        n: not_before
            .filter(|time| *time > enqueued_at)
            .map(Timestamp::as_millisecond),
    };
    serde_json::to_writer(&mut body, &rest)?;
    Ok(body)
}

/// A job with what its body says of its time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) job: Job,
    /// When it was enqueued, or might run if that was later; `None`: the body does not say.
    pub(crate) runnable_at: Option<Timestamp>,
    /// Whether it was started before, or moved to an earlier time.
    pub(crate) was_started: bool,
}

pub(crate) fn decode(id: JobId, body: &[u8]) -> Result<Job, DecodeError> {
    Ok(read(id, body)?.job)
}

pub(crate) fn read(id: JobId, body: &[u8]) -> Result<Stored, DecodeError> {
    let header = match version(body) {
        Some(VERSION) => HEADER,
        Some(VERSION_1) => TIME,
        _ => return Err(DecodeError::Version),
    };
    let lane = lane(body).ok_or(DecodeError::Short)?;
    let application = uuid_at(body, 34).ok_or(DecodeError::Short)?;
    let rest: Rest = serde_json::from_slice(body.get(header..).ok_or(DecodeError::Short)?)?;
    let not_before = rest.n.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let job = Job {
        id,
        kind: rest.k,
        tenant: lane.tenant,
        connection: lane.connection,
        application: ApplicationId::new(application),
        day: rest.d,
        priority: Priority::new(body[1].wrapping_sub(b'0')),
        params: rest.x,
        trace: rest.tp,
    };
    Ok(Stored {
        job,
        runnable_at: enqueued_at(body).max(not_before),
        was_started: body[0] & STARTED != 0,
    })
}

fn version(body: &[u8]) -> Option<u8> {
    body.first().map(|version| version & !STARTED)
}

/// When a job was enqueued, if its body says so.
pub(crate) fn enqueued_at(body: &[u8]) -> Option<Timestamp> {
    if version(body) != Some(VERSION) {
        return None;
    }
    let mut ms = [0; 8];
    ms[2..].copy_from_slice(body.get(TIME..HEADER)?);
    Timestamp::from_millisecond(i64::from_be_bytes(ms)).ok()
}

/// The lane of any body that is long enough, whatever its version.
pub(crate) fn lane(body: &[u8]) -> Option<Lane> {
    Some(Lane {
        tenant: TenantId::new(uuid_at(body, 2)?),
        connection: ConnectionId::new(uuid_at(body, 18)?),
    })
}

pub(crate) fn uuid_at(bytes: &[u8], offset: usize) -> Option<Uuid> {
    Uuid::from_slice(bytes.get(offset..offset + 16)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulkhead_domain::Dataset;
    use jiff::civil::date;

    fn job() -> Job {
        Job {
            id: JobId::new(Uuid::from_u128(9)),
            kind: JobKind::Sync,
            tenant: TenantId::new(Uuid::from_u128(1)),
            connection: ConnectionId::new(Uuid::from_u128(2)),
            application: ApplicationId::new(Uuid::from_u128(3)),
            day: date(2026, 11, 24),
            priority: Priority::BACKFILL,
            params: JobParams {
                dataset: Some(Dataset::Orders),
                since: None,
            },
            trace: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        }
    }

    #[test]
    fn a_job_survives_its_body() {
        let time = Timestamp::from_millisecond(1_764_000_000_123).expect("in range");
        let body = encode(&job(), time, None).expect("plain data");
        assert_eq!(decode(job().id, &body).expect("its own body"), job());
        assert_eq!(enqueued_at(&body), Some(time));
        let mut started = body.clone();
        started[0] |= STARTED;
        let stored = read(job().id, &started).expect("its own body");
        assert!(stored.was_started && !read(job().id, &body).expect("as well").was_started);
        assert_eq!((stored.job, stored.runnable_at), (job(), Some(time)));
        let own_json = serde_json::to_vec(&job()).expect("plain data");
        assert!(body.len() * 10 < own_json.len() * 7, "{}", body.len());
    }

    #[test]
    fn a_body_of_the_version_before_is_still_read() {
        let mut body = encode(&job(), Timestamp::UNIX_EPOCH, None).expect("plain data");
        body.drain(TIME..HEADER);
        body[0] = VERSION_1;
        assert_eq!(decode(job().id, &body).expect("an older body"), job());
        assert_eq!(enqueued_at(&body), None);
    }

    #[test]
    fn every_damaged_body_is_refused_and_none_panics() {
        let body = encode(&job(), Timestamp::UNIX_EPOCH, None).expect("plain data");
        for length in 0..body.len() {
            assert!(decode(job().id, &body[..length]).is_err(), "{length}");
        }
        let mut other_version = body;
        other_version[0] = 3;
        assert!(decode(job().id, &other_version).is_err());
    }
}
