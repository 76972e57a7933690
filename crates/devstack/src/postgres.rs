mod installation;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::sys::signal::Signal;

use self::installation::Installation;
use crate::folder::ServerFolder;
use crate::process_tree::ProcessTree;
use crate::start_error::blocking;
use crate::{Account, ChildProcess, StartError, programs, readiness};

const DEFAULT_PORT: u16 = 5432;

/// How to start a private Postgres. The default: not durable, a Unix socket only, everything
/// removed on drop.
#[derive(Debug, Clone, Default)]
pub struct PostgresOptions {
    /// Where data and log go and stay; a temporary folder if `None`. A cluster that is there
    /// already is used. When this process is root, `postgres` must be able to reach the folder.
    pub dir: Option<PathBuf>,
    /// Listens on a free TCP port of 127.0.0.1 as well.
    pub tcp: bool,
    /// `fsync` on, as in production. Off, commits survive a kill of the server but not of the
    /// machine, and everything is faster by an order of magnitude.
    pub durable: bool,
    /// Further lines of `postgresql.conf`, for example `log_statement = all`; they win over the
    /// defaults.
    pub config: Vec<String>,
}

/// A private Postgres cluster, a child of this process. Its superuser is `postgres`; nobody has a
/// password.
#[derive(Debug)]
pub struct PostgresServer {
    // Dropped in this order: the server ends before its folder goes.
    process: ChildProcess,
    installation: Arc<Installation>,
}

impl PostgresServer {
    /// Makes the cluster, starts it and waits until it takes sessions.
    ///
    /// # Errors
    /// [`StartError`]: a program is missing, or it ended or did not answer (with the end of its
    /// log).
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

    /// SIGKILL to every process of the server, as when the machine dies;
    /// [`PostgresServer::restart`] recovers.
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
