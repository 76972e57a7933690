//! Jobs of killed workers: how long until they run again, and whether any is lost.

use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::{drain::WorkerProcess, enqueue, jobs, redis_server::PrivateRedis};

/// How many jobs the killed worker holds.
const HELD: usize = 100;

/// Workers killed one after the other.
const KILLS: usize = 3;

/// Nothing here takes as long as this.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Rerun {
    /// From each kill until all of its jobs ran again, s.
    pub(crate) seconds: Vec<f64>,
    /// Jobs that were not completed in the end.
    pub(crate) lost: u64,
}

/// Kills three workers in a row that hold the same jobs, then lets a fourth one run them.
pub(crate) async fn measure(redis: &PrivateRedis) -> anyhow::Result<Rerun> {
    enqueue::enqueue(&redis.broker, &jobs::spread(0, HELD, HELD)).await?;
    let mut holder = WorkerProcess::start(redis, HELD, true)?;
    until(|| async { Ok(redis.in_flight().await? == HELD as u64) }).await?;
    let mut seconds = Vec::new();
    for kill in 1..=KILLS {
        holder.kill()?;
        let killed = Instant::now();
        let last = kill == KILLS;
        holder = WorkerProcess::start(redis, HELD, !last)?;
        if last {
            let gone = || async { Ok(redis.living().await? == 0) };
            until(gone).await?;
        } else {
            held_again(redis).await?;
        }
        seconds.push(killed.elapsed().as_secs_f64());
    }
    let stats = redis.broker.stats().await?;
    let unfinished = stats.total.queued + stats.total.delayed + stats.total.running;
    holder.end()?;
    Ok(Rerun {
        seconds,
        lost: stats.dead + unfinished,
    })
}

/// The jobs leave the dead worker's leases a shard at a time, so all of them being in flight is not enough: their
/// leases must be younger than the kill.
async fn held_again(redis: &PrivateRedis) -> anyhow::Result<()> {
    let before = redis.holders().await?;
    until(|| async {
        let now = redis.holders().await?;
        Ok(now.len() == HELD
            && now
                .iter()
                .all(|(id, holder)| before.get(id) != Some(holder)))
    })
    .await
}

async fn until<F>(mut holds: impl FnMut() -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<bool>>,
{
    let started = Instant::now();
    while !holds().await? {
        ensure!(started.elapsed() < PATIENCE, "the jobs did not run again");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}
