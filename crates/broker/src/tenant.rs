//! Holding a tenant or a class, the weight of a tenant's share, and what its jobs take.

use std::collections::BTreeMap;

use bulkhead_domain::TenantId;
use uuid::Uuid;

use crate::{
    broker::Broker,
    inspect::{InspectError, PAGE},
    keys::ShardKey,
    script::{self, Script},
};

/// Stands for every tenant of the class.
const EVERYONE: &[u8] = b"*";

impl Broker {
    /// Holds a tenant in this class: its queued jobs stay, new ones queue up behind them, what runs goes on; its
    /// lanes' own pauses are another matter. Returns whether it was running before.
    ///
    /// # Errors
    /// [`InspectError`]: some shards may hold it already; repeat it.
    pub async fn pause_tenant(&self, tenant: TenantId) -> Result<bool, InspectError> {
        self.on_every_shard(&script::HOLD, tenant.uuid().as_bytes(), "HELD")
            .await
    }

    /// Lets a tenant go on. Returns whether it was held before.
    ///
    /// # Errors
    /// [`InspectError`]: some shards may let it go already; repeat it.
    pub async fn resume_tenant(&self, tenant: TenantId) -> Result<bool, InspectError> {
        self.on_every_shard(&script::LET_GO, tenant.uuid().as_bytes(), "LET_GO")
            .await
    }

    /// Holds the whole class: nothing is fetched any more. Returns whether it was running before.
    ///
    /// # Errors
    /// As [`Broker::pause_tenant`].
    pub async fn pause_class(&self) -> Result<bool, InspectError> {
        self.on_every_shard(&script::HOLD, EVERYONE, "HELD").await
    }

    /// Lets the class go on. Returns whether it was held before.
    ///
    /// # Errors
    /// As [`Broker::resume_tenant`].
    pub async fn resume_class(&self) -> Result<bool, InspectError> {
        self.on_every_shard(&script::LET_GO, EVERYONE, "LET_GO")
            .await
    }

    /// Gives a tenant `weight` times the share of others in this class, 0.01 to 100 times; 1 is the rule.
    ///
    /// # Errors
    /// [`InspectError`]: some shards may know it already; repeat it.
    pub async fn set_weight(&self, tenant: TenantId, weight: f64) -> Result<(), InspectError> {
        let weight = weight.clamp(0.01, 100.0);
        let uuid = tenant.uuid();
        let id = &uuid.as_bytes()[..];
        for shard in self.shards.iter() {
            let key = shard.key("weights");
            let command = if weight == 1.0 {
                redis::Cmd::hdel(key, id)
            } else {
                redis::Cmd::hset(key, id, weight)
            };
            command.query_async::<()>(&mut self.redis.clone()).await?;
        }
        Ok(())
    }

    /// The tenants whose weight is not 1.
    ///
    /// # Errors
    /// [`InspectError`]: repeat it.
    pub async fn weights(&self) -> Result<BTreeMap<TenantId, f64>, InspectError> {
        let command = redis::Cmd::hgetall(self.shard(0).key("weights"));
        let stored: Vec<(Vec<u8>, f64)> = command.query_async(&mut self.redis.clone()).await?;
        let read = |(id, weight): (Vec<u8>, f64)| Some((Uuid::from_slice(&id).ok()?, weight));
        Ok(stored
            .into_iter()
            .filter_map(read)
            .map(|(id, weight)| (TenantId::new(id), weight))
            .collect())
    }

    /// What the bodies of each tenant's living jobs take in this class; tenants without any are absent.
    ///
    /// # Errors
    /// [`InspectError`]: repeat it.
    pub async fn tenant_bytes(&self) -> Result<BTreeMap<TenantId, u64>, InspectError> {
        let mut sums = BTreeMap::new();
        for shard in self.shards.iter() {
            for (id, bytes) in self.tenant_bytes_of(shard).await? {
                *sums.entry(id).or_default() += bytes;
            }
        }
        Ok(sums)
    }

    /// A shard's part, page by page; a page may bring a tenant twice.
    async fn tenant_bytes_of(
        &self,
        shard: &ShardKey,
    ) -> Result<BTreeMap<TenantId, u64>, InspectError> {
        let (mut found, mut cursor) = (BTreeMap::new(), 0_u64);
        loop {
            let mut command = redis::cmd("HSCAN");
            command.arg(shard.key("bytes")).arg(cursor);
            command.arg("COUNT").arg(PAGE);
            let (next, page): (u64, Vec<(Vec<u8>, u64)>) =
                command.query_async(&mut self.redis.clone()).await?;
            for (id, bytes) in page {
                if let Ok(id) = Uuid::from_slice(&id) {
                    found.insert(TenantId::new(id), bytes);
                }
            }
            if next == 0 {
                return Ok(found);
            }
            cursor = next;
        }
    }

    /// Whether any shard answered `changed`.
    async fn on_every_shard(
        &self,
        script: &'static Script,
        who: &[u8],
        changed: &str,
    ) -> Result<bool, InspectError> {
        let mut any = false;
        for shard in self.shards.iter() {
            let mut call = script.on(shard, &self.now());
            call.arg(who);
            let word: String = call.run(&self.redis).await?;
            any |= word == changed;
        }
        Ok(any)
    }
}
