//! One newtype per id, so that a tenant cannot be passed where a connection is meant.

use std::{fmt, num::NonZeroU64, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Takes a UUID as this kind of id.
            #[must_use]
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID, for places where the kind is lost: SQL parameters and Redis keys.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

uuid_id!(
    /// A customer of the platform: workspace, organisation or brand.
    TenantId
);
uuid_id!(
    /// One seller's authorization of a tenant, in one region.
    ConnectionId
);
uuid_id!(
    /// One Login-with-Amazon client that connections authorize.
    ApplicationId
);
uuid_id!(
    /// A job, and the obligation that it is an attempt to meet: the same id, so that enqueuing twice is one job.
    JobId
);
uuid_id!(
    /// A recurring source of obligations.
    ScheduleId
);

/// Names obligations: `uuid v5(namespace, "<schedule>/<connection>/<dataset>/<date>")`.
const OBLIGATIONS: Uuid = Uuid::from_u128(0x6f62_6c69_6761_7469_6f6e_732e_6275_6c6b);

impl JobId {
    /// The id of the obligation that `parts` describe; the same parts give the same id on every scheduler.
    #[must_use]
    pub fn deterministic(parts: &[&str]) -> Self {
        Self(Uuid::new_v5(&OBLIGATIONS, parts.join("/").as_bytes()))
    }
}

impl ConnectionId {
    /// The shard of `shards` that holds this connection's lane, jobs, leases and buckets.
    ///
    /// The id is random or hashed already, so that its remainder spreads evenly.
    #[must_use]
    pub fn shard(self, shards: u16) -> u16 {
        let remainder = self.0.as_u128() % u128::from(shards.max(1));
        u16::try_from(remainder).unwrap_or_default()
    }
}

/// Which releases of its fences a call's credentials were read after: the sum of the epochs of application, tenant and
/// connection, which only rise. A permit is granted only while it is the current one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FenceEpoch(u64);

impl FenceEpoch {
    /// Of scopes that have never been fenced.
    pub const NEVER_FENCED: Self = Self(0);

    /// The sum of the three epochs.
    #[must_use]
    pub const fn new(sum: u64) -> Self {
        Self(sum)
    }

    /// The sum.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// One worker process, as leases and logs name it: `host/pid/random`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerId(String);

impl WorkerId {
    /// Takes a name that no other living worker has.
    #[must_use]
    pub fn new(name: String) -> Self {
        Self(name)
    }

    /// The name as Redis stores it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number of a lease. A job's later lease has the greater one, also across a loss of Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FencingToken(NonZeroU64);

impl FencingToken {
    /// Takes a token that a broker script minted. Nothing else makes one; they are compared, never added to.
    ///
    /// Returns `None` for 0 and for what does not fit Postgres' `bigint`.
    #[must_use]
    pub fn from_redis(number: u64) -> Option<Self> {
        i64::try_from(number).ok()?;
        NonZeroU64::new(number).map(Self)
    }

    /// The number, for scripts and SQL.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// The number as Postgres' `bigint`.
    #[must_use]
    pub const fn as_i64(self) -> i64 {
        self.0.get().cast_signed()
    }
}

impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_parts_name_the_same_job_and_others_do_not() {
        let one = JobId::deterministic(&["schedule", "connection", "orders", "2026-11-24"]);
        assert_eq!(
            one,
            JobId::deterministic(&["schedule", "connection", "orders", "2026-11-24"])
        );
        assert_ne!(
            one,
            JobId::deterministic(&["schedule", "connection", "orders", "2026-11-25"])
        );
    }

    #[test]
    fn a_fencing_token_fits_postgres_and_is_never_zero() {
        assert_eq!(FencingToken::from_redis(0), None);
        assert_eq!(FencingToken::from_redis(u64::MAX), None);
        assert_eq!(
            FencingToken::from_redis(7).map(FencingToken::as_i64),
            Some(7)
        );
    }

    #[test]
    fn every_shard_gets_its_share_of_random_connections() {
        let mut counts = [0_u32; 4];
        for n in 0..4_000_u32 {
            let id = ConnectionId::new(Uuid::new_v5(&OBLIGATIONS, &n.to_be_bytes()));
            counts[usize::from(id.shard(4))] += 1;
        }
        assert!(
            counts.iter().all(|count| (900..1_100).contains(count)),
            "{counts:?}"
        );
    }
}
