//! The same work with permits, and with what is usual: a limiter in each process and another try after a 429.

use anyhow::ensure;
use serde::Serialize;
use tokio::time::{Duration, timeout};

use super::{
    demand::Demand,
    protocol::Pacing,
    trial::{Setup, Trial},
};
use crate::redis_server::PrivateRedis;

/// No workload takes this long.
const PATIENCE: Duration = Duration::from_secs(120);

/// How a piece of work went.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Work {
    pub(crate) calls: u64,
    pub(crate) requests: u64,
    pub(crate) throttled: u64,
    pub(crate) seconds: f64,
}

/// Both ways, one after the other.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Comparison {
    pub(crate) permits: Work,
    pub(crate) per_process: Work,
}

pub(crate) async fn compare(
    redis: &mut PrivateRedis,
    connections: usize,
    allowance_ms: u64,
    seconds: f64,
) -> anyhow::Result<Comparison> {
    let setup = |pacing| Setup {
        sellers: connections,
        applications: 1,
        jitters_ms: &[50],
        allowance_ms,
        pacing,
    };
    Ok(Comparison {
        permits: work(redis, setup(Pacing::Permits), seconds).await?,
        per_process: work(redis, setup(Pacing::PerProcess), seconds).await?,
    })
}

async fn work(redis: &mut PrivateRedis, setup: Setup<'_>, seconds: f64) -> anyhow::Result<Work> {
    let mut trial = Trial::prepare(redis, setup).await?;
    trial.start(Demand::Workload { seconds }, seconds).await?;
    timeout(PATIENCE, trial.fleet.done()).await??;
    let seconds = trial.now_s();
    let counts = trial.end().await?.counts;
    ensure!(counts.failed == 0, "{} calls had no answer", counts.failed);
    Ok(Work {
        calls: counts.requests - counts.throttled,
        requests: counts.requests,
        throttled: counts.throttled,
        seconds,
    })
}
