//! What may happen while permits are given.

use anyhow::Context;
use bulkhead_devstack::Signal;
use serde::Serialize;

use super::{
    demand::Demand,
    model_bucket::Event,
    protocol::Pacing,
    shape::{SHAPES, Shape},
    trial::{RAMP_S, Setup, Trial},
    verdict::{Terms, Verdict, lowest, throttled, verdicts},
};
use crate::redis_server::PrivateRedis;

/// A disturbance in the middle of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scenario {
    WorkerKilled,
    WorkerStopped,
    RedisEmpty,
    ClockForward,
    ClockBack,
    LoweredByHeader,
    LoweredSilently,
    TwoApplications,
}

/// What came of a scenario.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ScenarioVerdict {
    pub(crate) scenario: &'static str,
    pub(crate) utilisation: f64,
    pub(crate) of_attainable: f64,
    pub(crate) throttled: usize,
    pub(crate) verdicts: Vec<Verdict>,
}

const HOUR_US: i64 = 3_600_000_000;

impl Scenario {
    pub(crate) const ALL: [Self; 8] = [
        Self::WorkerKilled,
        Self::WorkerStopped,
        Self::RedisEmpty,
        Self::ClockForward,
        Self::ClockBack,
        Self::LoweredByHeader,
        Self::LoweredSilently,
        Self::TwoApplications,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::WorkerKilled => "a worker killed",
            Self::WorkerStopped => "a worker stopped for 3 s and continued",
            Self::RedisEmpty => "Redis restarted empty",
            Self::ClockForward => "Redis's clock an hour forward",
            Self::ClockBack => "Redis's clock an hour back",
            Self::LoweredByHeader => "plan halved, the header says so",
            Self::LoweredSilently => "plan lowered by a tenth, unsaid",
            Self::TwoApplications => "two applications on each seller",
        }
    }

    /// How many applications each seller has authorized.
    const fn applications(self) -> u64 {
        match self {
            Self::TwoApplications => 2,
            _ => 1,
        }
    }

    pub(crate) async fn run(
        self,
        redis: &mut PrivateRedis,
        connections: usize,
        allowance_ms: u64,
        window_s: f64,
    ) -> anyhow::Result<ScenarioVerdict> {
        let setup = Setup {
            sellers: connections / usize::try_from(self.applications())?,
            applications: self.applications(),
            jitters_ms: &[50],
            allowance_ms,
            pacing: Pacing::Permits,
        };
        let mut trial = Trial::prepare(redis, setup).await?;
        trial.start(Demand::Steady, window_s).await?;
        trial.until(RAMP_S + (window_s - RAMP_S) / 4.0).await;
        let events = self.disturb(&mut trial).await?;
        trial.until(window_s).await;
        let outcome = trial.end().await?;
        let of_shape = |shape: &Shape| {
            let plan = |factor: f64| Event::Plan(shape.plan().scaled(factor));
            events
                .iter()
                .map(|(at, event)| (*at, event.unwrap_or_else(|| plan(self.factor()))))
                .collect()
        };
        let terms = Terms {
            demand: Demand::Steady,
            window_s,
            allowance_ms,
            events: &of_shape,
        };
        let verdicts = verdicts(&outcome, &terms);
        let (utilisation, of_attainable) = lowest(&verdicts);
        Ok(ScenarioVerdict {
            scenario: self.name(),
            utilisation,
            of_attainable,
            throttled: throttled(&verdicts),
            verdicts,
        })
    }

    /// By how much Amazon lowers its rates.
    const fn factor(self) -> f64 {
        match self {
            Self::LoweredByHeader => 0.5,
            _ => 0.9,
        }
    }

    /// Disturbs a run; returns what happened to every bucket, `None` for the lower plan.
    async fn disturb(self, trial: &mut Trial<'_>) -> anyhow::Result<Vec<(f64, Option<Event>)>> {
        match self {
            Self::WorkerKilled => {
                let killed = trial.replace(0).await?;
                killed.signal(Signal::SIGKILL)?;
                trial.lease_to(0).await?;
                trial.start_late(0).await?;
                Ok(Vec::new())
            }
            Self::WorkerStopped => {
                let worker = trial.fleet.0.first().context("no worker")?;
                worker.signal(Signal::SIGSTOP)?;
                trial.until(trial.now_s() + 3.0).await;
                trial.fleet.0[0].signal(Signal::SIGCONT)?;
                Ok(Vec::new())
            }
            Self::RedisEmpty => Ok(forgotten(trial.lose_redis().await?)),
            Self::ClockForward => Ok(forgotten(trial.step_clock(HOUR_US).await?)),
            Self::ClockBack => Ok(forgotten(trial.step_clock(-HOUR_US).await?)),
            Self::LoweredByHeader | Self::LoweredSilently => {
                let announced = self == Self::LoweredByHeader;
                for shape in &SHAPES {
                    let plan = shape.plan().scaled(self.factor());
                    trial.amazon.set_plan(shape, plan, announced).await?;
                }
                Ok(vec![(trial.now_s(), None)])
            }
            Self::TwoApplications => Ok(Vec::new()),
        }
    }
}

/// After a loss or a step of the clock buckets are taken to be empty: the price of not knowing.
fn forgotten((stopped, again): (f64, f64)) -> Vec<(f64, Option<Event>)> {
    vec![
        (stopped, Some(Event::Stopped)),
        (again, Some(Event::Forgotten)),
    ]
}
