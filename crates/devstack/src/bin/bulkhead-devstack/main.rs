//! `bulkhead-devstack`: private servers for development and tests. One file per subcommand.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool"
)]

mod demo;
mod exec;
mod psql;
mod redis;
mod servers;
mod size;
mod stack;
mod terminal;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Private Redis and Postgres servers for development; they end with this command.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Up(up::Args),
    Exec(exec::Args),
    Psql(psql::Args),
    Redis(redis::Args),
    Servers(servers::Args),
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse().command).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo(args) => demo::run(args).await,
        Command::Up(args) => up::run(args).await,
        Command::Exec(args) => exec::run(args).await,
        Command::Psql(args) => psql::run(&args),
        Command::Redis(args) => redis::run(&args),
        Command::Servers(args) => servers::run(args).await,
    }
}
