//! What stops a scope, and what a permit needs before anything may be called.

use bulkhead_domain::{ApplicationId, Class, ConnectionId, FencingToken, TenantId};
use redis::{FromRedisValue, RedisError};
use uuid::Uuid;

use crate::{
    broker::Broker,
    script::{self, Script},
};

/// What can be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StopScope {
    /// Every connection that an application calls for.
    Application(ApplicationId),
    /// Every connection of a customer.
    Tenant(TenantId),
    /// One seller's authorization.
    Connection(ConnectionId),
}

impl StopScope {
    fn member(self) -> Vec<u8> {
        let (mark, uuid): (u8, Uuid) = match self {
            Self::Application(id) => (b'a', id.uuid()),
            Self::Tenant(id) => (b't', id.uuid()),
            Self::Connection(id) => (b'c', id.uuid()),
        };
        [&[mark], &uuid.as_bytes()[..]].concat()
    }
}

/// Redis did not confirm; the change may have reached some shards.
#[derive(Debug, thiserror::Error)]
pub enum FenceError {
    /// Repeat it until it succeeds; every call here may be repeated.
    #[error("fences in Redis")]
    Redis(#[from] RedisError),
}

/// The tombstones and the boot nonce, on every shard of every class: a permit's script reads those of its own shard.
#[derive(Debug, Clone)]
pub struct Fences {
    classes: Vec<Broker>,
}

impl Fences {
    /// The fences of all classes, over `broker`'s connection.
    #[must_use]
    pub fn new(broker: &Broker) -> Self {
        Self {
            classes: Class::ALL.map(|class| broker.for_class(class)).to_vec(),
        }
    }

    /// The nonce under which permits are granted; `None` if a shard has none, or they differ, or one was established on
    /// another server: before a replica took over, or the server was started again. Then [`withdraw`](Self::withdraw)
    /// what there is, write the tombstones that Postgres knows of, and [`establish`](Self::establish) a new one.
    ///
    /// # Errors
    /// [`FenceError`]: repeat it.
    pub async fn boot_nonce(&self) -> Result<Option<String>, FenceError> {
        let nonces: Vec<String> = self.each_answers(&script::NONCE).await?;
        let first = nonces.first().filter(|nonce| !nonce.is_empty());
        let same = nonces.iter().all(|nonce| *nonce == nonces[0]);
        Ok(first.filter(|_| same).cloned())
    }

    /// Takes away every nonce that was established on another server: no permit is granted on its shard any more.
    ///
    /// # Errors
    /// [`FenceError`]: repeat it.
    pub async fn withdraw(&self) -> Result<(), FenceError> {
        let _: Vec<u64> = self.each_answers(&script::WITHDRAW).await?;
        Ok(())
    }

    /// What a script answers on each shard.
    async fn each_answers<T: FromRedisValue>(
        &self,
        script: &'static Script,
    ) -> Result<Vec<T>, FenceError> {
        let mut answers = Vec::new();
        for broker in &self.classes {
            for shard in broker.shards.iter() {
                answers.push(script.on(shard, &broker.now()).run(&broker.redis).await?);
            }
        }
        Ok(answers)
    }

    /// Lets permits be granted, with every bucket empty now, and every fencing token from now on greater than
    /// `fencing_floor`: the greatest one that Postgres has seen.
    ///
    /// # Errors
    /// [`FenceError`]: repeat it with the same nonce.
    pub async fn establish(
        &self,
        nonce: &str,
        fencing_floor: Option<FencingToken>,
    ) -> Result<(), FenceError> {
        let floor = format!("{:016}", fencing_floor.map_or(0, FencingToken::get));
        for broker in &self.classes {
            for shard in broker.shards.iter() {
                let mut call = script::ESTABLISH.on(shard, &broker.now());
                call.arg(nonce).arg(&floor);
                let _: String = call.run(&broker.redis).await?;
            }
        }
        Ok(())
    }

    /// Stops a scope: no permit is granted for it once this returns, and those granted before expire within
    /// [`Permit::LIFETIME`](crate::Permit::LIFETIME). It stays until it is released or Redis loses its data.
    ///
    /// # Errors
    /// [`FenceError`]: the scope is not known to be stopped; repeat it.
    pub async fn stop(&self, scope: StopScope) -> Result<(), FenceError> {
        self.on_every_shard("SADD", scope).await?;
        Ok(())
    }

    /// Takes a scope's tombstone away.
    ///
    /// # Errors
    /// [`FenceError`]: parts of the scope are still stopped; repeat it.
    pub async fn release(&self, scope: StopScope) -> Result<(), FenceError> {
        self.on_every_shard("SREM", scope).await?;
        Ok(())
    }

    /// Whether a scope is stopped on every shard.
    ///
    /// # Errors
    /// [`FenceError`]: unknown; repeat it.
    pub async fn is_stopped(&self, scope: StopScope) -> Result<bool, FenceError> {
        let members = self.on_every_shard("SISMEMBER", scope).await?;
        Ok(members.iter().all(|member| *member == 1))
    }

    async fn on_every_shard(
        &self,
        command: &str,
        scope: StopScope,
    ) -> Result<Vec<u64>, FenceError> {
        let mut answers = Vec::new();
        for broker in &self.classes {
            let mut redis = broker.redis.clone();
            for shard in broker.shards.iter() {
                let mut command = redis::cmd(command);
                command.arg(shard.key("stops")).arg(scope.member());
                answers.push(command.query_async(&mut redis).await?);
            }
        }
        Ok(answers)
    }
}
