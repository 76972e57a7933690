//! What has happened to a job so far.

use bulkhead_domain::JobId;
use jiff::Timestamp;
use serde::Deserialize;

/// Something that happened to a job.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, serde::Serialize)]
pub struct Incident {
    /// When, by Redis time.
    #[serde(rename = "at", deserialize_with = "from_millis")]
    pub at: Timestamp,
    /// What.
    #[serde(rename = "e")]
    pub event: IncidentKind,
    /// The worker that held it; empty if none did.
    #[serde(rename = "w", default)]
    pub worker: String,
    /// Why, in the handler's words; may be empty.
    #[serde(rename = "r", default)]
    pub reason: String,
}

/// What happened to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum IncidentKind {
    /// An attempt failed.
    Failed,
    /// Its worker let the lease expire.
    Crashed,
    /// Its handler gave it up.
    Buried,
    /// An operator took it from the dead letters.
    Redriven,
}

/// A dead letter as a reaping or a listing returns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The job.
    pub job_id: JobId,
    /// The job, unless its body cannot be read.
    pub job: Option<bulkhead_domain::Job>,
    /// Why it died.
    pub reason: String,
    /// When, by Redis time.
    pub at: Timestamp,
    /// The last ten things that happened to it, oldest first.
    pub history: Vec<Incident>,
}

/// The scripts' JSON of a job's trials, and of a dead letter.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Trials {
    #[serde(rename = "f", default)]
    pub(crate) failures: u32,
    #[serde(rename = "c", default)]
    pub(crate) crashes: u32,
    #[serde(rename = "h", default)]
    pub(crate) history: Vec<Incident>,
    #[serde(rename = "r", default)]
    pub(crate) reason: String,
    #[serde(rename = "at", default)]
    pub(crate) at_ms: i64,
}

impl Trials {
    /// Reads them; none, or none that can be read, count as a job that nothing has happened to.
    pub(crate) fn read(json: &[u8]) -> Self {
        if json.is_empty() {
            return Self::default();
        }
        serde_json::from_slice(json).unwrap_or_else(|error| {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "unreadable trials of a job"
            );
            Self::default()
        })
    }

    /// Whether nothing has happened to it.
    pub(crate) const fn is_untried(&self) -> bool {
        self.failures == 0 && self.crashes == 0 && self.history.is_empty()
    }

    /// The attempt that comes now, from 1.
    pub(crate) const fn attempt(&self) -> u32 {
        self.failures.saturating_add(1)
    }

    pub(crate) fn into_dead_letter(
        self,
        job_id: JobId,
        job: Option<bulkhead_domain::Job>,
    ) -> DeadLetter {
        DeadLetter {
            job_id,
            job,
            reason: self.reason,
            at: Timestamp::from_millisecond(self.at_ms).unwrap_or_default(),
            history: self.history,
        }
    }
}

fn from_millis<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let millis = i64::deserialize(deserializer)?;
    Timestamp::from_millisecond(millis).map_err(serde::de::Error::custom)
}
