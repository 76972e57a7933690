//! Plans that operators have pinned.

use std::collections::{BTreeMap, BTreeSet};

use bulkhead_domain::{ApplicationId, ConnectionId, Operation, UsagePlan};
use redis::RedisError;
use uuid::Uuid;

use crate::{
    broker::Broker,
    keys::ShardKey,
    plan::{self, PAGE, PlanError},
    script,
};

/// What a plan is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlanKey {
    /// Which application calls.
    pub application: ApplicationId,
    /// For which seller; `None`: the limit of the application over all its sellers.
    pub connection: Option<ConnectionId>,
    /// Which operation: `orders/2026-01-01/searchOrders`.
    pub operation: String,
}

impl Broker {
    /// Makes buckets of this class follow `plan` whatever Amazon's answers say, until it is reset. `None`: the limit
    /// of the application over all its sellers. The buckets begin empty.
    ///
    /// # Errors
    /// [`PlanError`].
    pub async fn pin_plan(
        &self,
        application: ApplicationId,
        connection: Option<ConnectionId>,
        operation: &Operation,
        plan: UsagePlan,
    ) -> Result<(), PlanError> {
        let valid = plan.rate_per_s.is_finite() && plan.rate_per_s > 0.0 && plan.burst > 0;
        if !valid {
            return Err(PlanError::Invalid(plan));
        }
        let (rate, burst) = (plan.rate_per_s.to_string(), plan.burst.to_string());
        self.pin(application, connection, operation, &rate, &burst)
            .await?;
        Ok(())
    }

    /// Forgets what was pinned and learned: the bucket follows the published plan again, and begins empty. Returns
    /// whether there was anything.
    ///
    /// # Errors
    /// [`PlanError::Redis`].
    pub async fn reset_plan(
        &self,
        application: ApplicationId,
        connection: Option<ConnectionId>,
        operation: &Operation,
    ) -> Result<bool, PlanError> {
        let answers = self.pin(application, connection, operation, "", "").await?;
        Ok(answers.iter().any(|answer| answer == "FORGOTTEN"))
    }

    async fn pin(
        &self,
        application: ApplicationId,
        connection: Option<ConnectionId>,
        operation: &Operation,
        rate: &str,
        burst: &str,
    ) -> Result<Vec<String>, PlanError> {
        let shards = match connection {
            Some(connection) => std::slice::from_ref(self.shard(self.shard_of(connection))),
            None => &self.shards[..],
        };
        let subject = subject(application, connection, operation);
        let mut answers = Vec::new();
        for shard in shards {
            let mut call = script::PIN.on(shard, &self.now());
            call.arg(&subject[..]).arg(rate).arg(burst);
            answers.push(call.run(&self.redis).await?);
        }
        Ok(answers)
    }

    /// The plans that are pinned in this class; `None` for the limit of an application that is not pinned alike on every
    /// shard, since a call failed half-way or a shard has lost it: pin it again. In a fleet whose Amazon is a simulator
    /// with a time scale, rates are the scaled ones.
    ///
    /// # Errors
    /// [`PlanError::Redis`].
    pub async fn pinned_plans(&self) -> Result<BTreeMap<PlanKey, Option<UsagePlan>>, PlanError> {
        let mut shards = Vec::new();
        for shard in self.shards.iter() {
            shards.push(self.pinned_on(shard).await?);
        }
        let subjects: BTreeSet<&Vec<u8>> = shards.iter().flat_map(BTreeMap::keys).collect();
        let agreed = |subject: &Vec<u8>| {
            let key = PlanKey::read(subject)?;
            let told = shards.iter().map(|pins| pins.get(subject).copied());
            let plans: Vec<Option<UsagePlan>> = match key.connection {
                Some(_) => told.filter(Option::is_some).collect(),
                None => told.collect(),
            };
            let first = plans.first().copied().flatten();
            Some((
                key,
                first.filter(|_| plans.iter().all(|plan| *plan == first)),
            ))
        };
        Ok(subjects.into_iter().filter_map(agreed).collect())
    }

    async fn pinned_on(
        &self,
        shard: &ShardKey,
    ) -> Result<BTreeMap<Vec<u8>, UsagePlan>, RedisError> {
        let mut redis = self.redis.clone();
        let mut pinned = BTreeMap::new();
        let mut cursor = 0_u64;
        loop {
            let mut page = redis::cmd("SSCAN");
            page.arg(shard.key("pins")).arg(cursor);
            page.arg("COUNT").arg(PAGE);
            let (next, subjects): (u64, Vec<Vec<u8>>) = page.query_async(&mut redis).await?;
            if !subjects.is_empty() {
                let mut plans = redis::cmd("HMGET");
                plans.arg(shard.key("plans")).arg(&subjects);
                let plans: Vec<Option<Vec<u8>>> = plans.query_async(&mut redis).await?;
                let plans = plans.iter().map(|one| plan::pinned(one.as_deref()?));
                let pairs = subjects.into_iter().zip(plans);
                pinned.extend(pairs.filter_map(|(subject, plan)| Some((subject, plan?))));
            }
            cursor = next;
            if cursor == 0 {
                return Ok(pinned);
            }
        }
    }
}

impl PlanKey {
    /// Reads a subject as `budget.lua` names it.
    pub(crate) fn read(subject: &[u8]) -> Option<Self> {
        let (mark, rest) = subject.split_first()?;
        let uuid = |at: usize| Uuid::from_slice(rest.get(at..at + 16)?).ok();
        let (connection, name) = match mark {
            b'c' => (Some(ConnectionId::new(uuid(16)?)), rest.get(32..)?),
            b'a' => (None, rest.get(16..)?),
            _ => return None,
        };
        Some(Self {
            application: ApplicationId::new(uuid(0)?),
            connection,
            operation: String::from_utf8(name.to_vec()).ok()?,
        })
    }
}

/// A subject as `budget.lua` names it.
fn subject(
    application: ApplicationId,
    connection: Option<ConnectionId>,
    operation: &Operation,
) -> Vec<u8> {
    let mut subject = vec![if connection.is_some() { b'c' } else { b'a' }];
    subject.extend(application.uuid().as_bytes());
    if let Some(connection) = connection {
        subject.extend(connection.uuid().as_bytes());
    }
    subject.extend(operation.key().as_bytes());
    subject
}
