use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const GONE_WITHIN: Duration = Duration::from_secs(10);

/// The processes that a process forked and that have not ended, as they were at one moment.
#[derive(Debug)]
pub(crate) struct ProcessTree(Vec<Pid>);

impl ProcessTree {
    /// The children of `parent` (Linux; elsewhere none are found).
    pub(crate) fn below(parent: u32) -> Self {
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        Self(
            pids.filter(|pid| state(*pid).is_some_and(|(_, of)| of == parent))
                .map(Pid::from_raw)
                .collect(),
        )
    }

    pub(crate) fn signal(&self, signal: Signal) {
        for pid in &self.0 {
            let _ = kill(*pid, signal);
        }
    }

    /// SIGKILL, and blocks until all are gone.
    #[allow(
        clippy::disallowed_methods,
        reason = "a millisecond between two looks, on an explicit kill"
    )]
    pub(crate) fn kill(&self) {
        self.signal(Signal::SIGKILL);
        let deadline = Instant::now() + GONE_WITHIN;
        // They are not our children: there is nothing to wait for but their disappearance.
        while self.0.iter().any(|pid| is_alive(*pid)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn is_alive(pid: Pid) -> bool {
    state(pid.as_raw()).is_some_and(|(state, _)| state != 'Z' && state != 'X')
}

/// State letter and parent of a process.
fn state(pid: i32) -> Option<(char, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // pid (name, which may hold anything) state parent …
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}
