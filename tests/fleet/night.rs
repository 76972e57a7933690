//! The plain night: everything is stored, once, and no usage plan is exceeded.

use anyhow::Result;

use crate::support::{TestNight, quick};

#[tokio::test]
async fn a_night_stores_every_order_once_and_stays_within_every_plan() -> Result<()> {
    let night = TestNight::onboarded(quick(6, 250)).await?;
    let _scheduler = night.start("scheduler", "scheduler").await?;
    let _token = night.start("token", "token-1").await?;
    let _sync = night.start("sync", "sync-1").await?;
    night.enqueue_all().await?;
    night.until_all_syncs_are_done().await?;
    night.nothing_lost_nothing_twice().await?;
    let waiting = "select count(*) from bulkhead.obligations where state in ('dead', 'cancelled')";
    assert_eq!(night.number(waiting).await?, 0);
    Ok(())
}
