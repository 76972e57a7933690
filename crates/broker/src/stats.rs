//! How much there is, where.

use std::collections::{BTreeMap, HashSet};

use bulkhead_domain::{Class, ConnectionId, TenantId};
use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    body::{self, Lane, uuid_at},
    broker::Broker,
    inspect::{InspectError, PAGE},
    keys::ShardKey,
    reply::HashPage,
};

/// How much there is in a class.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Stats {
    /// The class.
    pub class: Class,
    /// All lanes together.
    #[serde(flatten)]
    pub total: Counts,
    /// Jobs in the dead letters.
    pub dead: u64,
    /// Lanes that wait until a time.
    pub parked_lanes: u64,
    /// Lanes that an operator holds.
    pub paused_lanes: u64,
    /// Tenants that an operator holds, with all of their lanes: on every shard.
    pub paused_tenants: Vec<TenantId>,
    /// Whether an operator holds the class: on every shard.
    pub paused: bool,
    /// What the bodies of living jobs take in Redis, as Redis estimates it.
    pub bytes: u64,
    /// When the first job of a queue that has waited the longest was enqueued, by the clock of who did.
    pub oldest: Option<Timestamp>,
    /// Each lane that has something, by tenant and connection.
    pub lanes: Vec<LaneStats>,
}

/// How many jobs are where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// In lanes. A job that was cancelled or moved forward may be counted once more until its entry is swept away.
    pub queued: u64,
    /// Waiting for their time.
    pub delayed: u64,
    /// In flight.
    pub running: u64,
}

/// How much there is in a connection's lane.
#[derive(Debug, Clone, serde::Serialize)]
pub struct LaneStats {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub connection: ConnectionId,
    /// Its jobs.
    #[serde(flatten)]
    pub counts: Counts,
    /// When the first job of its queues was enqueued, by the clock of who did.
    pub oldest: Option<Timestamp>,
    /// Until when it waits, by Redis time.
    pub parked_until: Option<Timestamp>,
    /// Whether an operator holds it, its tenant or the class.
    pub paused: bool,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.queued += other.queued;
        self.delayed += other.delayed;
        self.running += other.running;
    }
}

impl Stats {
    /// The counts of each tenant.
    #[must_use]
    pub fn tenants(&self) -> BTreeMap<TenantId, Counts> {
        let mut tenants: BTreeMap<TenantId, Counts> = BTreeMap::new();
        for lane in &self.lanes {
            *tenants.entry(lane.tenant).or_default() += lane.counts;
        }
        tenants
    }
}

/// When the first job of a lane was enqueued.
type Oldest = BTreeMap<ConnectionId, Timestamp>;

/// The queues of which a part is in front, by connection and priority.
type Fronts = HashSet<Vec<u8>>;

type Lanes = BTreeMap<(TenantId, ConnectionId), Counts>;

impl Broker {
    /// Counts everything of the class, page by page: for operators, every few seconds at most.
    ///
    /// # Errors
    /// [`InspectError`]: repeat it.
    pub async fn stats(&self) -> Result<Stats, InspectError> {
        let mut stats = Stats {
            class: self.class,
            total: Counts::default(),
            dead: 0,
            parked_lanes: 0,
            paused_lanes: 0,
            paused_tenants: Vec::new(),
            paused: true,
            bytes: 0,
            oldest: None,
            lanes: Vec::new(),
        };
        let mut held: BTreeMap<TenantId, u16> = BTreeMap::new();
        for shard in self.shards.iter() {
            for tenant in self.add_shard(&mut stats, shard).await? {
                *held.entry(tenant).or_default() += 1;
            }
        }
        let everywhere = held.iter().filter(|(_, shards)| **shards == self.shards());
        stats.paused_tenants = everywhere.map(|(tenant, _)| *tenant).collect();
        stats
            .lanes
            .sort_by_key(|lane| (lane.tenant, lane.connection));
        Ok(stats)
    }

    /// Returns the tenants that it holds.
    async fn add_shard(
        &self,
        stats: &mut Stats,
        shard: &ShardKey,
    ) -> Result<Vec<TenantId>, InspectError> {
        let (mut lanes, oldest) = self.queued(shard).await?;
        let due = self.lanes_of(shard, "due").await?;
        for lane in due {
            lanes.entry(lane).or_default().delayed += 1;
        }
        let running = self.lanes_of(shard, "leases").await?;
        for lane in running {
            lanes.entry(lane).or_default().running += 1;
        }
        let (dead, bytes, paused, parked) = self.shard_totals(shard).await?;
        let (everyone, held) = self.held(shard).await?;
        stats.paused &= everyone;
        stats.dead += dead;
        stats.bytes += bytes;
        stats.paused_lanes += paused.len() as u64;
        stats.parked_lanes += parked.len() as u64;
        for ((tenant, connection), counts) in lanes {
            stats.total += counts;
            let oldest = oldest.get(&connection).copied();
            stats.oldest = stats.oldest.into_iter().chain(oldest).min();
            stats.lanes.push(LaneStats {
                tenant,
                connection,
                counts,
                oldest,
                parked_until: parked.get(&connection).copied(),
                paused: everyone || held.contains(&tenant) || paused.contains(&connection),
            });
        }
        Ok(held)
    }

    /// The queued jobs of each lane, and when the first of them was enqueued.
    async fn queued(&self, shard: &ShardKey) -> Result<(Lanes, Oldest), InspectError> {
        let (mut lanes, mut oldest) = (Lanes::new(), Oldest::new());
        let fronts = redis::Cmd::smembers(shard.key("fronts"));
        let fronts: Fronts = fronts.query_async(&mut self.redis.clone()).await?;
        let mut cursor = 0_u64;
        loop {
            let mut command = redis::cmd("HSCAN");
            command
                .arg(shard.key("lanes"))
                .arg(cursor)
                .arg("COUNT")
                .arg(PAGE);
            let (next, page): HashPage = command.query_async(&mut self.redis.clone()).await?;
            self.add_lengths(shard, &page, &fronts, &mut lanes).await?;
            self.add_oldest(shard, &page, &fronts, &mut oldest).await?;
            if next == 0 {
                return Ok((lanes, oldest));
            }
            cursor = next;
        }
    }

    /// Sets the lengths of the queues of a page of `lanes`; a page may bring a lane twice.
    async fn add_lengths(
        &self,
        shard: &ShardKey,
        page: &[(Vec<u8>, Vec<u8>)],
        fronts: &Fronts,
        lanes: &mut Lanes,
    ) -> Result<(), InspectError> {
        let mut pipeline = redis::pipe();
        let mut owners = Vec::new();
        for (connection, lane) in page {
            let (Some(tenant), Ok(id)) = (uuid_at(lane, 0), Uuid::from_slice(connection)) else {
                continue;
            };
            let owner = (TenantId::new(tenant), ConnectionId::new(id));
            lanes.insert(owner, Counts::default());
            for priority in &lane[16..] {
                pipeline.cmd("LLEN").arg(shard.queue(connection, *priority));
                owners.push(owner);
                if fronts.contains(&[&connection[..], &[*priority]].concat()) {
                    pipeline.cmd("LLEN").arg(shard.front(connection, *priority));
                    owners.push(owner);
                }
            }
        }
        if owners.is_empty() {
            return Ok(());
        }
        let lengths: Vec<u64> = pipeline.query_async(&mut self.redis.clone()).await?;
        for (owner, length) in owners.into_iter().zip(lengths) {
            lanes.entry(owner).or_default().queued += length;
        }
        Ok(())
    }

    /// Notes when the first job of each queue of a page of `lanes` was enqueued.
    async fn add_oldest(
        &self,
        shard: &ShardKey,
        page: &[(Vec<u8>, Vec<u8>)],
        fronts: &Fronts,
        oldest: &mut Oldest,
    ) -> Result<(), InspectError> {
        let mut pipeline = redis::pipe();
        for (connection, lane) in page {
            for priority in lane.iter().skip(16) {
                let has_front = fronts.contains(&[&connection[..], &[*priority]].concat());
                let first = if has_front {
                    ShardKey::front
                } else {
                    ShardKey::queue
                };
                pipeline.lindex(first(shard, connection, *priority), 0);
            }
        }
        if pipeline.is_empty() {
            return Ok(());
        }
        let mut redis = self.redis.clone();
        let first: Vec<Option<Vec<u8>>> = pipeline.query_async(&mut redis).await?;
        let ids: Vec<Vec<u8>> = first.into_iter().flatten().collect();
        if ids.is_empty() {
            return Ok(());
        }
        let get = redis::Cmd::hmget(shard.key("jobs"), ids);
        let bodies: Vec<Option<Vec<u8>>> = get.query_async(&mut redis).await?;
        for body in bodies.iter().flatten() {
            if let (Some(lane), Some(time)) = (body::lane(body), body::enqueued_at(body)) {
                let known = oldest.entry(lane.connection).or_insert(time);
                *known = time.min(*known);
            }
        }
        Ok(())
    }

    /// The lane of every job in a shard's `due` or `leases`.
    async fn lanes_of(
        &self,
        shard: &ShardKey,
        set: &str,
    ) -> Result<Vec<(TenantId, ConnectionId)>, InspectError> {
        let mut found = Vec::new();
        let mut start = 0_usize;
        loop {
            let mut redis = self.redis.clone();
            let mut range = redis::cmd("ZRANGE");
            range.arg(shard.key(set)).arg(start).arg(start + PAGE - 1);
            let ids: Vec<Vec<u8>> = range.query_async(&mut redis).await?;
            if ids.is_empty() {
                return Ok(found);
            }
            let mut get = redis::cmd("HMGET");
            get.arg(shard.key("jobs")).arg(&ids);
            let bodies: Vec<Option<Vec<u8>>> = get.query_async(&mut redis).await?;
            let lanes = bodies.iter().flatten().filter_map(|body| body::lane(body));
            found.extend(lanes.map(|Lane { tenant, connection }| (tenant, connection)));
            start += PAGE;
        }
    }

    /// Whether the class is held, and which tenants are. Every shard says the same unless a call failed half-way.
    async fn held(&self, shard: &ShardKey) -> Result<(bool, Vec<TenantId>), InspectError> {
        let command = redis::Cmd::smembers(shard.key("held"));
        let held: Vec<Vec<u8>> = command.query_async(&mut self.redis.clone()).await?;
        let tenants = held.iter().filter_map(|id| Uuid::from_slice(id).ok());
        let everyone = held.iter().any(|one| one == b"*");
        Ok((everyone, tenants.map(TenantId::new).collect()))
    }

    async fn shard_totals(&self, shard: &ShardKey) -> Result<Totals, InspectError> {
        type Reply = (u64, Option<u64>, Vec<Vec<u8>>, Vec<(Vec<u8>, f64)>);
        let mut pipeline = redis::pipe();
        pipeline.cmd("HLEN").arg(shard.key("dead"));
        pipeline.cmd("MEMORY").arg("USAGE").arg(shard.key("jobs"));
        pipeline.cmd("SMEMBERS").arg(shard.key("paused"));
        pipeline
            .cmd("ZRANGE")
            .arg(shard.key("parked"))
            .arg(0)
            .arg(-1)
            .arg("WITHSCORES");
        let (dead, bytes, paused, parked): Reply =
            pipeline.query_async(&mut self.redis.clone()).await?;
        let connection = |id: &[u8]| Uuid::from_slice(id).ok().map(ConnectionId::new);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "µs since 1970 are below 2^53"
        )]
        let time = |time_us: f64| Timestamp::from_microsecond(time_us as i64).ok();
        Ok((
            dead,
            bytes.unwrap_or_default(),
            paused.iter().filter_map(|id| connection(id)).collect(),
            parked
                .iter()
                .filter_map(|(id, until)| Some((connection(id)?, time(*until)?)))
                .collect(),
        ))
    }
}

/// Dead letters, bytes of bodies, paused lanes, parked lanes.
type Totals = (
    u64,
    u64,
    Vec<ConnectionId>,
    BTreeMap<ConnectionId, Timestamp>,
);
