//! One run: a Redis, a simulator, the coordinator in the scheduler's place, and the worker processes.

use std::time::Duration;

use anyhow::Context;
use bulkhead_broker::{Broker, TestClock};
use futures_util::future::try_join_all;
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    amazon::{Amazon, Arrivals, Consent},
    demand::Demand,
    fleet::{Fleet, WorkerProcess},
    grantor::{self, Grantor},
    protocol::{Command, Counts, Lane, Pacing, Spec},
    worker,
};
use crate::{
    jobs,
    queue::CLASS,
    redis_server::{PrivateRedis, SHARDS},
    sample::count_f64,
};

/// Worker processes.
const WORKERS: usize = 8;

/// Of them, how many call for one connection.
const CALLERS: usize = 4;

/// The connections begin one after the other within this time, s: a herd of thousands of calls in one moment would
/// measure the machine.
pub(crate) const RAMP_S: f64 = 5.0;

/// Until all workers have heard that they start.
const HEAD_START: Duration = Duration::from_millis(500);

/// What a run is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup<'a> {
    /// Sellers; a connection is one seller's consent to one application.
    pub(crate) sellers: usize,
    pub(crate) applications: u64,
    /// By turns, ms.
    pub(crate) jitters_ms: &'a [u64],
    pub(crate) allowance_ms: u64,
    pub(crate) pacing: Pacing,
}

pub(crate) struct Trial<'a> {
    pub(crate) redis: &'a mut PrivateRedis,
    pub(crate) amazon: Amazon,
    pub(crate) lanes: Vec<TrialLane>,
    pub(crate) fleet: Fleet,
    broker: Broker,
    grantor: Grantor,
    clock: TestClock,
    next_job: u128,
    started_us: i64,
    start: Option<Command>,
}

/// One connection of a run.
#[derive(Debug, Clone)]
pub(crate) struct TrialLane {
    pub(crate) number: u64,
    pub(crate) starts_s: f64,
    pub(crate) jitter_ms: u64,
    pub(crate) consent: Consent,
}

/// What came of a run.
pub(crate) struct Outcome {
    pub(crate) lanes: Vec<TrialLane>,
    pub(crate) arrivals: Arrivals,
    pub(crate) counts: Counts,
    pub(crate) started_us: i64,
}

impl<'a> Trial<'a> {
    /// Everything up to the first call: all buckets are full, here and at Amazon.
    pub(crate) async fn prepare(
        redis: &'a mut PrivateRedis,
        setup: Setup<'_>,
    ) -> anyhow::Result<Self> {
        redis.flush().await?;
        let clock = TestClock::running();
        let options = worker::options(&redis.url(), SHARDS, clock.clone());
        let broker = Broker::connect(&options, CLASS).await?;
        let grantor = Grantor::start(&broker, &clock, grantor::LIFETIME).await?;
        let amazon = Amazon::start(u32::try_from(setup.sellers)?).await?;
        let lanes = lanes(&amazon, setup).await?;
        let fleet = Fleet::start(specs(&redis.url(), &amazon, &lanes, setup)).await?;
        let mut trial = Self {
            redis,
            amazon,
            lanes,
            fleet,
            broker,
            grantor,
            clock,
            next_job: 0,
            started_us: 0,
            start: None,
        };
        trial.lease().await?;
        Ok(trial)
    }

    /// Lets all workers call from the same moment on.
    pub(crate) async fn start(&mut self, demand: Demand, window_s: f64) -> anyhow::Result<()> {
        let at = Timestamp::now() + HEAD_START;
        self.started_us = at.as_microsecond();
        let at_us = self.started_us;
        let start = Command::Start {
            at_us,
            demand,
            window_s,
        };
        self.fleet.send(&start).await?;
        self.start = Some(start);
        self.until(0.0).await;
        Ok(())
    }

    /// Lets a worker that came later call as the others do.
    pub(crate) async fn start_late(&mut self, worker: usize) -> anyhow::Result<()> {
        let start = self.start.clone().context("not started")?;
        self.fleet.0[worker].send(&start).await
    }

    /// Waits until so many seconds after the start.
    pub(crate) async fn until(&self, second: f64) {
        tokio::time::sleep(Duration::from_secs_f64((second - self.now_s()).max(0.0))).await;
    }

    /// Seconds since the start.
    pub(crate) fn now_s(&self) -> f64 {
        seconds(Timestamp::now().as_microsecond() - self.started_us)
    }

    /// Ends all calls.
    pub(crate) async fn end(self) -> anyhow::Result<Outcome> {
        let counts = self.fleet.end().await?;
        Ok(Outcome {
            arrivals: self.amazon.arrivals().await?,
            lanes: self.lanes,
            counts,
            started_us: self.started_us,
        })
    }

    /// Kills the worker with this number and starts another one in its place.
    pub(crate) async fn replace(&mut self, worker: usize) -> anyhow::Result<WorkerProcess> {
        let mut spec = self.fleet.0[worker].spec.clone();
        spec.worker = format!("bench/{}", Uuid::new_v4());
        let new = WorkerProcess::start(spec).await?;
        Ok(std::mem::replace(&mut self.fleet.0[worker], new))
    }

    /// Gives the worker with this number a lease for each of its connections.
    pub(crate) async fn lease_to(&mut self, worker: usize) -> anyhow::Result<()> {
        let lanes = self.fleet.0[worker].spec.lanes.clone();
        let jobs: Vec<_> = lanes
            .iter()
            .map(|lane| {
                self.next_job += 1;
                let tenant = jobs::tenant(u128::from(lane.number) / jobs::LANES_PER_TENANT);
                jobs::job(self.next_job, tenant, lane.connection())
            })
            .collect();
        self.broker.enqueue(&jobs).await?;
        self.fleet.0[worker].tell(&Command::Lease).await
    }

    async fn lease(&mut self) -> anyhow::Result<()> {
        for worker in 0..self.fleet.0.len() {
            self.lease_to(worker).await?;
        }
        Ok(())
    }

    /// Redis loses everything; when it is back the fences are rebuilt as the scheduler does. Returns when it was
    /// lost, and when permits could be had again.
    pub(crate) async fn lose_redis(&mut self) -> anyhow::Result<(f64, f64)> {
        let lost = self.now_s();
        self.redis.restart_empty().await?;
        self.grantor.established_anew().await?;
        let established = self.now_s();
        self.lease().await?;
        Ok((lost, established))
    }

    /// Redis's clock jumps, for all at once. Returns when that was, and when permits could be had again.
    pub(crate) async fn step_clock(&mut self, by_us: i64) -> anyhow::Result<(f64, f64)> {
        let stepped = self.now_s();
        self.fleet.tell(&Command::Hold).await?;
        self.fleet.tell(&Command::Shift { by_us }).await?;
        worker::shift(&self.clock, by_us);
        self.fleet.tell(&Command::GoOn).await?;
        // By itself it comes at the scheduler's next turn, within half a second.
        self.grantor.grant().await?;
        Ok((stepped, self.now_s()))
    }
}

/// Microseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "some minutes")]
pub(crate) fn seconds(us: i64) -> f64 {
    us as f64 / 1e6
}

async fn lanes(amazon: &Amazon, setup: Setup<'_>) -> anyhow::Result<Vec<TrialLane>> {
    let pairs = (0..setup.sellers)
        .flat_map(|seller| (0..setup.applications).map(move |application| (seller, application)));
    let consents = try_join_all(pairs.map(|(seller, app)| amazon.consent(seller, app))).await?;
    let jitters = setup.jitters_ms.iter().cycle();
    let step_s = RAMP_S / count_f64(consents.len());
    let starts = (0..).map(|position| step_s * count_f64(position));
    Ok((0..)
        .zip(consents)
        .zip(jitters.zip(starts))
        .map(|((number, consent), (jitter_ms, starts_s))| TrialLane {
            number,
            starts_s,
            jitter_ms: *jitter_ms,
            consent,
        })
        .collect())
}

fn specs(url: &str, amazon: &Amazon, lanes: &[TrialLane], setup: Setup<'_>) -> Vec<Spec> {
    let of_worker = |worker: usize| {
        let lanes = lanes.iter().enumerate();
        lanes.filter_map(move |(position, lane)| {
            // Lane `position` has the workers from its own number on.
            let share = (worker + WORKERS - position % WORKERS) % WORKERS;
            (share < CALLERS).then(|| Lane {
                number: lane.number,
                application: lane.consent.application,
                seller: lane.consent.seller.clone(),
                marketplace: lane.consent.marketplace.clone(),
                access_token: lane.consent.access_token.clone(),
                starts_s: lane.starts_s,
                jitter_ms: lane.jitter_ms,
                share,
                callers: CALLERS,
            })
        })
    };
    (0..WORKERS)
        .map(|worker| Spec {
            worker: format!("bench/{}", Uuid::new_v4()),
            redis_url: url.to_owned(),
            shards: SHARDS,
            base_url: amazon.base_url(),
            pacing: setup.pacing,
            allowance_ms: setup.allowance_ms,
            shift_us: i64::try_from(grantor::DAY.as_micros()).unwrap_or(0),
            lanes: of_worker(worker).collect(),
        })
        .collect()
}
