//! What stops a scope, and what a permit needs before anything may be called.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bulkhead_domain::{ApplicationId, Class, ConnectionId, FencingToken, TenantId};
use redis::{FromRedisValue, RedisError};
use tracing::warn;
use uuid::Uuid;

use crate::{
    boot_clock::BootInstant,
    broker::Broker,
    clock_watch::{ClockWatch, Reading},
    keys::ShardKey,
    reply::micros,
    script::{self, Script},
};

/// Fences in one call of a script.
const FENCES_AT_ONCE: usize = 500;

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

/// What Postgres says of a scope that has ever been fenced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FenceState {
    /// What it stops.
    pub scope: StopScope,
    /// Raised by every change.
    pub epoch: u64,
    /// Whether it stops the scope now.
    pub closed: bool,
}

/// The time and the boot nonce of every shard: what a grant is counted from, and tied to.
#[derive(Debug)]
pub struct GrantClocks(Vec<Option<GrantClock>>);

#[derive(Debug)]
struct GrantClock {
    time_us: u64,
    nonce: String,
    trusted_since_us: u64,
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
    /// One per shard, once it was read. Clones share what they saw.
    watches: Arc<Mutex<Vec<Option<ClockWatch>>>>,
}

impl Fences {
    /// The fences of all classes, over `broker`'s connection.
    #[must_use]
    pub fn new(broker: &Broker) -> Self {
        Self {
            classes: Class::ALL.map(|class| broker.for_class(class)).to_vec(),
            watches: Arc::default(),
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

    /// Reads the time and the boot nonce of every shard. Do it before Postgres is asked what is fenced.
    ///
    /// # Errors
    /// [`FenceError`]: grant nothing.
    pub async fn grant_clocks(&self) -> Result<GrantClocks, FenceError> {
        let mut clocks = Vec::new();
        for (n, (broker, shard)) in self.shards().enumerate() {
            let asked = BootInstant::now();
            let call = script::CLOCK.on(shard, &broker.now());
            let (time_us, nonce): (u64, Option<String>) = call.run(&broker.redis).await?;
            let reading = Reading {
                time_us,
                asked,
                answered: BootInstant::now(),
            };
            let trusted_since_us = self.watch(n, reading, broker.options.clock.stands_still());
            clocks.push(nonce.map(|nonce| GrantClock {
                time_us,
                nonce,
                trusted_since_us,
            }));
        }
        Ok(GrantClocks(clocks))
    }

    /// Vouches for the fences: permits may be granted until `lifetime` after `clocks` were read, by Redis's time, for
    /// all scopes but those that `fences` says are closed. Shards whose boot nonce is another one by now, or none, are
    /// left alone. `fences` is what Postgres said after `clocks` were read: all that are closed, or have an epoch.
    ///
    /// # Errors
    /// [`FenceError`]: some shards may have no grant; do it again from the start.
    pub async fn grant(
        &self,
        clocks: &GrantClocks,
        fences: &[FenceState],
        lifetime: Duration,
    ) -> Result<(), FenceError> {
        for (n, ((broker, shard), clock)) in self.shards().zip(&clocks.0).enumerate() {
            let Some(clock) = clock else {
                continue;
            };
            let until = clock.time_us.saturating_add(micros(lifetime)).to_string();
            // Only the last call grants: all tombstones stand by then.
            let last = fences.len().div_ceil(FENCES_AT_ONCE);
            let calls = fences.chunks(FENCES_AT_ONCE).chain([&[][..]]);
            for (m, fences) in calls.enumerate() {
                let mut call = script::GRANT.on(shard, &broker.now());
                call.arg(&clock.nonce)
                    .arg(clock.time_us)
                    .arg(if m == last { &until[..] } else { "" })
                    .arg(clock.trusted_since_us);
                for fence in fences {
                    call.arg(fence.scope.member())
                        .arg(fence.epoch)
                        .arg(if fence.closed { "closed" } else { "open" });
                }
                let answer: String = call.run(&broker.redis).await?;
                if answer == "EMPTIED" {
                    self.emptied(n, shard);
                }
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
        for (broker, shard) in self.shards() {
            let mut call = script::STOP.on(shard, &broker.now());
            call.arg(scope.member());
            let _: String = call.run(&broker.redis).await?;
        }
        Ok(())
    }

    /// Takes a scope's tombstone away, once Postgres has it open with `epoch`, the one of its release: permits are
    /// granted to those who read their credentials since.
    ///
    /// # Errors
    /// [`FenceError`]: parts of the scope are still stopped; repeat it.
    pub async fn release(&self, scope: StopScope, epoch: u64) -> Result<(), FenceError> {
        for (broker, shard) in self.shards() {
            let mut call = script::UNSTOP.on(shard, &broker.now());
            call.arg(scope.member()).arg(epoch);
            let _: String = call.run(&broker.redis).await?;
        }
        Ok(())
    }

    /// Whether a scope is stopped on every shard.
    ///
    /// # Errors
    /// [`FenceError`]: unknown; repeat it.
    pub async fn is_stopped(&self, scope: StopScope) -> Result<bool, FenceError> {
        for (broker, shard) in self.shards() {
            let mut redis = broker.redis.clone();
            let mut command = redis::cmd("HGET");
            command.arg(shard.key("fences")).arg(scope.member());
            let fence: Option<String> = command.query_async(&mut redis).await?;
            if !fence.is_some_and(|fence| fence.starts_with('!')) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes in a reading of the clock of shard `n` of all; returns since when it is trusted, µs.
    fn watch(&self, n: usize, reading: Reading, stands_still: bool) -> u64 {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        let length = watches.len().max(n + 1);
        watches.resize(length, None);
        let watch = watches[n].get_or_insert(ClockWatch::begin(reading));
        // A test that moves Redis's time does not move this host's.
        if !stands_still {
            watch.see(reading);
        }
        watch.trusted_since_us()
    }

    fn emptied(&self, n: usize, shard: &ShardKey) {
        warn!(
            shard = shard.tag(),
            "Redis's clock may have been set forward: permits begin with empty budgets"
        );
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Some(watch)) = watches.get_mut(n) {
            watch.emptied();
        }
    }

    /// Every shard of every class.
    fn shards(&self) -> impl Iterator<Item = (&Broker, &ShardKey)> {
        let classes = self.classes.iter();
        classes.flat_map(|broker| broker.shards.iter().map(move |shard| (broker, shard)))
    }
}
