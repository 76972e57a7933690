//! `broker-bench report`: every measurement, and what was asked of it.

use comfy_table::{Table, presets};
use serde::Serialize;

use crate::{
    crash, drain, fairness, floor, latency, memory,
    queue::{answer, say},
    redis_server::PrivateRedis,
    sample::{count_f64, median, per_s, quantile},
    series::{self, Point},
};

#[derive(clap::Args)]
pub(crate) struct ReportArgs {
    /// One JSON object on standard output instead of a table.
    #[arg(long)]
    json: bool,
    /// Jobs of one run of the throughput measurements.
    #[arg(long, default_value_t = 100_000)]
    jobs: usize,
    /// Runs of each measurement that is a ratio; the median counts.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Jobs of the worker process at a time.
    #[arg(long, default_value_t = 1024)]
    concurrency: usize,
    /// Leave out the killed workers, the million jobs and the series.
    #[arg(long)]
    quick: bool,
}

/// Connections of the throughput measurements; ten of them make a tenant.
const LANES: usize = 1_000;

#[derive(Serialize, Default)]
struct Figures {
    floor_drain_per_s: f64,
    floor_enqueue_per_s: f64,
    drain_per_s: f64,
    drain_ratio: f64,
    enqueue_per_s: f64,
    enqueue_ratio: f64,
    start_ms_p50: f64,
    start_ms_p99: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_per_job: Option<f64>,
    redis_us_per_job: f64,
    redis_us_per_enqueue: f64,
    redis_us_per_drain: f64,
    fairness_ratio: f64,
    quiet_alone_ms: f64,
    quiet_behind_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rerun_s: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rerun_each_s: Vec<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    choose_us_by_lanes: Vec<Point>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    acknowledge_us_by_in_flight: Vec<Point>,
}

pub(crate) async fn run(args: &ReportArgs) -> anyhow::Result<()> {
    let redis = PrivateRedis::start().await?;
    let mut figures = Figures::default();
    throughput(&redis, args, &mut figures).await?;
    waits(&redis, args, &mut figures).await?;
    if !args.quick {
        growth(&redis, &mut figures).await?;
        say("a million jobs");
        redis.flush().await?;
        figures.bytes_per_job = Some(memory::measure(&redis, 1_000_000, 10_000).await?);
        say("three workers killed in a row");
        redis.flush().await?;
        let rerun = crash::measure(&redis).await?;
        figures.rerun_s = Some(quantile(&rerun.seconds, 1.0));
        figures.rerun_each_s = rerun.seconds;
        figures.lost = Some(rerun.lost);
    }
    if args.json {
        answer(&serde_json::to_string(&figures)?);
    } else {
        answer(&table(&figures).to_string());
        series_table(&figures)
            .iter()
            .for_each(|table| answer(&table.to_string()));
    }
    Ok(())
}

/// Floor and path by turns, so that a machine that slows down slows both.
async fn throughput(
    redis: &PrivateRedis,
    args: &ReportArgs,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let (mut floors, mut paths) = (Vec::new(), Vec::new());
    for run in 1..=args.runs {
        say(&format!("throughput, run {run} of {}", args.runs));
        redis.flush().await?;
        floors.push(floor::measure(redis, args.jobs).await?);
        redis.flush().await?;
        paths.push(drain::measure(redis, args.jobs, LANES, args.concurrency).await?);
    }
    let rates = |seconds: Vec<f64>| {
        median(
            &seconds
                .iter()
                .map(|s| per_s(args.jobs, *s))
                .collect::<Vec<_>>(),
        )
    };
    figures.floor_drain_per_s = rates(floors.iter().map(|one| one.drain_s).collect());
    figures.floor_enqueue_per_s = rates(floors.iter().map(|one| one.enqueue_s).collect());
    figures.drain_per_s = rates(paths.iter().map(|one| one.drain_s).collect());
    figures.enqueue_per_s = rates(paths.iter().map(|one| one.enqueue_s).collect());
    let pairs = || floors.iter().zip(&paths);
    let drains: Vec<_> = pairs()
        .map(|(floor, path)| floor.drain_s / path.drain_s)
        .collect();
    let enqueues: Vec<_> = pairs()
        .map(|(floor, path)| floor.enqueue_s / path.enqueue_s)
        .collect();
    figures.drain_ratio = median(&drains);
    figures.enqueue_ratio = median(&enqueues);
    let us = |seconds: Vec<f64>| 1e6 * median(&seconds) / count_f64(args.jobs);
    figures.redis_us_per_enqueue = us(paths.iter().map(|one| one.redis_enqueue_s).collect());
    figures.redis_us_per_drain = us(paths.iter().map(|one| one.redis_drain_s).collect());
    figures.redis_us_per_job = figures.redis_us_per_enqueue + figures.redis_us_per_drain;
    Ok(())
}

async fn waits(
    redis: &PrivateRedis,
    args: &ReportArgs,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    say("starts on an idle worker");
    redis.flush().await?;
    let starts = latency::measure(redis, 1_000).await?;
    figures.start_ms_p50 = median(&starts);
    figures.start_ms_p99 = quantile(&starts, 0.99);
    let mut fairness = Vec::new();
    for run in 1..=args.runs {
        say(&format!("fairness, run {run} of {}", args.runs));
        redis.flush().await?;
        fairness.push(fairness::measure(redis, 50_000).await?);
    }
    let ratios: Vec<_> = fairness
        .iter()
        .map(|one| one.behind_ms / one.alone_ms)
        .collect();
    figures.fairness_ratio = median(&ratios);
    figures.quiet_alone_ms = median(&fairness.iter().map(|one| one.alone_ms).collect::<Vec<_>>());
    figures.quiet_behind_ms = median(&fairness.iter().map(|one| one.behind_ms).collect::<Vec<_>>());
    Ok(())
}

async fn growth(redis: &PrivateRedis, figures: &mut Figures) -> anyhow::Result<()> {
    for lanes in [100, 1_000, 10_000, 100_000] {
        say(&format!("choosing among {lanes} lanes"));
        figures
            .choose_us_by_lanes
            .push(series::choose(redis, lanes).await?);
    }
    for in_flight in [1_000, 10_000, 100_000] {
        say(&format!("acknowledging among {in_flight} in flight"));
        let point = series::acknowledge_among(redis, in_flight).await?;
        figures.acknowledge_us_by_in_flight.push(point);
    }
    Ok(())
}

fn table(figures: &Figures) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(["figure", "measured", "asked"]);
    let whole = |value: f64| format!("{value:.0}");
    let fine = |value: f64| format!("{value:.2}");
    let rows = [
        ("floor_drain_per_s", whole(figures.floor_drain_per_s), ""),
        (
            "floor_enqueue_per_s",
            whole(figures.floor_enqueue_per_s),
            "",
        ),
        ("drain_per_s", whole(figures.drain_per_s), ""),
        ("drain_ratio", fine(figures.drain_ratio), "≥ 0.5"),
        ("enqueue_per_s", whole(figures.enqueue_per_s), ""),
        ("enqueue_ratio", fine(figures.enqueue_ratio), "≥ 0.7"),
        ("start_ms_p50", fine(figures.start_ms_p50), "< 1"),
        ("start_ms_p99", fine(figures.start_ms_p99), "< 5"),
        ("redis_us_per_job", fine(figures.redis_us_per_job), "≤ 10"),
        ("  of it enqueue", fine(figures.redis_us_per_enqueue), ""),
        ("  of it drain", fine(figures.redis_us_per_drain), ""),
        ("fairness_ratio", fine(figures.fairness_ratio), "≤ 2"),
        ("  quiet alone, ms", fine(figures.quiet_alone_ms), ""),
        ("  quiet behind, ms", fine(figures.quiet_behind_ms), ""),
    ];
    table.add_rows(
        rows.map(|(name, measured, asked)| [name.to_owned(), measured, asked.to_owned()]),
    );
    let further = [
        ("bytes_per_job", figures.bytes_per_job.map(whole), "≤ 250"),
        ("rerun_s", figures.rerun_s.map(fine), "≤ 15"),
        ("lost", figures.lost.map(|lost| lost.to_string()), "0"),
    ];
    for (name, measured, asked) in further {
        if let Some(measured) = measured {
            table.add_row([name.to_owned(), measured, asked.to_owned()]);
        }
    }
    table
}

fn series_table(figures: &Figures) -> Vec<Table> {
    let series = [
        ("lanes", "choose one job, µs", &figures.choose_us_by_lanes),
        (
            "in flight",
            "acknowledge 64, µs",
            &figures.acknowledge_us_by_in_flight,
        ),
    ];
    let shown = series
        .into_iter()
        .filter(|(_, _, points)| !points.is_empty());
    shown
        .map(|(size, cost, points)| {
            let mut table = Table::new();
            table
                .load_style(presets::UTF8_BORDERS_ONLY)
                .set_header([size, cost]);
            for point in points {
                table.add_row([point.size.to_string(), format!("{:.0}", point.median_us)]);
            }
            table
        })
        .collect()
}
