//! One trace shows the whole way of a job, across processes.

use std::time::Duration;

use anyhow::{Context, Result};
use bulkhead_devstack::fleet::{Member, MemberOptions};

use crate::{
    collector::{CollectedSpan, Collector},
    support::{TestNight, quick},
};

/// How long a process may take to drain and to export its last spans.
const DRAINED: Duration = Duration::from_secs(20);

#[tokio::test]
async fn one_trace_leads_from_the_schedule_to_the_commit_across_processes() -> Result<()> {
    let night = TestNight::onboarded(quick(2, 20)).await?;
    let collector = Collector::start().await?;
    let traced = MemberOptions::default().set("telemetry.otlp_endpoint", &collector.endpoint);
    let members = [
        night.start_with("scheduler", "scheduler", &traced).await?,
        night.start_with("token", "token-1", &traced).await?,
        night.start_with("sync", "sync-1", &traced).await?,
    ];
    night.enqueue_all().await?;
    night.until_all_syncs_are_done().await?;
    drain(&members).await?;

    let spans = collector.spans()?;
    let commits = spans.iter().filter(|span| span.name == "commit");
    let traces: Vec<&[u8]> = commits.map(|commit| commit.trace.as_slice()).collect();
    assert!(traces.len() >= 2, "each seller's page is committed");
    for trace in traces {
        let of_trace: Vec<_> = spans.iter().filter(|span| span.trace == trace).collect();
        leads_from_schedule_to_commit(&of_trace)
            .with_context(|| format!("in a trace of {of_trace:#?}"))?;
    }
    let refresh = spans
        .iter()
        .find(|span| span.name == "amazon.call" && span.process == "bulkhead-token")
        .context("a token was fetched")?;
    let schedule = spans
        .iter()
        .find(|span| span.name == "schedule" && span.trace == refresh.trace);
    assert!(
        schedule.is_some(),
        "a token job's trace begins at its schedule too"
    );
    Ok(())
}

fn leads_from_schedule_to_commit(trace: &[&CollectedSpan]) -> Result<()> {
    let schedule = one(trace, "bulkhead-scheduler", "schedule")?;
    anyhow::ensure!(schedule.parent.is_empty(), "the trace begins there");
    // A job that waited for its token or its plan has been attempted more than once.
    let committed = one(trace, "bulkhead-sync", "commit")?;
    let job = trace
        .iter()
        .find(|span| span.id == committed.parent)
        .context("the commit has a parent")?;
    anyhow::ensure!(job.name == "job" && job.process == "bulkhead-sync");
    anyhow::ensure!(job.parent == schedule.id, "the job continues the schedule");
    for name in ["permit", "amazon.call"] {
        let step = trace
            .iter()
            .find(|span| span.name == name && span.parent == job.id);
        step.with_context(|| format!("the job that committed has no {name}"))?;
    }
    Ok(())
}

fn one<'s>(trace: &[&'s CollectedSpan], process: &str, name: &str) -> Result<&'s CollectedSpan> {
    let found: Vec<_> = trace
        .iter()
        .filter(|span| span.process == process && span.name == name)
        .collect();
    match found.as_slice() {
        [one] => Ok(one),
        many => anyhow::bail!("{} spans {name} of {process}", many.len()),
    }
}

/// Ends the processes in good order, so that their last spans are exported.
async fn drain(members: &[Member]) -> Result<()> {
    for member in members {
        member.process.terminate();
        let ended = member.process.wait(DRAINED).await;
        let ended = ended.with_context(|| format!("{} drains", member.process.name()))?;
        anyhow::ensure!(ended.success(), "{} ended: {ended}", member.process.name());
    }
    Ok(())
}
