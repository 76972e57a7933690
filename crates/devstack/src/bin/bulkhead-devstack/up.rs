use std::process::ExitCode;

use anyhow::Result;
use bulkhead_devstack::fleet::{Fleet, FleetOptions, Night};

use crate::{
    demo::{crew::Crew, say},
    stack,
    terminal::Interruptions,
};

/// Start the whole fleet with onboarded sellers on private servers, and keep it up until Ctrl-C.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Connections; one tenant has three times as many as each of the five others.
    #[arg(long, default_value_t = 24, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=2_000))]
    sellers: u32,
    /// Orders of each seller.
    #[arg(long, default_value_t = 2_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200_000))]
    orders: u32,
    /// Seed of the simulated data.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many times as fast Amazon's time runs: usage plans, tokens, orders.
    #[arg(long, default_value_t = 100.0, value_name = "X")]
    time_scale: f64,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    let mut interruptions = Interruptions::listen()?;
    tokio::select! {
        started = start(&args) => {
            let (fleet, crew) = started?;
            stack::explain(&fleet, &crew)?;
            interruptions.next().await;
            stack::forget();
            Ok(ExitCode::SUCCESS)
        }
        _ = interruptions.next() => Ok(ExitCode::from(130)),
    }
}

async fn start(args: &Args) -> Result<(Fleet, Crew)> {
    say("starting Redis, Postgres and a simulated Amazon");
    let fleet = Fleet::start(FleetOptions {
        sellers: args.sellers,
        orders: args.orders,
        seed: args.seed,
        time_scale: args.time_scale,
        durable: true,
        ..Default::default()
    })
    .await?;
    say("starting a scheduler, two sync workers and a token worker");
    let crew = Crew::start(&fleet).await?;
    say(&format!(
        "onboarding {} sellers through the command line",
        args.sellers
    ));
    fleet.onboard(&Night::Default).await?;
    Ok((fleet, crew))
}
