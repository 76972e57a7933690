//! Cancelling what lives; dead letters back to work, or away.

use bulkhead_domain::JobId;
use redis::Value;

use crate::{
    broker::Broker,
    inspect::{InspectError, JobFilter, PAGE},
    reply::bytes,
    script::{self, Script},
};

/// What a cancellation did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cancelled {
    /// Queued and delayed jobs that are gone.
    pub removed: Vec<JobId>,
    /// Running jobs: their workers hear it at the next renewal, and they are forgotten when their leases end.
    pub told: Vec<JobId>,
}

impl Broker {
    /// Cancels the living jobs that match. Dead letters stay.
    ///
    /// # Errors
    /// [`InspectError`]: some may be cancelled; repeat it.
    pub async fn cancel(&self, filter: &JobFilter) -> Result<Cancelled, InspectError> {
        let mut cancelled = Cancelled::default();
        for (id, word) in self.apply(&script::CANCEL, "jobs", filter).await? {
            match &word[..] {
                b"REMOVED" => cancelled.removed.push(id),
                b"TOLD" => cancelled.told.push(id),
                _ => {}
            }
        }
        Ok(cancelled)
    }

    /// Queues the dead letters that match again, their failures and crashes forgiven. Returns them.
    ///
    /// # Errors
    /// [`InspectError`]: some may be queued; repeat it.
    pub async fn redrive(&self, filter: &JobFilter) -> Result<Vec<JobId>, InspectError> {
        let words = self.apply(&script::REDRIVE, "dead_bodies", filter).await?;
        Ok(those(&words, b"REDRIVEN"))
    }

    /// Forgets the dead letters that match. Returns them.
    ///
    /// # Errors
    /// [`InspectError`]: some may be forgotten; repeat it.
    pub async fn discard_dead_letters(
        &self,
        filter: &JobFilter,
    ) -> Result<Vec<JobId>, InspectError> {
        let words = self.apply(&script::DISCARD, "dead_bodies", filter).await?;
        Ok(those(&words, b"DISCARDED"))
    }

    /// Runs a script on the ids in `hash` that match, page by page.
    async fn apply(
        &self,
        script: &'static Script,
        hash: &str,
        filter: &JobFilter,
    ) -> Result<Vec<(JobId, Vec<u8>)>, InspectError> {
        let mut words = Vec::new();
        for shard in 0..self.shards() {
            let ids = self.matching(shard, hash, filter).await?;
            for page in ids.chunks(PAGE) {
                let mut call = script.on(self.shard(shard), &self.now());
                for id in page {
                    call.arg(&id.uuid().as_bytes()[..]);
                }
                let reply: Vec<Value> = call.run(&self.redis).await?;
                for (id, word) in page.iter().zip(&reply) {
                    words.push((*id, bytes(word).unwrap_or_default().to_vec()));
                }
            }
        }
        Ok(words)
    }
}

fn those(words: &[(JobId, Vec<u8>)], wanted: &[u8]) -> Vec<JobId> {
    let matching = words.iter().filter(|(_, word)| word == wanted);
    matching.map(|(id, _)| *id).collect()
}
