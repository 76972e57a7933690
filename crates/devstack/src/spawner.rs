#![allow(
    clippy::disallowed_types,
    reason = "the spawner is a thread that has to block, and starting is quick"
)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

use nix::sys::signal::Signal;

struct Request {
    command: Command,
    death_signal: Signal,
    reply: Sender<io::Result<Child>>,
}

/// Starts `command` from the one thread that lives as long as this process.
///
/// The kernel sends the death signal when the *thread* that forked ends: a child forked by a
/// runtime's worker or by a test's thread would die with that thread.
pub(crate) fn spawn(command: Command, death_signal: Signal) -> io::Result<Child> {
    let (reply, answer) = channel();
    spawner()?
        .send(Request {
            command,
            death_signal,
            reply,
        })
        .map_err(io::Error::other)?;
    answer.recv().map_err(io::Error::other)?
}

fn spawner() -> io::Result<&'static Sender<Request>> {
    static SPAWNER: OnceLock<Sender<Request>> = OnceLock::new();
    if let Some(sender) = SPAWNER.get() {
        return Ok(sender);
    }
    let (sender, requests) = channel::<Request>();
    std::thread::Builder::new()
        .name("devstack-spawner".into())
        .spawn(move || {
            // The sender is in a static (or lost the race below, and this loop ends at once).
            for Request {
                mut command,
                death_signal,
                reply,
            } in requests
            {
                die_with_parent(&mut command, death_signal);
                let _ = reply.send(command.spawn());
            }
        })?;
    Ok(SPAWNER.get_or_init(|| sender))
}

#[cfg(target_os = "linux")]
fn die_with_parent(command: &mut Command, death_signal: Signal) {
    let parent = nix::unistd::getpid();
    let prepare = move || {
        nix::sys::prctl::set_pdeathsig(death_signal)?;
        // The parent may have died before the line above: then no signal will ever come.
        if nix::unistd::getppid() != parent {
            return Err(io::Error::from(io::ErrorKind::BrokenPipe));
        }
        Ok(())
    };
    // SAFETY: between fork and exec only prctl(2) and getppid(2) are called: both are
    // async-signal-safe, and neither they nor the error paths allocate or lock. `Command` runs the
    // closure after its change of user, which would reset the death signal.
    #[allow(
        unsafe_code,
        reason = "the death signal can only be set in the child, between fork and exec"
    )]
    unsafe {
        command.pre_exec(prepare);
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with_parent(_command: &mut Command, _death_signal: Signal) {}
