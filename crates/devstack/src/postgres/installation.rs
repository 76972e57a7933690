use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::folder::ServerFolder;
use crate::{Account, ChildOptions, ChildProcess, StartError, readiness};

const READY_WITHIN: Duration = Duration::from_secs(60);
const INITDB_WITHIN: Duration = Duration::from_secs(120);

/// One cluster on disk, and the programs that serve it.
#[derive(Debug)]
pub(super) struct Installation {
    pub(super) folder: ServerFolder,
    pub(super) programs: PathBuf,
    pub(super) account: Option<Account>,
    pub(super) port: u16,
    pub(super) tcp: bool,
}

impl Installation {
    pub(super) fn data(&self) -> PathBuf {
        self.folder.data().join("data")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.data().join("postgres.log")
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.folder.path().join(format!(".s.PGSQL.{}", self.port))
    }

    pub(super) fn initialize(&self) -> Result<(), StartError> {
        let mut command = self.command("initdb");
        command.args([
            "--auth=trust",
            "--username=postgres",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ]);
        command.arg("--pgdata").arg(self.data());
        let options = ChildOptions::new("initdb", command)
            .log_to(self.log())
            .run_as(self.account);
        let initdb = ChildProcess::spawn(options)?;
        match initdb.wait_blocking(INITDB_WITHIN) {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(initdb.ended(status)),
            None => Err(initdb.not_ready(INITDB_WITHIN)),
        }
    }

    pub(super) fn write_config(&self, durable: bool, further: &[String]) -> Result<(), StartError> {
        let durable = if durable { "on" } else { "off" };
        let lines = [
            format!(
                "unix_socket_directories = '{}'",
                self.folder.path().display()
            ),
            "unix_socket_permissions = 0700".into(),
            format!(
                "listen_addresses = '{}'",
                if self.tcp { "127.0.0.1" } else { "" }
            ),
            format!("port = {}", self.port),
            "max_connections = 200".into(),
            "max_locks_per_transaction = 256".into(),
            format!("fsync = {durable}"),
            // Also when it is not durable: what was committed survives the death of the server's
            // processes, if not of the machine, and tests of crashes mean what they say.
            "synchronous_commit = on".into(),
            format!("full_page_writes = {durable}"),
            "logging_collector = off".into(),
            "log_line_prefix = '%m [%p] %u@%d '".into(),
            "timezone = 'UTC'".into(),
        ];
        let text = lines
            .iter()
            .chain(further)
            .fold(String::new(), |text, line| text + line + "\n");
        // The last setting of a name counts, and this file is read last.
        std::fs::write(self.data().join("postgresql.auto.conf"), text)
            .map_err(StartError::prepare("postgresql.auto.conf"))
    }

    pub(super) fn launch(&self) -> Result<ChildProcess, StartError> {
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data());
        // SIGQUIT: the postmaster takes its children with it at once, and needs no checkpoint.
        let options = ChildOptions::new("postgres", command)
            .log_to(self.log())
            .run_as(self.account)
            .end_with(Signal::SIGQUIT);
        let process = ChildProcess::spawn(options)?;
        let socket = self.socket();
        readiness::wait_until_ready(&process, READY_WITHIN, || {
            readiness::postgres_accepts(&socket)
        })?;
        Ok(process)
    }

    /// In a folder that its account may enter, without the caller's `PG…` variables.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command
            .current_dir(self.folder.path())
            .env_clear()
            .env("LC_ALL", "C");
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command
    }
}
