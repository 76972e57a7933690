use std::process::ExitCode;

use anyhow::Result;
use bulkhead_devstack::fleet::{Fleet, Night};

use crate::{
    demo::{crew::Crew, say},
    size::Size,
    stack,
    terminal::Interruptions,
};

/// Start the whole fleet with onboarded sellers on private servers, and keep it up until Ctrl-C.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    size: Size,
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
    let fleet = Fleet::start(args.size.options()).await?;
    say("starting a scheduler, two sync workers and a token worker");
    let crew = Crew::start(&fleet).await?;
    say(&format!(
        "onboarding {} sellers through the command line",
        args.size.sellers
    ));
    fleet.onboard(&Night::Default).await?;
    Ok((fleet, crew))
}
