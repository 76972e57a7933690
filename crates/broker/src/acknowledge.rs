//! How a leased job ended.

use std::time::Duration;

use redis::{RedisError, Value};

use crate::{
    broker::Broker,
    lease::Lease,
    reply::{bytes, micros, number, unexpected},
    script::{self, Call},
};

/// How the job of one lease ended.
#[derive(Debug, Clone)]
pub struct Acknowledgement {
    /// The right under which it ran.
    pub lease: Lease,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a leased job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done, or not needed any more: nothing of it is kept.
    Complete,
    /// It has to wait; not a failure.
    Snooze {
        /// How long.
        for_: Duration,
        /// Its lane waits with it: the job goes first in its lane again and nothing else of the connection is
        /// started. Otherwise only the job waits.
        park_lane: bool,
    },
    /// It failed and may succeed later.
    Retry {
        /// How much later.
        after: Duration,
        /// What went wrong; no secret, no seller data. The first 500 bytes are kept.
        error: String,
    },
    /// It cannot succeed: to the dead letters.
    DeadLetter {
        /// Why; no secret, no seller data. The first 500 bytes are kept.
        reason: String,
    },
    /// It was not started: first in its lane again.
    Release,
}

/// What an acknowledgement came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledged {
    /// It is gone.
    Completed,
    /// It, or its lane, waits.
    Snoozed,
    /// It waits for its next attempt.
    Retrying,
    /// It lies in the dead letters.
    DeadLettered,
    /// It is first in its lane.
    Released,
    /// It was cancelled while it ran, and is gone whatever was said.
    Cancelled,
    /// Drop the result: a newer lease exists.
    Fenced,
    /// It is not in flight: acknowledged before (a repetition), or reaped.
    NotLeased,
}

/// The acknowledgements may or may not have arrived; repeating them is harmless.
#[derive(Debug, thiserror::Error)]
pub enum AcknowledgeError {
    /// Repeat it. If it cannot be repeated the leases expire and the jobs run again.
    #[error("acknowledge")]
    Redis(#[from] RedisError),
}

/// As many as one script takes.
pub(crate) const BATCH: usize = 256;
const LONGEST_TEXT: usize = 500;

impl Broker {
    /// Says how jobs of `shard` ended; one script for up to 256. Answers in their order.
    ///
    /// # Errors
    /// [`AcknowledgeError`]: repeat it.
    pub async fn acknowledge(
        &self,
        shard: u16,
        acknowledgements: &[Acknowledgement],
    ) -> Result<Vec<Acknowledged>, AcknowledgeError> {
        Ok(self.acknowledge_all(shard, acknowledgements).await?)
    }

    pub(crate) async fn acknowledge_all(
        &self,
        shard: u16,
        acknowledgements: &[Acknowledgement],
    ) -> Result<Vec<Acknowledged>, RedisError> {
        let mut answers = Vec::with_capacity(acknowledgements.len());
        for batch in acknowledgements.chunks(BATCH) {
            let batch = Batch::of(batch);
            let mut call = script::ACKNOWLEDGE.on(self.shard(shard), &self.now());
            batch.add_to(&mut call);
            let reply: Vec<Value> = call.run(&self.redis).await?;
            answers.extend(batch.read(&reply)?);
        }
        Ok(answers)
    }
}

/// What one script is told: what is done first, then the others.
pub(crate) struct Batch<'a> {
    acknowledgements: &'a [Acknowledgement],
    done: usize,
    /// Positions in the batch, as the script counts them.
    order: Vec<usize>,
}

impl<'a> Batch<'a> {
    pub(crate) fn of(acknowledgements: &'a [Acknowledgement]) -> Self {
        let is_done = |at: &usize| acknowledgements[*at].outcome == Outcome::Complete;
        let (mut order, others): (Vec<usize>, Vec<usize>) =
            (0..acknowledgements.len()).partition(is_done);
        // By tenant, so that what each gets back is said once.
        order.sort_by_key(|at| acknowledgements[*at].lease.tenant);
        let done = order.len();
        order.extend(others);
        Self {
            acknowledgements,
            done,
            order,
        }
    }

    pub(crate) fn add_to(&self, call: &mut Call) {
        let (done, others) = self.order.split_at(self.done);
        let lease = |at: &usize| &self.acknowledgements[*at].lease;
        let tenants = || done.chunk_by(|one, next| lease(one).tenant == lease(next).tenant);
        call.arg(self.done).arg(tenants().count());
        for jobs in tenants() {
            let bytes = jobs.iter().map(|at| u64::from(lease(at).body_bytes));
            call.arg(lease(&jobs[0]).tenant.uuid().as_bytes())
                .arg(jobs.len())
                .arg(bytes.sum::<u64>());
        }
        for at in done {
            add_lease(call, &self.acknowledgements[*at].lease);
        }
        for at in others {
            let one = &self.acknowledgements[*at];
            let (what, time, text) = one.outcome.words();
            add_lease(call, &one.lease);
            call.arg(what).arg(micros(time)).arg(text);
        }
    }

    /// The answers, in the order of the acknowledgements: the script says only which are not completed.
    pub(crate) fn read(&self, reply: &[Value]) -> Result<Vec<Acknowledged>, RedisError> {
        let mut answers = vec![Acknowledged::Completed; self.acknowledgements.len()];
        for said in reply.chunks_exact(2) {
            let position = number(&said[0]).and_then(|position| usize::try_from(position).ok());
            let index = position.and_then(|position| position.checked_sub(1));
            let at = index.and_then(|index| self.order.get(index));
            let answer = bytes(&said[1]).and_then(Acknowledged::read);
            let (Some(at), Some(answer)) = (at, answer) else {
                return Err(unexpected("acknowledge.lua"));
            };
            answers[*at] = answer;
        }
        Ok(answers)
    }
}

fn add_lease(call: &mut Call, lease: &Lease) {
    call.arg(lease.job_id.uuid().as_bytes())
        .arg(lease.token_digits());
}

impl Outcome {
    fn words(&self) -> (&'static str, Duration, &str) {
        match self {
            Self::Complete => ("COMPLETE", Duration::ZERO, ""),
            Self::Snooze {
                for_,
                park_lane: true,
            } => ("PARK", *for_, ""),
            Self::Snooze {
                for_,
                park_lane: false,
            } => ("SNOOZE", *for_, ""),
            Self::Retry { after, error } => ("RETRY", *after, beginning(error)),
            Self::DeadLetter { reason } => ("BURY", Duration::ZERO, beginning(reason)),
            Self::Release => ("RELEASE", Duration::ZERO, ""),
        }
    }
}

impl Acknowledged {
    fn read(word: &[u8]) -> Option<Self> {
        Some(match word {
            b"SNOOZED" | b"PARKED" => Self::Snoozed,
            b"RETRYING" => Self::Retrying,
            b"BURIED" => Self::DeadLettered,
            b"RELEASED" => Self::Released,
            b"CANCELLED" => Self::Cancelled,
            b"FENCED" => Self::Fenced,
            b"NOT_LEASED" => Self::NotLeased,
            _ => return None,
        })
    }
}

fn beginning(text: &str) -> &str {
    let mut end = text.len().min(LONGEST_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let reason = "é".repeat(400);
        assert_eq!(beginning(&reason).len(), 500);
        assert_eq!(beginning(&format!("x{reason}")).len(), 499);
        assert_eq!(beginning("short"), "short");
    }
}
