//! The command line as a whole.

use bulkhead_service::Shell;

use crate::{actor, command::Command, exit, output::Output, session::Session};

/// A command, and the flags that all commands share.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::EXPLAINED)]
pub struct Cli {
    /// Answer with one JSON document on standard output, for scripts
    #[arg(long, global = true, help_heading = "Answers and audit")]
    json: bool,

    /// Who you are, for the audit log; otherwise user@host
    #[arg(long, global = true, help_heading = "Answers and audit", env = "BULKHEAD_ACTOR", value_name = "NAME", value_parser = actor::named)]
    actor: Option<String>,

    #[command(subcommand)]
    command: Option<Command>,
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// Why it failed; [`exit::fail`] makes an exit code of it.
    pub async fn run(self, shell: &Shell) -> anyhow::Result<()> {
        let mut session = Session::new(shell, Output::standard(self.json), self.actor);
        let command = self.command.ok_or_else(missing)?;
        tokio::select! {
            done = command.run(&mut session) => done,
            () = shell.drain.cancelled() => Err(anyhow::anyhow!("interrupted: what was committed before stays")),
        }
    }
}

fn missing() -> bulkhead_service::StartError {
    bulkhead_service::StartError::refused("which command? `bulkhead --help` lists them")
}
