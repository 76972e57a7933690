use std::{
    io::IsTerminal,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use bulkhead_devstack::fleet::{Fleet, Night};
use sqlx::PgPool;

use crate::{
    demo::{
        audit::Audit,
        crew::Crew,
        progress::{Progress, View},
        summary::Summary,
    },
    size::Size,
    stack,
    terminal::Interruptions,
};

pub(crate) mod audit;
pub(crate) mod crew;
pub(crate) mod progress;
pub(crate) mod summary;

/// How long after the fleet is ready the night begins, and over how long its syncs are spread.
const NIGHT_BEGINS_AFTER: Duration = Duration::from_secs(3);
const NIGHT_WINDOW: &str = "5s";

/// A night that takes longer has gone wrong.
const NIGHT_ENDS_WITHIN: Duration = Duration::from_secs(900);

/// Between two looks at the progress.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// When a worker is killed, as a share of the orders.
const KILLED_AT: f64 = 0.4;

/// Run the night of some sellers on private servers and a simulated Amazon, kill a worker in the middle, and check
/// that nothing was lost.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    size: Size,
    /// Print the summary as one JSON object on standard output.
    #[arg(long)]
    json: bool,
    /// Leave everything up after the night, until Ctrl-C, and say how to look around.
    #[arg(long)]
    keep: bool,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    let mut interruptions = Interruptions::listen()?;
    tokio::select! {
        ended = night(&args) => {
            let (fleet, crew, code) = ended?;
            if args.keep {
                stack::explain(&fleet, &crew)?;
                interruptions.next().await;
                stack::forget();
            }
            Ok(code)
        }
        _ = interruptions.next() => {
            eprintln!("interrupted");
            Ok(ExitCode::from(130))
        }
    }
}

async fn night(args: &Args) -> Result<(Fleet, Crew, ExitCode)> {
    say("starting Redis, Postgres and a simulated Amazon");
    let fleet = Fleet::start(args.size.options()).await?;
    say("starting a scheduler, two sync workers and a token worker");
    let mut crew = Crew::start(&fleet).await?;

    say(&format!(
        "onboarding {} sellers through the command line",
        args.size.sellers
    ));
    let onboarding = Instant::now();
    let time = begins(onboarding_estimate(args.size.sellers));
    let window = NIGHT_WINDOW.to_owned();
    let onboarded = fleet.onboard(&Night::At { time, window }).await?;
    let connections = onboarded.connections();
    say(&format!(
        "{} connections of {} tenants in {:.1} s; their night begins in a few seconds",
        connections,
        onboarded.tenants.len(),
        onboarding.elapsed().as_secs_f64()
    ));

    let pool = PgPool::connect(&fleet.admin_url())
        .await
        .context("connect to Postgres")?;
    let started = Instant::now();
    let goal = u64::from(args.size.orders);
    let mut view = View::new(goal, std::io::stderr().is_terminal());
    watch(&fleet, &mut crew, &pool, &mut view, connections, goal).await?;
    view.finish();
    let seconds = started.elapsed().as_secs_f64();

    say("checking the rows against what the simulator served");
    let audit = Audit::of(&fleet, &pool, &onboarded).await?;
    let reruns = crew.reruns().await?;
    let summary = Summary::new(&onboarded, &audit, reruns, seconds);
    if args.json {
        println!("{}", serde_json::to_string(&summary)?);
    }
    summary.print_for_people();
    let code = if summary.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    };
    Ok((fleet, crew, code))
}

/// Follows the night to its end, killing a worker on the way.
async fn watch(
    fleet: &Fleet,
    crew: &mut Crew,
    pool: &PgPool,
    view: &mut View,
    connections: usize,
    goal: u64,
) -> Result<()> {
    let started = Instant::now();
    loop {
        let progress = Progress::of(pool).await?;
        view.show(&progress);
        if progress.failed() > 0 {
            bail!(
                "{} syncs of the night were given up; logs: {}",
                progress.failed(),
                fleet.folder.display()
            );
        }
        if progress.done() >= connections as u64 {
            return Ok(());
        }
        let expected = goal.saturating_mul(connections as u64).max(1);
        #[allow(
            clippy::cast_precision_loss,
            reason = "a share for a decision, not a figure"
        )]
        let share = progress.orders() as f64 / expected as f64;
        if share >= KILLED_AT && crew.can_kill() {
            let message = crew.kill_one(fleet).await?;
            view.note(&message);
        }
        crew.check()?;
        if started.elapsed() > NIGHT_ENDS_WITHIN {
            bail!(
                "the night did not end within {} s",
                NIGHT_ENDS_WITHIN.as_secs()
            );
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// The UTC time of day at which the night begins, `HH:MM:SS`.
fn begins(after: Duration) -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let seconds = (now + after).as_secs() % 86_400;
    format!(
        "{:02}:{:02}:{:02}",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// One command a seller; a night that begins a little early or late is no harm.
fn onboarding_estimate(sellers: u32) -> Duration {
    NIGHT_BEGINS_AFTER + Duration::from_millis(50) * sellers
}

pub(crate) fn say(message: &str) {
    eprintln!("{message}");
}
