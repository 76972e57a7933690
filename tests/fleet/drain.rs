//! SIGTERM to a busy worker: what runs ends well, what has not started goes back, another one does the rest.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bulkhead_devstack::fleet::MemberOptions;
use serde_json::json;

use crate::{
    judge::JudgedNight,
    support::{eventually, quick},
};

/// Jobs that were taken back from workers that no longer renewed.
const REAPED: &str = "bulkhead_jobs_reaped_total";

#[tokio::test]
async fn a_drained_worker_cuts_nothing_off_and_another_one_finishes_the_night() -> Result<()> {
    let night = JudgedNight::onboarded(quick(6, 900)).await?;
    let _scheduler = night.start("scheduler", "scheduler").await?;
    let _token = night.start("token", "token").await?;
    let busy = night.start("sync", "busy").await?;
    night.enqueue_all().await?;
    night.until_pages(8).await?;
    let other = night.start("sync", "other").await?;
    busy.process.terminate();
    let status = busy.process.wait(Duration::from_secs(20)).await;
    let status = status.context("not drained within the drain timeout")?;
    ensure!(
        status.code() == Some(0),
        "{status}: {}",
        busy.process.log_tail()
    );
    night.until_all_syncs_are_done().await?;
    night.as_if_nothing_had_happened().await?;
    let reaped = other.metrics().await?.sum(REAPED);
    ensure!(reaped < 0.5, "{reaped} jobs were re-run as after a crash");
    // No call was cut off: every page that was fetched was stored.
    let (asked, stored) = (night.pages_asked_for().await?, night.pages().await?);
    ensure!(
        asked == u64::try_from(stored)?,
        "{asked} pages fetched, {stored} stored"
    );
    Ok(())
}

#[tokio::test]
async fn a_worker_whose_call_hangs_gives_its_job_back_when_the_drain_has_lasted_long_enough()
-> Result<()> {
    let night = JudgedNight::onboarded(quick(1, 250)).await?;
    let _scheduler = night.start("scheduler", "scheduler").await?;
    let _token = night.start("token", "token").await?;
    let fault =
        json!({"kind": "timeout", "operation": "orders/2026-01-01/searchOrders", "count": 1});
    night.fleet.amazon.post("faults", &fault).await?;
    let drain = Duration::from_millis(500);
    let options = MemberOptions::default().set("worker.drain_timeout_ms", "500");
    let hanging = night.start_with("sync", "hanging", &options).await?;
    night.enqueue_all().await?;
    eventually(async || Ok(night.pages_asked_for().await? == 1)).await?;
    let other = night.start("sync", "other").await?;
    hanging.process.terminate();
    let told = Instant::now();
    let status = hanging.process.wait(Duration::from_secs(20)).await;
    let status = status.context("not drained")?;
    let took = told.elapsed();
    ensure!(
        status.code() == Some(0),
        "{status}: {}",
        hanging.process.log_tail()
    );
    ensure!(
        took >= drain && took < drain + Duration::from_secs(5),
        "drained in {took:?}"
    );
    night.until_all_syncs_are_done().await?;
    night.as_if_nothing_had_happened().await?;
    let reaped = other.metrics().await?.sum(REAPED);
    ensure!(reaped < 0.5, "{reaped} jobs were re-run as after a crash");
    Ok(())
}
