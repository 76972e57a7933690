use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::folder::ServerFolder;
use crate::process_tree::ProcessTree;
use crate::start_error::blocking;
use crate::{Account, ChildOptions, ChildProcess, StartError, programs, readiness};

const READY_WITHIN: Duration = Duration::from_secs(60);
const INITDB_WITHIN: Duration = Duration::from_secs(120);
const DEFAULT_PORT: u16 = 5432;

/// How to start a private Postgres. The default: not durable, a Unix socket only, everything removed on drop.
#[derive(Debug, Clone, Default)]
pub struct PostgresOptions {
    /// Where data and log go and stay; a temporary folder if `None`. A cluster that is there already is used.
    /// When this process is root, `postgres` must be able to reach the folder.
    pub dir: Option<PathBuf>,
    /// Listens on a free TCP port of 127.0.0.1 as well.
    pub tcp: bool,
    /// `fsync` and `synchronous_commit` on, as in production; off they are faster by an order of magnitude.
    pub durable: bool,
    /// Further lines of `postgresql.conf`, for example `log_statement = all`; they win over the defaults.
    pub config: Vec<String>,
}

/// A private Postgres cluster, a child of this process. Its superuser is `postgres`; nobody has a password.
#[derive(Debug)]
pub struct PostgresServer {
    // Dropped in this order: the server ends before its folder goes.
    process: ChildProcess,
    installation: Arc<Installation>,
}

#[derive(Debug)]
struct Installation {
    folder: ServerFolder,
    programs: PathBuf,
    account: Option<Account>,
    port: u16,
    tcp: bool,
}

impl PostgresServer {
    /// Makes the cluster, starts it and waits until it takes sessions.
    ///
    /// # Errors
    /// [`StartError`]: a program is missing, or it ended or did not answer (with the end of its log).
    pub async fn start(options: PostgresOptions) -> Result<Self, StartError> {
        blocking("postgres", move || Self::start_blocking(options)).await
    }

    /// [`PostgresServer::start`] for callers without a runtime.
    ///
    /// # Errors
    /// As [`PostgresServer::start`].
    pub fn start_blocking(options: PostgresOptions) -> Result<Self, StartError> {
        let PostgresOptions {
            dir,
            tcp,
            durable,
            config,
        } = options;
        let programs = programs::postgres_folder()?;
        let account = Account::for_postgres()?;
        let port = if tcp {
            readiness::free_port()?
        } else {
            DEFAULT_PORT
        };
        let folder = ServerFolder::create(dir, account)?;
        let installation = Installation {
            folder,
            programs,
            account,
            port,
            tcp,
        };
        if !installation.data().join("PG_VERSION").exists() {
            installation.initialize()?;
        }
        installation.write_config(durable, &config)?;
        let process = installation.launch()?;
        Ok(Self {
            process,
            installation: Arc::new(installation),
        })
    }

    /// A session of the superuser on this database (`postgres` always exists), for sqlx and psql.
    pub fn admin_url(&self, database: &str) -> String {
        self.url("postgres", database)
    }

    /// `postgres://role@%2Ftmp%2F…:port/database`, over the Unix socket.
    pub fn url(&self, role: &str, database: &str) -> String {
        let socket_folder = percent_encode(&self.socket_folder().to_string_lossy());
        format!(
            "postgres://{}@{socket_folder}:{}/{}",
            percent_encode(role),
            self.installation.port,
            percent_encode(database)
        )
    }

    /// `postgres://role@127.0.0.1:port/database`, if it was started with [`PostgresOptions::tcp`].
    pub fn tcp_url(&self, role: &str, database: &str) -> Option<String> {
        let port = self.port()?;
        Some(format!(
            "postgres://{}@127.0.0.1:{port}/{}",
            percent_encode(role),
            percent_encode(database)
        ))
    }

    /// Its TCP port, if it was started with [`PostgresOptions::tcp`].
    pub fn port(&self) -> Option<u16> {
        self.installation.tcp.then_some(self.installation.port)
    }

    /// The folder with its Unix socket: `PGHOST`.
    pub fn socket_folder(&self) -> &Path {
        self.installation.folder.path()
    }

    /// The Unix socket itself.
    pub fn socket(&self) -> PathBuf {
        self.installation.socket()
    }

    /// Its log.
    pub fn log(&self) -> PathBuf {
        self.installation.log()
    }

    /// The folder with `psql`, `pg_dump` and the server's other programs.
    pub fn programs(&self) -> &Path {
        &self.installation.programs
    }

    /// The process id of the postmaster; another one after each restart.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The postmaster, to ask whether it runs.
    pub fn process(&self) -> &ChildProcess {
        &self.process
    }

    /// SIGKILL to every process of the server, as when the machine dies; [`PostgresServer::restart`] recovers.
    pub fn kill(&self) {
        let tree = self.stopped_tree();
        self.process.kill();
        tree.kill();
    }

    /// SIGSTOP to every process of the server: connections stay open and nothing answers.
    pub fn stop(&self) {
        self.stopped_tree();
    }

    /// SIGCONT to every process of the server.
    pub fn cont(&self) {
        ProcessTree::below(self.pid()).signal(Signal::SIGCONT);
        self.process.cont();
    }

    /// Kills it and starts it on the same addresses; it recovers what was committed.
    ///
    /// # Errors
    /// As [`PostgresServer::start`].
    pub async fn restart(&mut self) -> Result<(), StartError> {
        self.kill();
        let installation = Arc::clone(&self.installation);
        self.process = blocking("postgres", move || installation.launch()).await?;
        Ok(())
    }

    fn stopped_tree(&self) -> ProcessTree {
        // The postmaster first: it forks no more, so the list stays whole.
        self.process.stop();
        let tree = ProcessTree::below(self.pid());
        tree.signal(Signal::SIGSTOP);
        tree
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // Stopped backends would not follow the postmaster.
        self.cont();
    }
}

impl Installation {
    fn data(&self) -> PathBuf {
        self.folder.data().join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.data().join("postgres.log")
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join(format!(".s.PGSQL.{}", self.port))
    }

    fn initialize(&self) -> Result<(), StartError> {
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

    fn write_config(&self, durable: bool, further: &[String]) -> Result<(), StartError> {
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
            format!("synchronous_commit = {durable}"),
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

    fn launch(&self) -> Result<ChildProcess, StartError> {
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

/// For the parts of a URL: everything but letters, digits and `-_.~`.
pub(crate) fn percent_encode(text: &str) -> String {
    text.bytes()
        .fold(String::new(), |encoded, byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded + &char::from(byte).to_string()
            }
            _ => format!("{encoded}%{byte:02X}"),
        })
}
