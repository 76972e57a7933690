//! How many jobs of a connection or a tenant may be in flight at a time.

use std::collections::{BTreeMap, BTreeSet};

use bulkhead_domain::{ConnectionId, TenantId};
use redis::{RedisError, Value};
use uuid::Uuid;

use crate::{
    broker::Broker,
    inspect::{InspectError, PAGE},
    keys::ShardKey,
    reply::{HashPage, bytes, unexpected},
    script,
};

/// Whose jobs in flight a cap counts, in one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CapScope {
    /// Each connection that has no cap of its own.
    EveryConnection,
    /// Each tenant that has no cap of its own.
    EveryTenant,
    /// This connection.
    Connection(ConnectionId),
    /// This tenant, over all of its connections.
    Tenant(TenantId),
}

/// A cap was not set, or not everywhere.
#[derive(Debug, thiserror::Error)]
pub enum SetCapError {
    /// Choose a greater one; nothing was changed. To stop a tenant or a connection altogether, pause it.
    #[error("a cap of {max} is too low: the least is {least}{}", if *least > 1 { ", one for each shard" } else { "" })]
    TooLow {
        /// What was asked for.
        max: u32,
        /// A tenant's cap is split over the shards, and no part may be zero.
        least: u32,
    },
    /// Some shards may have it already; repeat it.
    #[error("set a cap")]
    Redis(#[from] RedisError),
}

impl Broker {
    /// Lets at most `max` jobs of the scope be in flight in this class; `None` lifts the cap. A tenant's is split over
    /// the shards: where its connections are uneven, it reaches less. What is in flight beyond a lower cap goes on, and
    /// nothing new is leased until it is below.
    ///
    /// # Errors
    /// [`SetCapError::TooLow`]: nothing was changed. [`SetCapError::Redis`]: repeat it.
    pub async fn set_cap(&self, scope: CapScope, max: Option<u32>) -> Result<(), SetCapError> {
        let least = scope.least(self.shards());
        if let Some(max) = max.filter(|max| *max < least) {
            return Err(SetCapError::TooLow { max, least });
        }
        let home = match scope {
            CapScope::Connection(connection) => Some(self.shard_of(connection)),
            _ => None,
        };
        let field = scope.field();
        for shard in (0..self.shards()).filter(|shard| home.is_none_or(|home| home == *shard)) {
            let part = max.map(|max| scope.part(max, shard, self.shards()));
            self.set_on(self.shard(shard), &field, part).await?;
        }
        Ok(())
    }

    /// The caps of this class. One that is not the same everywhere, since a call failed half-way, is said to be 0:
    /// set it again.
    ///
    /// # Errors
    /// [`InspectError`]: repeat it.
    pub async fn caps(&self) -> Result<BTreeMap<CapScope, u32>, InspectError> {
        let mut shards = Vec::new();
        for shard in self.shards.iter() {
            shards.push(self.caps_on(shard).await?);
        }
        let scopes: BTreeSet<CapScope> = shards.iter().flat_map(BTreeMap::keys).copied().collect();
        let whole = |scope: CapScope| (scope, self.whole(scope, &shards).unwrap_or_default());
        Ok(scopes.into_iter().map(whole).collect())
    }

    /// Sets a shard's part of a cap, page by page of what has to be taken in or let go with it.
    async fn set_on(
        &self,
        shard: &ShardKey,
        field: &[u8],
        part: Option<u32>,
    ) -> Result<(), RedisError> {
        let most = part.map(|part| part.to_string()).unwrap_or_default();
        let mut cursor = b"0".to_vec();
        loop {
            let mut call = script::CAP.on(shard, &self.now());
            call.arg(field).arg(&most).arg(&cursor[..]);
            let reply: Vec<Value> = call.run(&self.redis).await?;
            let mut words = reply.iter().map(bytes);
            cursor = match (words.next().flatten(), words.next().flatten()) {
                (Some(b"DONE"), _) => return Ok(()),
                (Some(b"MORE"), Some(next)) => next.to_vec(),
                _ => return Err(unexpected("cap.lua")),
            };
        }
    }

    async fn caps_on(&self, shard: &ShardKey) -> Result<BTreeMap<CapScope, u32>, InspectError> {
        let mut caps = BTreeMap::new();
        let mut cursor = 0_u64;
        loop {
            let mut command = redis::cmd("HSCAN");
            command.arg(shard.key("caps")).arg(cursor);
            command.arg("COUNT").arg(PAGE);
            let (next, page): HashPage = command.query_async(&mut self.redis.clone()).await?;
            caps.extend(page.iter().filter_map(|(field, most)| read(field, most)));
            if next == 0 {
                return Ok(caps);
            }
            cursor = next;
        }
    }

    /// A cap put together from its shards' parts, if they belong together.
    fn whole(&self, scope: CapScope, shards: &[BTreeMap<CapScope, u32>]) -> Option<u32> {
        let parts: Vec<Option<u32>> = shards
            .iter()
            .map(|caps| caps.get(&scope).copied())
            .collect();
        let max = match scope {
            CapScope::Connection(connection) => {
                return parts[usize::from(self.shard_of(connection))];
            }
            CapScope::EveryConnection => parts[0]?,
            CapScope::EveryTenant | CapScope::Tenant(_) => parts.iter().flatten().sum(),
        };
        let expected = (0..self.shards()).map(|shard| Some(scope.part(max, shard, self.shards())));
        expected.eq(parts).then_some(max)
    }
}

impl CapScope {
    const fn is_tenants(self) -> bool {
        matches!(self, Self::EveryTenant | Self::Tenant(_))
    }

    fn least(self, shards: u16) -> u32 {
        if self.is_tenants() {
            u32::from(shards)
        } else {
            1
        }
    }

    /// What of a cap holds in one shard: a connection lives in one, a tenant's parts make up the whole.
    fn part(self, max: u32, shard: u16, shards: u16) -> u32 {
        if !self.is_tenants() {
            return max;
        }
        let (shard, shards) = (u32::from(shard), u32::from(shards));
        max / shards + u32::from(shard < max % shards)
    }

    /// Its field in `caps`.
    fn field(self) -> Vec<u8> {
        match self {
            Self::EveryConnection => b"c".to_vec(),
            Self::EveryTenant => b"t".to_vec(),
            Self::Connection(id) => [b"c", &id.uuid().as_bytes()[..]].concat(),
            Self::Tenant(id) => [b"t", &id.uuid().as_bytes()[..]].concat(),
        }
    }
}

/// A field of `caps`; `None` for the one that is no cap.
fn read(field: &[u8], most: &[u8]) -> Option<(CapScope, u32)> {
    let (kind, id) = field.split_first()?;
    let scope = match (kind, Uuid::from_slice(id)) {
        (b'c', Ok(id)) => CapScope::Connection(ConnectionId::new(id)),
        (b't', Ok(id)) => CapScope::Tenant(TenantId::new(id)),
        (b'c', Err(_)) => CapScope::EveryConnection,
        (b't', Err(_)) => CapScope::EveryTenant,
        _ => return None,
    };
    Some((scope, std::str::from_utf8(most).ok()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_tenants_cap_make_up_the_whole() {
        for (max, shards) in [(4, 4), (5, 4), (7, 4), (9, 1), (1_000, 7)] {
            let part = |shard| CapScope::EveryTenant.part(max, shard, shards);
            let parts: Vec<u32> = (0..shards).map(part).collect();
            assert_eq!(parts.iter().sum::<u32>(), max);
            assert!(parts.iter().max().unwrap() - parts.iter().min().unwrap() <= 1);
        }
    }

    #[test]
    fn a_field_names_the_scope_that_it_was_made_from() {
        let id = Uuid::from_u128(7);
        for scope in [
            CapScope::EveryConnection,
            CapScope::EveryTenant,
            CapScope::Connection(ConnectionId::new(id)),
            CapScope::Tenant(TenantId::new(id)),
        ] {
            assert_eq!(read(&scope.field(), b"12"), Some((scope, 12)));
        }
        assert_eq!(read(b"i", b"1"), None);
    }
}
