use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::Context;
use bulkhead_devstack::{StackState, redis_cli};

/// Open a Redis shell on the dev stack that is up.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Arguments for redis-cli, for example `dbsize`.
    #[arg(last = true)]
    arguments: Vec<OsString>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let state = StackState::read()?;
    let program = redis_cli()?;
    let mut command = Command::new(&program);
    match state.redis_url.strip_prefix("redis+unix://") {
        Some(rest) => {
            let (socket, login) = rest.split_once('?').unwrap_or((rest, ""));
            for (key, value) in url::form_urlencoded::parse(login.as_bytes()) {
                match key.as_ref() {
                    "user" => command.arg("--user").arg(value.as_ref()),
                    // Not as an argument, which everybody on this machine could read.
                    _ => command.env("REDISCLI_AUTH", value.as_ref()),
                };
            }
            command.arg("-s").arg(socket)
        }
        // Of a cluster's nodes it follows what one says of another.
        None => command.arg("-c").arg("-u").arg(&state.redis_url),
    };
    let error = command.args(&args.arguments).exec();
    Err(error).with_context(|| format!("run {}", program.display()))
}
