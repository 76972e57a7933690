//! `broker-bench stats`.

use anyhow::Context;

use crate::queue::{self, RedisArgs};

pub(crate) async fn run(args: &RedisArgs) -> anyhow::Result<()> {
    let broker = queue::connect(args).await?;
    let stats = broker.stats().await.context("cannot count")?;
    let total = stats.total;
    queue::answer(&format!(
        "queued {} in_flight {} dead {}",
        total.queued + total.delayed,
        total.running,
        stats.dead
    ));
    Ok(())
}
