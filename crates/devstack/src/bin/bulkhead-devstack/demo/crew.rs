//! The fleet's own processes: a scheduler, two sync workers, a token worker.

use std::time::Duration;

use anyhow::{Result, bail};
use bulkhead_devstack::fleet::{Fleet, Member, MemberOptions};
use serde::Deserialize;

/// How often a moment is looked for at which the worker to be killed runs jobs.
const LOOKS: u32 = 100;
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The processes.
pub(crate) struct Crew {
    members: Vec<Member>,
    killed: Option<String>,
}

/// What of a job matters here: who runs it, if anybody does.
#[derive(Debug, Deserialize)]
struct Job {
    queue: Option<Queue>,
}

#[derive(Debug, Deserialize)]
struct Queue {
    worker: Option<String>,
}

impl Job {
    fn runs_on(&self, process: &str) -> bool {
        let worker = self
            .queue
            .as_ref()
            .and_then(|queue| queue.worker.as_deref());
        worker.is_some_and(|worker| worker.contains(process))
    }
}

impl Crew {
    pub(crate) async fn start(fleet: &Fleet) -> Result<Self> {
        let options = MemberOptions::default();
        let mut members = Vec::new();
        for (class, name) in [
            ("scheduler", "scheduler"),
            ("token", "token-1"),
            ("sync", "sync-1"),
            ("sync", "sync-2"),
        ] {
            members.push(fleet.spawn_member(class, name, &options)?);
        }
        for member in &members {
            member.ready().await?;
        }
        Ok(Self {
            members,
            killed: None,
        })
    }

    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    pub(crate) fn can_kill(&self) -> bool {
        self.killed.is_none()
    }

    /// Kills a sync worker at a moment at which it runs jobs; says so.
    pub(crate) async fn kill_one(&mut self, fleet: &Fleet) -> Result<String> {
        let place = self
            .members
            .iter()
            .position(|member| member.process.name() == "sync-1");
        let Some(place) = place else {
            bail!("there is no sync worker to kill");
        };
        let victim = self.members.remove(place);
        let pid = victim.process.pid();
        let jobs = stop_with_jobs(fleet, &victim).await?;
        victim.process.kill();
        self.killed = Some(victim.process.name().to_owned());
        Ok(format!(
            "killed sync worker sync-1 (process {pid}) with SIGKILL while it ran {jobs} job(s); carrying on without it"
        ))
    }

    /// Fails if a process has ended that was not killed here.
    pub(crate) fn check(&self) -> Result<()> {
        for member in &self.members {
            if let Some(status) = member.process.status() {
                bail!(
                    "{} ended ({status}): {}",
                    member.process.name(),
                    member.process.log_tail()
                );
            }
        }
        Ok(())
    }

    /// How many jobs the survivors took over from the killed worker.
    pub(crate) async fn reruns(&self) -> Result<u64> {
        let mut reruns = 0.0;
        for member in &self.members {
            reruns += member.metrics().await?.sum("bulkhead_jobs_reaped_total");
        }
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a counter of jobs"
        )]
        let reruns = reruns as u64;
        Ok(reruns)
    }
}

/// Stops a worker (SIGSTOP) at a moment at which it holds leases: stopped, it cannot give them up before it is killed.
async fn stop_with_jobs(fleet: &Fleet, victim: &Member) -> Result<usize> {
    let own = format!("/{}/", victim.process.pid());
    for _ in 0..LOOKS {
        victim.process.stop();
        let list = [
            "jobs", "list", "--kind", "sync", "--state", "enqueued", "--limit", "10000",
        ];
        let jobs: Vec<Job> = fleet.cli().json(&list).await?;
        let held = jobs.iter().filter(|job| job.runs_on(&own)).count();
        if held > 0 {
            return Ok(held);
        }
        victim.process.cont();
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Ok(0)
}
