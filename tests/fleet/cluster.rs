//! A night on a Redis Cluster of three nodes: as on one server, also when a node loses what it held.

use anyhow::{Context, Result, ensure};
use bulkhead_devstack::fleet::{FleetOptions, Member};
use serde_json::Value;

use crate::{
    judge::JudgedNight,
    pins,
    support::{eventually, quick},
};

fn on_a_cluster() -> FleetOptions {
    FleetOptions {
        redis_cluster: true,
        ..quick(6, 600)
    }
}

/// A scheduler, and who works.
async fn crew(night: &JudgedNight) -> Result<(Member, [Member; 3])> {
    let scheduler = night.start("scheduler", "scheduler").await?;
    let workers = [
        night.start("token", "token").await?,
        night.start("sync", "sync-1").await?,
        night.start("sync", "sync-2").await?,
    ];
    Ok((scheduler, workers))
}

/// Fails unless each class's shards are spread over the nodes.
fn every_node_is_in_use(night: &mut JudgedNight) -> Result<()> {
    let cluster = night.night.fleet.redis.cluster()?;
    let mut used = [false; 3];
    for class in ["sync", "token"] {
        for shard in 0..4 {
            used[cluster.node_of(&format!("{{{class}.{shard}}}"))?] = true;
        }
    }
    ensure!(used == [true; 3], "the nodes in use: {used:?}");
    Ok(())
}

#[tokio::test]
async fn a_night_on_a_cluster_stores_every_order_once_and_stays_within_every_plan() -> Result<()> {
    let mut night = JudgedNight::onboarded(on_a_cluster()).await?;
    every_node_is_in_use(&mut night)?;
    let (_scheduler, _workers) = crew(&night).await?;
    night.enqueue_all().await?;
    let status: Value = night.fleet.cli().json(&["status"]).await?;
    ensure!(status["redis"]["reachable"] == true, "{status}");
    night.until_all_syncs_are_done().await?;
    night.as_if_nothing_had_happened().await
}

#[tokio::test]
async fn a_node_that_comes_back_empty_in_mid_run_loses_nothing_and_repeats_nothing() -> Result<()> {
    let mut night = JudgedNight::onboarded(on_a_cluster()).await?;
    every_node_is_in_use(&mut night)?;
    let (scheduler, _workers) = crew(&night).await?;
    night.enqueue_all().await?;
    let rebuilds = async || {
        let metrics = scheduler.metrics().await?;
        Ok::<_, anyhow::Error>(metrics.sum("bulkhead_redis_rebuilds_total"))
    };
    // The first holds most shards of the syncs, the third most of the tokens'.
    for node in [0, 2] {
        let before = night.pages().await?;
        night.until_pages(before + 4).await?;
        let rebuilt = rebuilds().await?;
        let cluster = night.night.fleet.redis.cluster()?;
        cluster.restart_empty(node).await?;
        eventually(async || Ok(rebuilds().await? > rebuilt))
            .await
            .with_context(|| format!("wait until what node {node} held has been rebuilt"))?;
    }
    night.until_all_syncs_are_done().await?;
    night.as_if_nothing_had_happened().await
}

#[tokio::test]
async fn pinned_plans_are_on_every_node_and_return_to_one_that_comes_back_empty() -> Result<()> {
    let mut night = JudgedNight::onboarded(on_a_cluster()).await?;
    every_node_is_in_use(&mut night)?;
    let _scheduler = night.start("scheduler", "scheduler").await?;
    pins::pin(&night.night).await?;
    for node in 0..3 {
        let cluster = night.night.fleet.redis.cluster()?;
        cluster.restart_empty(node).await?;
        eventually(async || Ok(pins::followed(&night.night)? == pins::EVERYWHERE))
            .await
            .with_context(|| format!("wait until node {node} follows the pinned plans again"))?;
    }
    Ok(())
}
