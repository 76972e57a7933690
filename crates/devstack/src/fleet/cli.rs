//! The command line `bulkhead`, run as an operator would run it.

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;

use super::{Fleet, member::program};

/// Runs `bulkhead` with the fleet's configuration.
#[derive(Debug, Clone, Copy)]
pub struct Cli<'a> {
    fleet: &'a Fleet,
    superuser: bool,
}

impl<'a> Cli<'a> {
    pub(super) const fn new(fleet: &'a Fleet) -> Self {
        Self {
            fleet,
            superuser: false,
        }
    }

    /// With the superuser's URL, which migrating needs.
    #[must_use]
    pub const fn as_superuser(self) -> Self {
        Self {
            fleet: self.fleet,
            superuser: true,
        }
    }

    /// Runs a command that must succeed; gives its standard output.
    ///
    /// # Errors
    /// With what it printed, if it fails.
    pub async fn run(&self, arguments: &[&str]) -> Result<String> {
        self.run_with_input(arguments, "").await
    }

    /// The same with `input` on standard input, which is how secrets are given.
    ///
    /// # Errors
    /// With what it printed, if it fails.
    pub async fn run_with_input(&self, arguments: &[&str], input: &str) -> Result<String> {
        let output = self.output(arguments, input).await?;
        let command = arguments.join(" ");
        anyhow::ensure!(
            output.status.success(),
            "bulkhead {command}: {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
        String::from_utf8(output.stdout).with_context(|| format!("bulkhead {command}: output"))
    }

    /// Runs a command with `--json` and reads what it prints.
    ///
    /// # Errors
    /// If it fails or prints something else.
    pub async fn json<T: DeserializeOwned>(&self, arguments: &[&str]) -> Result<T> {
        let arguments = [&["--json"], arguments].concat();
        let text = self.run(&arguments).await?;
        serde_json::from_str(&text).with_context(|| format!("read the output of {arguments:?}"))
    }

    /// Runs a command, whatever comes of it.
    ///
    /// # Errors
    /// If it cannot be run.
    pub async fn output(&self, arguments: &[&str], input: &str) -> Result<Output> {
        let mut command = self.command()?;
        command.args(arguments);
        let input = input.to_owned();
        let output = tokio::task::spawn_blocking(move || -> Result<Output> {
            let mut child = command.spawn().context("run bulkhead")?;
            if let Some(mut stdin) = child.stdin.take() {
                // A command that needs no input may have ended already.
                let _closed = stdin.write_all(input.as_bytes());
            }
            Ok(child.wait_with_output()?)
        });
        output.await?
    }

    fn command(&self) -> Result<Command> {
        let url = if self.superuser {
            self.fleet.admin_url()
        } else {
            self.fleet.role_url("bulkhead_operator")
        };
        let mut command = Command::new(program("bulkhead")?);
        command
            .arg("--config")
            .arg(self.fleet.configuration())
            .env("BULKHEAD_POSTGRES__URL", url)
            .env("BULKHEAD_REDIS__URL", self.fleet.redis_url("operator"))
            .env("BULKHEAD_VAULT__KEYRING", self.fleet.keyring("cli"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(command)
    }
}
