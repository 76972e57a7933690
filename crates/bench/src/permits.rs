//! `broker-bench permits`: all of Amazon's budget, and never over it.

mod amazon;
mod baseline;
mod caller;
mod demand;
mod fleet;
mod grantor;
mod model_bucket;
mod protocol;
mod scenario;
mod shape;
mod speed;
mod table;
mod trial;
mod verdict;
pub(crate) mod worker;

use serde::Serialize;

use self::{
    baseline::Comparison,
    demand::Demand,
    protocol::{Counts, Pacing},
    scenario::{Scenario, ScenarioVerdict},
    speed::Speed,
    trial::{Setup, Trial},
    verdict::{Terms, Verdict, lowest, throttled, verdicts},
};
use crate::{
    queue::{answer, say},
    redis_server::PrivateRedis,
    sample::quantile,
};

#[derive(clap::Args)]
pub(crate) struct PermitsArgs {
    /// One JSON object on standard output instead of tables.
    #[arg(long)]
    json: bool,
    /// Short windows, one scenario, fewer buckets, no comparison: within a minute.
    #[arg(long)]
    quick: bool,
    /// Connections of the runs.
    #[arg(long, default_value_t = 50)]
    connections: usize,
    /// How much of the jitter the machine itself is expected to make, beside what is injected, ms.
    #[arg(long, default_value_t = 10)]
    allowance_ms: u64,
    /// The seed of the bursts; by default another one each time.
    #[arg(long)]
    seed: Option<u64>,
    /// Only these scenarios, by a word of their names, and nothing else.
    #[arg(long, value_name = "WORD")]
    only: Vec<String>,
}

/// Network delays that are injected, ms; connections have them by turns.
const JITTERS_MS: [u64; 4] = [0, 20, 50, 100];

#[derive(Serialize)]
struct Figures {
    utilisation: f64,
    burst_one_of_attainable: f64,
    throttled: usize,
    #[serde(flatten)]
    speed: Speed,
    seed: u64,
    steady: Vec<Verdict>,
    bursts: Vec<Verdict>,
    machine: Machine,
    scenarios: Vec<ScenarioVerdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline: Option<Comparison>,
}

/// What the machine itself added to the jitter, ms, and what became of permits because of it.
#[derive(Serialize)]
struct Machine {
    late_ms_p50: f64,
    late_ms_p99: f64,
    late_ms_max: f64,
    permits_asked: u64,
    permits_granted: u64,
    permits_expired: u64,
    /// Questions that were answered *stopped*: while a grant or a boot nonce was missing.
    permits_stopped: u64,
    failed: u64,
}

/// How long each part runs, s.
struct Windows {
    runs: f64,
    scenarios: f64,
    workload: f64,
}

pub(crate) async fn run(args: &PermitsArgs) -> anyhow::Result<()> {
    let mut redis = PrivateRedis::start().await?;
    let windows = if args.quick {
        Windows {
            runs: 20.0,
            scenarios: 14.0,
            workload: 0.0,
        }
    } else {
        Windows {
            runs: 45.0,
            scenarios: 25.0,
            workload: 10.0,
        }
    };
    if !args.only.is_empty() {
        let scenarios = scenarios(&mut redis, args, &windows).await?;
        answer(&serde_json::to_string(&scenarios)?);
        return Ok(());
    }
    let seed = args.seed.unwrap_or_else(rand::random);
    say(&format!("steady arrivals, {} s", windows.runs));
    let (steady, mut counts) = measure(&mut redis, args, Demand::Steady, windows.runs).await?;
    say(&format!("arrivals in bursts, seed {seed}"));
    let demand = Demand::Bursts { seed };
    let (bursts, more) = measure(&mut redis, args, demand, windows.runs).await?;
    counts.add(more);
    let scenarios = scenarios(&mut redis, args, &windows).await?;
    let baseline = if args.quick {
        None
    } else {
        say("the same work with a limiter for each process");
        let (connections, allowance_ms) = (args.connections, args.allowance_ms);
        Some(baseline::compare(&mut redis, connections, allowance_ms, windows.workload).await?)
    };
    say("permits as fast as they can be had");
    let (buckets, permits) = if args.quick {
        (20_000, 100_000)
    } else {
        (100_000, 300_000)
    };
    let speed = speed::measure(&redis, buckets, permits).await?;
    let of_both = [lowest(&steady), lowest(&bursts)];
    let figures = Figures {
        utilisation: of_both[0].0.min(of_both[1].0),
        // Only a steady demand takes all that can be had.
        burst_one_of_attainable: of_both[0].1,
        throttled: throttled(&steady) + throttled(&bursts),
        speed,
        seed,
        steady,
        bursts,
        machine: machine(&counts),
        scenarios,
        baseline,
    };
    if args.json {
        answer(&serde_json::to_string(&figures)?);
    } else {
        table::tables(&figures)
            .iter()
            .for_each(|table| answer(&table.to_string()));
    }
    Ok(())
}

async fn measure(
    redis: &mut PrivateRedis,
    args: &PermitsArgs,
    demand: Demand,
    window_s: f64,
) -> anyhow::Result<(Vec<Verdict>, Counts)> {
    let setup = Setup {
        sellers: args.connections,
        applications: 1,
        jitters_ms: &JITTERS_MS,
        allowance_ms: args.allowance_ms,
        pacing: Pacing::Permits,
    };
    let mut trial = Trial::prepare(redis, setup).await?;
    trial.start(demand, window_s).await?;
    trial.until(window_s).await;
    let outcome = trial.end().await?;
    let terms = Terms {
        demand,
        window_s,
        allowance_ms: args.allowance_ms,
        events: &|_| Vec::new(),
    };
    Ok((verdicts(&outcome, &terms), outcome.counts))
}

async fn scenarios(
    redis: &mut PrivateRedis,
    args: &PermitsArgs,
    windows: &Windows,
) -> anyhow::Result<Vec<ScenarioVerdict>> {
    let chosen = |scenario: &Scenario| match args.only.as_slice() {
        [] => !args.quick || *scenario == Scenario::WorkerKilled,
        words => words
            .iter()
            .any(|word| scenario.name().contains(word.as_str())),
    };
    let mut verdicts = Vec::new();
    for scenario in Scenario::ALL.into_iter().filter(chosen) {
        say(scenario.name());
        let (connections, allowance_ms) = (args.connections, args.allowance_ms);
        let run = scenario.run(redis, connections, allowance_ms, windows.scenarios);
        verdicts.push(run.await?);
    }
    Ok(verdicts)
}

fn machine(counts: &Counts) -> Machine {
    Machine {
        late_ms_p50: quantile(&counts.late_ms, 0.5),
        late_ms_p99: quantile(&counts.late_ms, 0.99),
        late_ms_max: quantile(&counts.late_ms, 1.0),
        permits_asked: counts.asked,
        permits_granted: counts.granted,
        permits_expired: counts.expired,
        permits_stopped: counts.stopped,
        failed: counts.failed,
    }
}
