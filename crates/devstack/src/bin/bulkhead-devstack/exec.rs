use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, ExitStatus};
use std::time::Duration;

use bulkhead_devstack::{
    ChildOptions, ChildProcess, Cluster, PostgresOptions, PostgresServer, Signal, TEST_POSTGRES,
};

use crate::terminal::Interruptions;

/// Run a command with a private Postgres cluster for its tests (in BULKHEAD_TEST_POSTGRES).
///
/// A cluster that the environment names already is used instead. Ends with the command's exit code.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The command and its arguments.
    #[arg(required = true, last = true)]
    command: Vec<OsString>,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut interruptions = Interruptions::listen()?;
    let server = match std::env::var(TEST_POSTGRES) {
        // Say now, not in every test, that it is no URL.
        Ok(url) => Cluster::at(&url).map(|_| None)?,
        Err(_) => Some(PostgresServer::start(PostgresOptions::default()).await?),
    };
    let mut words = args.command.into_iter();
    let program = words.next().unwrap_or_default();
    let mut command = Command::new(&program);
    command.args(words);
    command.envs(
        server
            .as_ref()
            .map(|server| (TEST_POSTGRES, server.admin_url("postgres"))),
    );
    let name = program.to_string_lossy();
    let child = ChildProcess::spawn(ChildOptions::new(name, command).share_terminal())?;
    Ok(exit_code(wait(&child, &mut interruptions).await))
}

async fn wait(child: &ChildProcess, interruptions: &mut Interruptions) -> ExitStatus {
    const LOOK_AGAIN: Duration = Duration::from_secs(3600);
    loop {
        tokio::select! {
            ended = child.wait(LOOK_AGAIN) => if let Some(status) = ended { return status },
            // Ctrl-C reaches the command by itself: it is in the terminal's group, as we are.
            signal = interruptions.next() => if signal == Signal::SIGTERM { child.terminate() },
        }
    }
}

/// As a shell would report it: 128 and the signal for a command that was killed.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status
        .code()
        .or_else(|| Some(128 + status.signal()?))
        .unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
