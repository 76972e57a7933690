//! A worker's turn at a shard: what has ended is acknowledged and new jobs are taken, in one call.

use redis::Value;

use crate::{
    acknowledge::{Acknowledged, Acknowledgement, BATCH, Batch},
    broker::Broker,
    fetch::{FetchError, FetchRequest, Fetched},
    reply::{bytes, unexpected},
    script,
};

/// What a turn came to.
#[derive(Debug)]
pub struct Turn {
    /// The answers to the acknowledgements, in their order. `None`: the script failed on one of them, and what became
    /// of the others is unknown; acknowledge each alone.
    pub acknowledged: Option<Vec<Acknowledged>>,
    /// What the fetch found; it does not wait for acknowledgements that fail.
    pub fetched: Fetched,
}

impl Broker {
    /// Acknowledges jobs of the request's shard, then fetches: as [`Broker::acknowledge`] and [`Broker::fetch`] do, in
    /// one call. More than 256 acknowledgements take more.
    ///
    /// # Errors
    /// [`FetchError::Redis`]: repeat it with the same sequence number and the same acknowledgements; both halves are
    /// idempotent. [`FetchError::Stale`]: only the acknowledgements were carried out.
    pub async fn acknowledge_and_fetch(
        &self,
        acknowledgements: &[Acknowledgement],
        request: &FetchRequest<'_>,
    ) -> Result<Turn, FetchError> {
        let first = acknowledgements.len().saturating_sub(BATCH);
        let (before, last) = acknowledgements.split_at(first);
        let mut acknowledged = self.acknowledge_all(request.shard, before).await?;
        if last.is_empty() || request.max == 0 {
            acknowledged.extend(self.acknowledge_all(request.shard, last).await?);
            return Ok(Turn {
                acknowledged: Some(acknowledged),
                fetched: self.fetch(request).await?,
            });
        }
        let batch = Batch::of(last);
        let mut call = script::TURN.on(self.shard(request.shard), &self.now());
        batch.add_to(&mut call);
        self.add_request(&mut call, request);
        let reply: Vec<Value> = call.run(&self.redis).await?;
        let [said, Value::Array(fetched)] = &reply[..] else {
            return Err(unexpected("turn.lua").into());
        };
        let acknowledged = match said {
            Value::Array(said) => {
                acknowledged.extend(batch.read(said)?);
                Some(acknowledged)
            }
            failed if bytes(failed) == Some(b"FAILED") => None,
            _ => return Err(unexpected("turn.lua").into()),
        };
        Ok(Turn {
            acknowledged,
            fetched: self.fetched(request, fetched).await?,
        })
    }
}
