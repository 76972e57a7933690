//! What a queued job takes in Redis, everything counted.

use crate::{enqueue, jobs, redis_server::PrivateRedis, sample::count_f64};

/// Bytes per job with `count` jobs in `lanes` connections.
pub(crate) async fn measure(
    redis: &PrivateRedis,
    count: usize,
    lanes: usize,
) -> anyhow::Result<f64> {
    let before = redis.memory_bytes().await?;
    for first in (0..count).step_by(count.div_ceil(10)) {
        let part = (count - first).min(count.div_ceil(10));
        let jobs = jobs::spread(first as u128, part, lanes);
        enqueue::enqueue(&redis.broker, &jobs).await?;
    }
    Ok((redis.memory_bytes().await? - before) / count_f64(count))
}
