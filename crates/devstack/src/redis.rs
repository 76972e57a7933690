use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::folder::ServerFolder;
use crate::start_error::blocking;
use crate::{ChildOptions, ChildProcess, RedisUser, StartError, programs, readiness};

const READY_WITHIN: Duration = Duration::from_secs(30);

/// How to start a private Redis. The default: nothing persisted, a Unix socket only, everything
/// removed on drop.
#[derive(Debug, Clone, Default)]
pub struct RedisOptions {
    /// Where data and log go and stay; a temporary folder if `None`.
    pub dir: Option<PathBuf>,
    /// Listens on a free TCP port of 127.0.0.1 as well.
    pub tcp: bool,
    /// Further lines of `redis.conf`, for example `maxmemory 100mb`; they win over the defaults.
    pub config: Vec<String>,
    /// Logins. If there are any, nobody gets in without one.
    pub users: Vec<RedisUser>,
}

/// A private Redis, a child of this process.
#[derive(Debug)]
pub struct RedisServer {
    // Dropped in this order: the server ends before its folder goes.
    process: ChildProcess,
    folder: Arc<ServerFolder>,
    program: PathBuf,
    port: Option<u16>,
    /// For commands, if there are logins.
    admin: Option<RedisUser>,
}

impl RedisServer {
    /// Starts it and waits, up to 30 s, until it answers.
    ///
    /// # Errors
    /// [`StartError`]: the program is missing, or it ended or did not answer (with the end of its
    /// log).
    pub async fn start(options: RedisOptions) -> Result<Self, StartError> {
        blocking("redis", move || Self::start_blocking(options)).await
    }

    /// [`RedisServer::start`] for callers without a runtime.
    ///
    /// # Errors
    /// As [`RedisServer::start`].
    pub fn start_blocking(options: RedisOptions) -> Result<Self, StartError> {
        let program = programs::redis_server()?;
        let port = options.tcp.then(readiness::free_port).transpose()?;
        let folder = Arc::new(ServerFolder::create(options.dir, None)?);
        let admin = (!options.users.is_empty()).then(RedisUser::admin);
        let mut config = options.config;
        if let Some(admin) = &admin {
            config.push("user default off".into());
            config.extend(options.users.iter().chain([admin]).map(RedisUser::line));
        }
        write_config(&folder, port, &config)?;
        let process = launch(&program, &folder, admin.as_ref())?;
        Ok(Self {
            process,
            folder,
            program,
            port,
            admin,
        })
    }

    /// `redis+unix:///tmp/…/redis.sock`, of whoever may do everything.
    pub fn url(&self) -> String {
        match &self.admin {
            Some(admin) => self.url_of(admin),
            None => self.url_without_login(),
        }
    }

    /// The same of one of [`RedisOptions::users`].
    pub fn url_of(&self, user: &RedisUser) -> String {
        let url = self.url_without_login();
        format!("{url}?user={}&pass={}", user.name(), user.password())
    }

    /// The same without a login.
    pub fn url_without_login(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// `redis://127.0.0.1:port`, of whoever may do everything, if it was started with [`RedisOptions::tcp`].
    pub fn tcp_url(&self) -> Option<String> {
        match &self.admin {
            Some(admin) => self.tcp_url_of(admin),
            None => self.port.map(|port| format!("redis://127.0.0.1:{port}")),
        }
    }

    /// The same of one of [`RedisOptions::users`].
    pub fn tcp_url_of(&self, user: &RedisUser) -> Option<String> {
        let login = format!("{}:{}", user.name(), user.password());
        self.port
            .map(|port| format!("redis://{login}@127.0.0.1:{port}"))
    }

    /// Who may do everything, if there are logins.
    pub(crate) fn admin(&self) -> Option<&RedisUser> {
        self.admin.as_ref()
    }

    /// Its Unix socket.
    pub fn socket(&self) -> PathBuf {
        socket(&self.folder)
    }

    /// Its TCP port, if it was started with [`RedisOptions::tcp`].
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Its log.
    pub fn log(&self) -> PathBuf {
        self.folder.data().join("redis.log")
    }

    /// Its process id; another one after each restart.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its process, to ask whether it runs or to signal it.
    pub fn process(&self) -> &ChildProcess {
        &self.process
    }

    /// SIGKILL: connections break, new ones are refused until [`RedisServer::restart`].
    pub fn kill(&self) {
        self.process.kill();
    }

    /// SIGSTOP: connections stay open and nothing answers.
    pub fn stop(&self) {
        self.process.stop();
    }

    /// SIGCONT: what waited is answered.
    pub fn cont(&self) {
        self.process.cont();
    }

    /// Removes every key; blocks until it is done.
    ///
    /// # Errors
    /// The server does not answer or refuses.
    pub fn flush(&self) -> io::Result<()> {
        match self.command("FLUSHALL")?.as_str() {
            "+OK" => Ok(()),
            refused => Err(io::Error::other(refused.to_owned())),
        }
    }

    /// Sends one inline command and returns the first line of the raw answer (`+OK`, `:3`, `-ERR
    /// …`); blocks.
    ///
    /// # Errors
    /// The server does not answer within 5 s.
    pub fn command(&self, command: &str) -> io::Result<String> {
        readiness::redis_command(&self.socket(), self.admin.as_ref(), command)
    }

    /// Kills it and starts it on the same addresses with what it had persisted: nothing, by
    /// default.
    ///
    /// # Errors
    /// As [`RedisServer::start`].
    pub async fn restart(&mut self) -> Result<(), StartError> {
        self.process.kill();
        let (program, folder) = (self.program.clone(), Arc::clone(&self.folder));
        let admin = self.admin.clone();
        let launched = blocking("redis", move || launch(&program, &folder, admin.as_ref()));
        self.process = launched.await?;
        Ok(())
    }

    /// Kills it and starts it on the same addresses with nothing in it, whatever it had persisted.
    ///
    /// # Errors
    /// As [`RedisServer::start`].
    pub async fn restart_empty(&mut self) -> Result<(), StartError> {
        self.process.kill();
        remove_persisted(self.folder.data())
            .map_err(StartError::prepare("an empty Redis folder"))?;
        self.restart().await
    }
}

fn socket(folder: &ServerFolder) -> PathBuf {
    folder.path().join("redis.sock")
}

fn write_config(
    folder: &ServerFolder,
    port: Option<u16>,
    further: &[String],
) -> Result<(), StartError> {
    let lines = [
        format!("port {}", port.unwrap_or(0)),
        "bind 127.0.0.1".into(),
        format!("unixsocket {}", socket(folder).display()),
        "unixsocketperm 700".into(),
        format!("dir \"{}\"", folder.data().display()),
        "daemonize no".into(),
        "save \"\"".into(),
        "appendonly no".into(),
    ];
    let text = lines
        .iter()
        .chain(further)
        .fold(String::new(), |text, line| text + line + "\n");
    // In a folder that nobody else may enter: it can hold passwords.
    std::fs::write(folder.path().join("redis.conf"), text)
        .map_err(StartError::prepare("redis.conf"))
}

fn launch(
    program: &Path,
    folder: &ServerFolder,
    admin: Option<&RedisUser>,
) -> Result<ChildProcess, StartError> {
    let mut command = Command::new(program);
    command.arg(folder.path().join("redis.conf"));
    let options = ChildOptions::new("redis-server", command)
        .log_to(folder.data().join("redis.log"))
        .end_with(Signal::SIGKILL);
    let process = ChildProcess::spawn(options)?;
    let socket = socket(folder);
    readiness::wait_until_ready(&process, READY_WITHIN, || {
        Ok(readiness::redis_command(&socket, admin, "PING")? == "+PONG")
    })?;
    Ok(process)
}

/// Removes snapshots and append-only files.
fn remove_persisted(data: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(data)?.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("appendonly") && entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        } else if name.ends_with(".rdb") || name.ends_with(".aof") {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
