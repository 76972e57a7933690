//! `amazon-simulator`: the simulator as a program.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Context;
use bulkhead_simulator::{Options, Simulator};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

/// Amazon over HTTP, for development and tests.
///
/// Answers for Login with Amazon, Sellers, Orders (2026-01-01 and v0), Restricted Data Tokens and
/// Reports as Amazon documents them: usage plans, paging, token lifetimes, errors. When it answers,
/// it prints one JSON line with base URLs, client id and secret, seller ids and refresh tokens.
#[derive(Debug, Parser)]
#[command(name = "amazon-simulator", version, after_long_help = CONTROLS)]
struct Cli {
    #[command(flatten)]
    options: Options,
}

const CONTROLS: &str = "\
Controls, all JSON, under CONTROL_URL (the ready line's control_url):
  GET    requests?after=SEQ&operation=&seller=&limit=   the log; arrival in unix microseconds
  GET    counts                    requests, 429s, token refreshes, orders served
  GET    served/SELLER             every order that a complete answer contained
  GET    orders/SELLER             every order that exists now
  POST   faults                    {\"kind\": \"throttle|throttle_application|500|
                                     503html|timeout|hold|reset|truncate|
                                     expire_tokens|revoke\", \"operation\": \"searchOrders\",
                                     \"seller_id\": …, \"after\": 2, \"count\": 3, \"probability\": 0.5}
                                   all but kind optional; without count: until deleted
  DELETE faults                    ends all faults and revocations, answers what was held
  POST   plans                     {\"operation\": \"searchOrders\", \"rate_per_s\": 0.0028, \"burst\": 20,
                                     \"announced\": false}: another plan from now on; without
                                     false the header says so
  POST   clock/advance             {\"ms\": 3600000}
  POST   orders/arrive             {\"seller_id\": …, \"count\": 10}
  POST   authorize                 {\"seller_id\": …}: a code for grant_type=authorization_code;
                                     \"client_id\": another application than its own

Example: one seller, a night's paging in seconds:
  amazon-simulator --listen 127.0.0.1:9010 --sellers 1 --orders 5000 --time-scale 1000

Exit status: 0 ended by SIGTERM or SIGINT, 1 failed, 2 wrong arguments.";

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse().options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing more can be said if standard error is closed.
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    let running = Simulator::start(options).await?;
    print_line(&serde_json::to_string(&running.ready)?)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    running.shutdown().await;
    Ok(())
}

fn print_line(line: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}
