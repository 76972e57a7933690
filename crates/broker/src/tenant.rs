//! Holding a tenant or a class, the weight of a tenant's share, and what its jobs take.

use std::collections::{BTreeMap, BTreeSet};

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

    /// The tenants whose weight is not 1. One that is not the same everywhere, since a call failed half-way, is said to
    /// be 0: set it again.
    ///
    /// # Errors
    /// [`InspectError`]: repeat it.
    pub async fn weights(&self) -> Result<BTreeMap<TenantId, f64>, InspectError> {
        let mut shards = Vec::new();
        for shard in self.shards.iter() {
            let command = redis::Cmd::hgetall(shard.key("weights"));
            let stored: Vec<(Vec<u8>, Vec<u8>)> =
                command.query_async(&mut self.redis.clone()).await?;
            let weights: BTreeMap<TenantId, f64> = stored.iter().filter_map(weight).collect();
            shards.push(weights);
        }
        let tenants: BTreeSet<TenantId> = shards.iter().flat_map(BTreeMap::keys).copied().collect();
        let whole = |tenant| {
            let first = shards[0].get(&tenant).copied();
            let same = shards
                .iter()
                .all(|weights| weights.get(&tenant).copied() == first);
            (tenant, first.filter(|_| same).unwrap_or_default())
        };
        Ok(tenants.into_iter().map(whole).collect())
    }

    /// What is held in this class, `None` standing for the class itself, and whether by every shard: if not, a call
    /// failed half-way; repeat it.
    ///
    /// # Errors
    /// [`InspectError`]: repeat it.
    pub async fn holds(&self) -> Result<BTreeMap<Option<TenantId>, bool>, InspectError> {
        let mut shards: BTreeMap<Option<TenantId>, u16> = BTreeMap::new();
        for shard in self.shards.iter() {
            let command = redis::Cmd::smembers(shard.key("held"));
            let held: Vec<Vec<u8>> = command.query_async(&mut self.redis.clone()).await?;
            for whom in held.iter().filter_map(|member| held_whom(member)) {
                *shards.entry(whom).or_default() += 1;
            }
        }
        let everywhere = |(whom, count)| (whom, count == self.shards());
        Ok(shards.into_iter().map(everywhere).collect())
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
            let (next, page): (u64, Vec<(Vec<u8>, String)>) =
                command.query_async(&mut self.redis.clone()).await?;
            for (id, padded) in page {
                if let (Ok(id), Ok(bytes)) = (Uuid::from_slice(&id), padded.trim_end().parse()) {
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

/// A field of `weights`; a weight that is none, since somebody wrote it by hand, is 0.
fn weight((id, weight): &(Vec<u8>, Vec<u8>)) -> Option<(TenantId, f64)> {
    let tenant = TenantId::new(Uuid::from_slice(id).ok()?);
    let weight = std::str::from_utf8(weight)
        .ok()
        .and_then(|text| text.parse().ok());
    Some((
        tenant,
        weight
            .filter(|weight: &f64| weight.is_finite())
            .unwrap_or_default(),
    ))
}

/// A member of `held`.
fn held_whom(member: &[u8]) -> Option<Option<TenantId>> {
    if member == EVERYONE {
        return Some(None);
    }
    Some(Some(TenantId::new(Uuid::from_slice(member).ok()?)))
}
