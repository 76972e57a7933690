//! Asking for permits: Amazon's budget, shared by all workers through one bucket per application, connection and
//! operation.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bulkhead_domain::{ApplicationId, ConnectionId, Gcra, Margins, Operation};
use redis::{RedisError, Value};

use crate::{
    boot_clock::BootInstant,
    broker::Broker,
    lease::Lease,
    permit::{Permit, PermitAnswer, PermitSubject, Stop},
    reply::{bytes, micros, number, unexpected},
    script,
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
    refusals: Arc<Mutex<HashMap<Bucket, BootInstant>>>,
}

/// What has a budget of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Bucket {
    application: ApplicationId,
    connection: ConnectionId,
    /// Its three names, since only the address of the static would tell apart what is equal.
    operation: (&'static str, &'static str, &'static str),
}

/// A slot this near is reserved, and waited for here (H); a farther one is refused with its time.
const HORIZON: Duration = Duration::from_millis(250);
/// How many refusals are remembered before those that have passed are thrown out.
const MANY_REFUSALS: usize = 10_000;

impl Permits {
    /// Permits under the published plans times `plan_scale` (1 for Amazon; a simulator whose time runs `x` times as
    /// fast has `x`), kept apart from the server's bucket by `margins`.
    #[must_use]
    pub fn new(broker: &Broker, margins: Margins, plan_scale: f64) -> Self {
        Self {
            broker: broker.clone(),
            margins,
            plan_scale,
            refusals: Arc::default(),
        }
    }

    /// Asks for the right to make one call of `operation` for `subject`, within the job of `lease`.
    ///
    /// Returns `Granted` when the call may be made, which is up to 250 ms after it was asked: the slot is reserved
    /// ahead and waited for here. That is the only wait on a rate limit anywhere, and shorter than giving the job
    /// back and taking it up again. A refusal is remembered, and Redis is not asked again before its time.
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
        let bucket = Bucket::new(subject, operation);
        if let Some(wait) = self.remembered(&bucket) {
            return Ok(PermitAnswer::WaitUntil(wait));
        }
        match self.ask(lease, subject, operation).await? {
            Answer::Slot(wait) => {
                if !wait.is_zero() && !self.broker.options.clock.stands_still() {
                    tokio::time::sleep(wait).await;
                }
                let permit = Permit::new(operation, asked_at, wait);
                Ok(PermitAnswer::Granted(permit))
            }
            Answer::Wait(wait) => {
                self.remember(bucket, wait);
                Ok(PermitAnswer::WaitUntil(wait))
            }
            Answer::Stopped(stop) => Ok(PermitAnswer::Stopped(stop)),
        }
    }

    /// Says that Amazon refused a call (429): the bucket is taken to be empty now and to hold one call less than was
    /// thought. Operations without a plan have no bucket; obey what the response says.
    ///
    /// # Errors
    /// [`PermitError`]: the budget is still over-estimated; repeat it before the next call.
    pub async fn throttled(
        &self,
        lease: &Lease,
        subject: &PermitSubject,
        operation: &'static Operation,
    ) -> Result<(), PermitError> {
        let Some(gcra) = self.gcra(operation) else {
            return Ok(());
        };
        let broker = &self.broker;
        let mut call = script::THROTTLED.on(broker.shard(lease.shard), &broker.now());
        call.arg(subject.application.uuid().as_bytes())
            .arg(subject.connection.uuid().as_bytes())
            .arg(operation.key())
            .arg(micros(gcra.emission_interval))
            .arg(micros(gcra.tolerance))
            .arg(micros(HORIZON));
        let _: String = call.run(&broker.redis).await?;
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
        let _ = (lease, subject, operation, rate_per_s);
        Ok(())
    }

    async fn ask(
        &self,
        lease: &Lease,
        subject: &PermitSubject,
        operation: &'static Operation,
    ) -> Result<Answer, PermitError> {
        let gcra = self.gcra(operation);
        let (interval, tolerance) = gcra.map_or_else(Default::default, |gcra| {
            // Rounded up, so that no plan is exceeded by rounding; 0 means that there is none.
            (
                gcra.emission_interval + Duration::from_micros(1),
                gcra.tolerance,
            )
        });
        let broker = &self.broker;
        let mut call = script::PERMIT.on(broker.shard(lease.shard), &broker.now());
        call.arg(lease.job_id.uuid().as_bytes())
            .arg(format!("{:016}", lease.token.get()))
            .arg(subject.application.uuid().as_bytes())
            .arg(subject.tenant.uuid().as_bytes())
            .arg(subject.connection.uuid().as_bytes())
            .arg(operation.key())
            .arg(micros(interval))
            .arg(micros(tolerance))
            .arg(micros(HORIZON));
        let reply: Vec<Value> = call.run(&broker.redis).await?;
        Ok(Answer::read(&reply, subject).ok_or_else(|| unexpected("permit.lua"))?)
    }

    fn gcra(&self, operation: &Operation) -> Option<Gcra> {
        let plan = operation.plan?.scaled(self.plan_scale);
        Some(Gcra::for_plan(plan, self.margins))
    }

    fn remembered(&self, bucket: &Bucket) -> Option<Duration> {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let until = *refusals.get(bucket)?;
        if until.has_passed() {
            refusals.remove(bucket);
            return None;
        }
        Some(until.remaining())
    }

    fn remember(&self, bucket: Bucket, wait: Duration) {
        // A test that moves Redis's time does not move this host's.
        if self.broker.options.clock.stands_still() {
            return;
        }
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if refusals.len() >= MANY_REFUSALS {
            refusals.retain(|_, until| !until.has_passed());
        }
        // Up to the horizon earlier: from then on the slot can be reserved.
        let until = BootInstant::now().after(wait.saturating_sub(HORIZON));
        refusals.insert(bucket, until);
    }
}

impl Bucket {
    const fn new(subject: &PermitSubject, operation: &'static Operation) -> Self {
        Self {
            application: subject.application,
            connection: subject.connection,
            operation: (operation.api, operation.version, operation.name),
        }
    }
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
                b"LEASE_LOST" => Stop::LeaseLost,
                _ => return None,
            }),
            _ => return None,
        })
    }
}
