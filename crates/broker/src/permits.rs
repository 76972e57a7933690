//! Asking for permits: Amazon's budget, shared by all workers through one bucket per application, connection and
//! operation, and one per application and operation where Amazon limits that too.

use std::time::Duration;

use bulkhead_domain::{ApplicationId, Margins, Operation, Priority, UsagePlan};
use redis::{RedisError, Value};

use crate::{
    boot_clock::BootInstant,
    broker::Broker,
    lease::Lease,
    permit::{Permit, PermitAnswer, PermitSubject, Stop},
    refusals::{Bucket, Memory},
    reply::{bytes, micros, number, unexpected},
    script::{self, Call, Script},
};

/// No answer: call nothing.
#[derive(Debug, thiserror::Error)]
pub enum PermitError {
    /// Ask again later. One call's budget may have been taken.
    #[error("ask for a permit")]
    Redis(#[from] RedisError),
}

/// The budget of every connection. Clones share what they remember.
#[derive(Debug, Clone)]
pub struct Permits {
    broker: Broker,
    margins: Margins,
    plan_scale: f64,
    memory: Memory,
}

/// A slot this near is reserved, and waited for here (H); a farther one is refused with its time.
const HORIZON: Duration = Duration::from_millis(250);

/// Under a plan of less than this, calls per second, a call in the permit's whole lifetime is a twentieth of one late.
const SLOW_PER_S: f64 = 0.1;

/// Less than this a process on a busy machine cannot promise.
const PROMPT: Duration = Duration::from_millis(100);

/// For how long a reported rate that was no news is not told again.
const NO_NEWS: Duration = Duration::from_secs(60);

/// Where nothing is published, this many calls per second after the first refusal: the two seconds with which Amazon
/// Ads asks to begin. Each further one halves it.
const FIRST_PACE_PER_S: f64 = 0.5;

/// In place of a plan where none is published.
const NO_PLAN: UsagePlan = UsagePlan::new(0.0, 1);

impl Permits {
    /// Permits under the published plans times `plan_scale` (1 for Amazon; a simulator whose time runs `x` times as
    /// fast has `x`), kept apart from the server's bucket by `margins`.
    #[must_use]
    pub fn new(broker: &Broker, margins: Margins, plan_scale: f64) -> Self {
        Self {
            broker: broker.clone(),
            margins,
            plan_scale,
            memory: Memory::default(),
        }
    }

    /// Asks for the right to make one call of `operation` for `subject`, within the job of `lease`.
    ///
    /// Returns `Granted` when the call may be made, which is up to 250 ms after it was asked: the slot is reserved
    /// ahead and waited for here. That is the only wait on a rate limit anywhere, and shorter than giving the job
    /// back and taking it up again. A refusal is remembered, and Redis is not asked again before its time.
    ///
    /// A job of [`Priority::BACKFILL`] or less urgent leaves half of the connection's burst to the others.
    ///
    /// # Errors
    /// [`PermitError`]: call nothing.
    pub async fn request(
        &self,
        lease: &Lease,
        subject: &PermitSubject,
        operation: &'static Operation,
    ) -> Result<PermitAnswer, PermitError> {
        let asked_at = BootInstant::now();
        let yields = lease.priority >= Priority::BACKFILL;
        let bucket = Bucket::new(subject, operation);
        if let Some(wait) = self.memory.refusal(&bucket, yields, HORIZON) {
            return Ok(PermitAnswer::WaitUntil(wait));
        }
        match self.ask(lease, subject, operation).await? {
            Answer::Slot(wait) => {
                if !wait.is_zero() && !self.broker.options.clock.stands_still() {
                    tokio::time::sleep(wait).await;
                }
                let lateness = self.lateness(operation);
                let permit = Permit::new(operation, asked_at, wait, lateness);
                #[cfg(feature = "mutants")]
                let permit = permit.unchecked(self.broker.options.mutant == Some("deadline"));
                Ok(PermitAnswer::Granted(permit))
            }
            Answer::Wait(wait) => {
                // A test that moves Redis's time does not move this host's.
                if !self.broker.options.clock.stands_still() {
                    self.memory.refuse(bucket, yields, wait);
                }
                Ok(PermitAnswer::WaitUntil(wait))
            }
            Answer::Stopped(stop) => Ok(PermitAnswer::Stopped(stop)),
        }
    }

    /// Says that Amazon refused a call (429): the connection's bucket is taken to be empty now and to hold one call less
    /// than was thought. `retry_after` is what the answer asked for, if it did. Without a published plan nothing is
    /// called for at least a second, and refusals teach a pace.
    ///
    /// # Errors
    /// [`PermitError`]: the budget is still over-estimated; repeat it before the next call.
    pub async fn throttled(
        &self,
        lease: &Lease,
        subject: &PermitSubject,
        operation: &'static Operation,
        retry_after: Option<Duration>,
    ) -> Result<(), PermitError> {
        let mut call = self.about(&script::THROTTLED, lease, subject, operation);
        call.arg(micros(retry_after.unwrap_or_default()))
            .arg(FIRST_PACE_PER_S * self.plan_scale)
            .arg(1)
            .arg(0);
        let _: String = call.run(&self.broker.redis).await?;
        Ok(())
    }

    /// Says that Amazon refused a call (429) for what all sellers of the application have called together: the
    /// application's bucket is taken to be empty in every shard, and the connection's is left as it is. Without a
    /// published limit nothing is called for at least a second.
    ///
    /// # Errors
    /// [`PermitError`]: some shards may over-estimate the budget still; repeat it before the next call.
    pub async fn application_throttled(
        &self,
        application: ApplicationId,
        operation: &'static Operation,
        retry_after: Option<Duration>,
    ) -> Result<(), PermitError> {
        let broker = &self.broker;
        for number in 0..broker.shards() {
            let mut call = script::THROTTLED.on(broker.shard(number), &broker.now());
            call.arg(application.uuid().as_bytes()).arg("");
            self.plan_of(&mut call, operation, operation.application_plan);
            call.arg(micros(retry_after.unwrap_or_default()))
                .arg(FIRST_PACE_PER_S * self.plan_scale)
                .arg(broker.shards())
                .arg(number);
            let _: String = call.run(&broker.redis).await?;
        }
        Ok(())
    }

    /// Says which rate Amazon has reported (`x-amzn-RateLimit-Limit`, on 20x, 400 and 404 only): a lower one than is
    /// in force holds at once, a higher one after three sightings.
    ///
    /// # Errors
    /// [`PermitError`]: the plan may be over-estimated; the next answer says it again.
    pub async fn observed(
        &self,
        lease: &Lease,
        subject: &PermitSubject,
        operation: &'static Operation,
        rate_per_s: f64,
    ) -> Result<(), PermitError> {
        let bucket = Bucket::new(subject, operation);
        if self.memory.is_no_news(&bucket, rate_per_s) {
            return Ok(());
        }
        let mut call = self.about(&script::OBSERVED, lease, subject, operation);
        call.arg(rate_per_s);
        let answer: String = call.run(&self.broker.redis).await?;
        match answer.as_str() {
            "SAME" | "PINNED" => self.memory.no_news(bucket, rate_per_s, NO_NEWS),
            "RAISED" => self.memory.forget_refusals(&bucket),
            _ => {}
        }
        Ok(())
    }

    async fn ask(
        &self,
        lease: &Lease,
        subject: &PermitSubject,
        operation: &'static Operation,
    ) -> Result<Answer, PermitError> {
        let broker = &self.broker;
        let own = self.scaled(operation.plan);
        let shared = self.scaled(operation.application_plan);
        let mut call = script::PERMIT.on(broker.shard(lease.shard), &broker.now());
        call.arg(lease.job_id.uuid().as_bytes())
            .arg(lease.token_digits())
            .arg(subject.application.uuid().as_bytes())
            .arg(subject.tenant.uuid().as_bytes())
            .arg(subject.connection.uuid().as_bytes())
            .arg(operation.key())
            .arg(doubles([
                own.rate_per_s,
                own.burst.into(),
                shared.rate_per_s,
                shared.burst.into(),
                self.uncertainty_s(),
                self.margins.drift,
                whole(micros(HORIZON)),
                broker.shards().into(),
                lease.shard.into(),
                lease.priority.get().into(),
                whole(subject.epoch.get()),
            ]));
        let reply: Vec<Value> = call.run(&broker.redis).await?;
        Ok(Answer::read(&reply, subject).ok_or_else(|| unexpected("permit.lua"))?)
    }

    /// A call of a script about the plan of a connection's operation, with all arguments but its last one.
    fn about(
        &self,
        script: &'static Script,
        lease: &Lease,
        subject: &PermitSubject,
        operation: &'static Operation,
    ) -> Call {
        let broker = &self.broker;
        let mut call = script.on(broker.shard(lease.shard), &broker.now());
        call.arg(subject.application.uuid().as_bytes())
            .arg(subject.connection.uuid().as_bytes());
        self.plan_of(&mut call, operation, operation.plan);
        call
    }

    fn plan_of(&self, call: &mut Call, operation: &Operation, published: Option<UsagePlan>) {
        let plan = self.scaled(published);
        call.arg(operation.key())
            .arg(plan.rate_per_s)
            .arg(plan.burst)
            .arg(self.uncertainty_s())
            .arg(self.margins.drift)
            .arg(micros(HORIZON));
    }

    /// How long after its slot a permit may be spent: what is not sent by then would arrive with later ones. Under a
    /// slow plan a call that is lost costs much, and one that is late next to nothing.
    fn lateness(&self, operation: &Operation) -> Duration {
        let rate = |plan| self.scaled(plan).rate_per_s;
        if rate(operation.plan).max(rate(operation.application_plan)) < SLOW_PER_S {
            return Permit::LIFETIME;
        }
        self.margins.jitter.max(PROMPT)
    }

    fn scaled(&self, plan: Option<UsagePlan>) -> UsagePlan {
        plan.unwrap_or(NO_PLAN).scaled(self.plan_scale)
    }

    fn uncertainty_s(&self) -> f64 {
        (self.margins.jitter + self.margins.server_tick).as_secs_f64()
    }
}

/// The terms of `permit.lua` in one argument.
fn doubles(terms: [f64; 11]) -> Vec<u8> {
    terms.iter().flat_map(|term| term.to_le_bytes()).collect()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "changes of fences, and µs of a horizon, are far below 2^52"
)]
const fn whole(number: u64) -> f64 {
    number as f64
}

/// The script's answer.
enum Answer {
    Slot(Duration),
    Wait(Duration),
    Stopped(Stop),
}

impl Answer {
    fn read(reply: &[Value], subject: &PermitSubject) -> Option<Self> {
        let [word, detail] = reply else {
            return None;
        };
        Some(match bytes(word)? {
            b"GRANTED" => Self::Slot(Duration::from_micros(number(detail)?)),
            b"WAIT" => Self::Wait(Duration::from_micros(number(detail)?)),
            b"STOPPED" => Self::Stopped(match bytes(detail)? {
                b"NO_BOOT_NONCE" => Stop::NoBootNonce,
                b"APPLICATION" => Stop::Application(subject.application),
                b"TENANT" => Stop::Tenant(subject.tenant),
                b"CONNECTION" => Stop::Connection(subject.connection),
                b"NO_GRANT" => Stop::NoGrant,
                b"EPOCH" => Stop::Epoch,
                b"LEASE_LOST" => Stop::LeaseLost,
                _ => return None,
            }),
            _ => return None,
        })
    }
}
