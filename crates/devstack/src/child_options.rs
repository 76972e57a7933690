use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::Account;

/// What to start, and how.
#[derive(Debug)]
pub struct ChildOptions {
    pub(crate) name: String,
    pub(crate) command: Command,
    pub(crate) log: Option<PathBuf>,
    pub(crate) first_line: bool,
    pub(crate) end_signal: Signal,
    pub(crate) account: Option<Account>,
    pub(crate) own_group: bool,
}

impl ChildOptions {
    /// `name` is for logs and errors. Standard streams are those of `command` unless
    /// [`Self::log_to`] is called.
    pub fn new(name: impl Into<String>, command: Command) -> Self {
        Self {
            name: name.into(),
            command,
            log: None,
            first_line: false,
            end_signal: Signal::SIGKILL,
            account: None,
            own_group: true,
        }
    }

    /// Appends standard output and standard error to this file; standard input is empty.
    #[must_use]
    pub fn log_to(mut self, path: impl Into<PathBuf>) -> Self {
        self.log = Some(path.into());
        self
    }

    /// Keeps the first line of standard output for [`first_line`](crate::ChildProcess::first_line); it goes to the log
    /// as well.
    #[must_use]
    pub fn capture_first_line(mut self) -> Self {
        self.first_line = true;
        self
    }

    /// The signal sent when the parent dies and when the [`ChildProcess`](crate::ChildProcess) is dropped. Default:
    /// SIGKILL.
    #[must_use]
    pub fn end_with(mut self, signal: Signal) -> Self {
        self.end_signal = signal;
        self
    }

    /// Runs as this account; needs root.
    #[must_use]
    pub fn run_as(mut self, account: Option<Account>) -> Self {
        self.account = account;
        self
    }

    /// Stays in this process's group, so that it may read the terminal and gets its Ctrl-C.
    #[must_use]
    pub fn share_terminal(mut self) -> Self {
        self.own_group = false;
        self
    }
}
