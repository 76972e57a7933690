use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::slot::Slot;
use crate::{Account, ChildOptions, StartError, spawner};

/// How long a child may take to end on its own signal before it is killed.
const GRACE: Duration = Duration::from_secs(6);

/// A child process that dies with its parent, and when it is dropped.
#[derive(Debug)]
pub struct ChildProcess {
    name: String,
    pid: Pid,
    end_signal: Signal,
    log: Option<PathBuf>,
    exit: Arc<Slot<ExitStatus>>,
    first_line: Arc<Slot<Option<String>>>,
}

impl ChildProcess {
    /// Starts the process. Returns when it runs, not when it is ready.
    ///
    /// # Errors
    /// [`StartError::Spawn`] when the program cannot be run, [`StartError::Prepare`] when the log
    /// cannot be opened.
    pub fn spawn(options: ChildOptions) -> Result<Self, StartError> {
        let ChildOptions {
            name,
            mut command,
            log,
            first_line: capture,
            end_signal,
            account,
            own_group,
        } = options;
        let failed = |source| StartError::Spawn {
            name: name.clone(),
            source,
        };
        let log_file = log.as_deref().map(open_log).transpose()?;
        if let Some(file) = &log_file {
            command
                .stdin(Stdio::null())
                .stderr(file.try_clone().map_err(failed)?);
            command.stdout(file.try_clone().map_err(failed)?);
        }
        if capture {
            command.stdout(Stdio::piped());
        }
        if let Some(Account { uid, gid }) = account {
            command.uid(uid).gid(gid);
        }
        if own_group {
            // If it is stopped when its parent dies, the kernel continues it only as a group of its
            // own.
            command.process_group(0);
        }
        let mut child = spawner::spawn(command, end_signal).map_err(failed)?;
        let pid = Pid::from_raw(child.id().cast_signed());
        let first_line = Arc::new(Slot::new());
        let exit = Arc::new(Slot::new());
        if let Some(stdout) = child.stdout.take() {
            let line = Arc::clone(&first_line);
            background("devstack-output", move || {
                copy_output(stdout, log_file, &line);
            })
            .map_err(failed)?;
        }
        let slot = Arc::clone(&exit);
        background("devstack-waiter", move || reap(child, pid, &slot)).map_err(failed)?;
        Ok(Self {
            name,
            pid,
            end_signal,
            log,
            exit,
            first_line,
        })
    }

    /// The name given at start.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process id; it may be another process's once this one has ended.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw().cast_unsigned()
    }

    /// Where its output goes.
    pub fn log(&self) -> Option<&Path> {
        self.log.as_deref()
    }

    /// The last lines of its log, for messages.
    pub fn log_tail(&self) -> String {
        self.log.as_deref().map(log_tail).unwrap_or_default()
    }

    /// How it ended, if it has.
    pub fn status(&self) -> Option<ExitStatus> {
        self.exit.get()
    }

    /// Whether it has not ended yet.
    pub fn is_running(&self) -> bool {
        self.status().is_none()
    }

    /// Sends a signal; does nothing once the process has ended.
    pub fn signal(&self, signal: Signal) {
        let ended = self.exit.lock();
        if ended.is_none() {
            // Not reaped while the lock is held: the process id is still this process's.
            let _ = kill(self.pid, signal);
        }
    }

    /// SIGTERM: asks it to drain.
    pub fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// SIGSTOP.
    pub fn stop(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// SIGCONT.
    pub fn cont(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&self) {
        self.signal(Signal::SIGKILL);
        self.exit.wait(GRACE);
    }

    /// Blocks until it has ended; `None` when it still runs after `within`.
    pub fn wait_blocking(&self, within: Duration) -> Option<ExitStatus> {
        self.exit.wait(within)
    }

    /// Waits until it has ended, in real time (a runtime's paused clock does not matter); `None`
    /// when it still runs after `within`.
    pub async fn wait(&self, within: Duration) -> Option<ExitStatus> {
        Arc::clone(&self.exit).wait_async(within).await
    }

    /// Waits for the first line of its standard output; see [`ChildOptions::capture_first_line`].
    ///
    /// # Errors
    /// [`StartError::Ended`] when it ended without a line, [`StartError::NotReady`] after `within`.
    pub async fn first_line(&self, within: Duration) -> Result<String, StartError> {
        match Arc::clone(&self.first_line).wait_async(within).await {
            Some(Some(line)) => Ok(line),
            Some(None) => match self.wait(GRACE).await {
                Some(status) => Err(self.ended(status)),
                None => Err(self.not_ready(within)),
            },
            None => Err(self.not_ready(within)),
        }
    }

    pub(crate) fn ended(&self, status: ExitStatus) -> StartError {
        StartError::Ended {
            name: self.name.clone(),
            status,
            log: self.log.clone().unwrap_or_default(),
            log_tail: self.log_tail(),
        }
    }

    pub(crate) fn not_ready(&self, within: Duration) -> StartError {
        StartError::NotReady {
            name: self.name.clone(),
            within,
            log: self.log.clone().unwrap_or_default(),
            log_tail: self.log_tail(),
        }
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        self.signal(self.end_signal);
        self.cont();
        if self.exit.wait(GRACE).is_none() {
            self.kill();
        }
    }
}

fn background(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new()
        .name(name.into())
        .stack_size(128 * 1024)
        .spawn(work)?;
    Ok(())
}

fn reap(mut child: Child, pid: Pid, exit: &Slot<ExitStatus>) {
    loop {
        wait_without_reaping(pid);
        let mut guard = exit.lock();
        if let Ok(Some(status)) = child.try_wait() {
            return exit.set_locked(&mut guard, status);
        }
    }
}

#[cfg(target_os = "linux")]
fn wait_without_reaping(pid: Pid) {
    use nix::sys::wait::{Id, WaitPidFlag, waitid};
    let _ = waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
}

#[cfg(not(target_os = "linux"))]
fn wait_without_reaping(_pid: Pid) {
    // nix offers no waitid here: look again a little later.
    std::thread::park_timeout(Duration::from_millis(10));
}

fn copy_output(stdout: ChildStdout, mut log: Option<File>, first: &Slot<Option<String>>) {
    let mut reader = BufReader::new(stdout);
    let mut line = Vec::new();
    while reader
        .read_until(b'\n', &mut line)
        .is_ok_and(|read| read > 0)
    {
        if first.get().is_none() {
            first.set(Some(String::from_utf8_lossy(&line).trim_end().to_owned()));
        }
        if let Some(file) = &mut log {
            let _ = file.write_all(&line);
        }
        line.clear();
    }
    if first.get().is_none() {
        first.set(None);
    }
}

fn open_log(path: &Path) -> Result<File, StartError> {
    File::options()
        .append(true)
        .create(true)
        .open(path)
        .map_err(StartError::prepare(format!("log {}", path.display())))
}

fn log_tail(path: &Path) -> String {
    const LINES: usize = 15;
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
