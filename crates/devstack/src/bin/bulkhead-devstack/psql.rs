use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::Context;
use bulkhead_devstack::{StackState, psql};

/// Open a SQL shell on the dev stack that is up, as its superuser.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Arguments for psql, for example `-c 'select 1'`.
    #[arg(last = true)]
    arguments: Vec<OsString>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let state = StackState::read()?;
    let program = psql()?;
    let error = Command::new(&program)
        .arg(state.postgres_url)
        .args(&args.arguments)
        .exec();
    Err(error).with_context(|| format!("run {}", program.display()))
}
