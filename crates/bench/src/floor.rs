//! The bare floor: a batched Lua enqueue, pop under a lease, and acknowledgement, without anything around them.

use std::time::Instant;

use futures_util::future::try_join_all;
use redis::{Script, aio::MultiplexedConnection};
use uuid::Uuid;

use crate::redis_server::PrivateRedis;

/// Jobs in one enqueue, as the broker sends them.
const ENQUEUE: usize = 256;

/// Jobs in one pop and in one acknowledgement.
const FETCH: usize = 64;

/// Loops at a time, each with a connection of its own: Redis always has something to do, and as many leases are held as a
/// worker holds. With up to 128 Redis keeps them in a list that it searches for each, and the floor is half as fast.
pub(crate) const LOOPS: usize = 4;

/// What a body takes.
const BODY: usize = 200;

/// A job's body: no two jobs have the same one, nor does Lua, which keeps equal strings once, get it for nothing.
fn body(id: [u8; 16]) -> [u8; BODY] {
    std::array::from_fn(|at| id.get(at).copied().unwrap_or(b'x'))
}

/// Seconds for all jobs.
pub(crate) struct Floor {
    pub(crate) enqueue_s: f64,
    pub(crate) drain_s: f64,
}

struct Scripts {
    enqueue: Script,
    fetch: Script,
    acknowledge: Script,
}

/// Takes `jobs` through the floor.
pub(crate) async fn measure(redis: &PrivateRedis, jobs: usize) -> anyhow::Result<Floor> {
    let scripts = Scripts {
        enqueue: Script::new(include_str!("../lua/floor_enqueue.lua")),
        fetch: Script::new(include_str!("../lua/floor_fetch.lua")),
        acknowledge: Script::new(include_str!("../lua/floor_acknowledge.lua")),
    };
    let mut connections = Vec::new();
    for _ in 0..LOOPS {
        connections.push(redis.another_connection().await?);
    }
    let ids: Vec<[u8; 16]> = (0..jobs).map(|_| Uuid::new_v4().into_bytes()).collect();
    let started = Instant::now();
    let parts = ids.chunks(jobs.div_ceil(LOOPS));
    let loops = parts.zip(&connections);
    try_join_all(loops.map(|(ids, connection)| scripts.enqueue(connection.clone(), ids))).await?;
    let enqueued = Instant::now();
    try_join_all(connections.iter().map(|one| scripts.drain(one.clone()))).await?;
    Ok(Floor {
        enqueue_s: (enqueued - started).as_secs_f64(),
        drain_s: enqueued.elapsed().as_secs_f64(),
    })
}

impl Scripts {
    async fn enqueue(
        &self,
        mut redis: MultiplexedConnection,
        ids: &[[u8; 16]],
    ) -> anyhow::Result<()> {
        for batch in ids.chunks(ENQUEUE) {
            let mut call = self.enqueue.key("{floor}:bodies");
            call.key("{floor}:ids");
            for id in batch {
                call.arg(&id[..]).arg(&body(*id)[..]);
            }
            call.invoke_async::<()>(&mut redis).await?;
        }
        Ok(())
    }

    async fn drain(&self, mut redis: MultiplexedConnection) -> anyhow::Result<()> {
        loop {
            let mut fetch = self.fetch.key("{floor}:bodies");
            fetch.key("{floor}:ids").key("{floor}:leases");
            fetch.arg(FETCH).arg(12_000_000);
            let got: Vec<Vec<Vec<u8>>> = fetch.invoke_async(&mut redis).await?;
            let Some(ids) = got.first() else {
                return Ok(());
            };
            let mut acknowledge = self.acknowledge.key("{floor}:bodies");
            acknowledge.key("{floor}:leases").arg(ids);
            acknowledge.invoke_async::<()>(&mut redis).await?;
        }
    }
}
