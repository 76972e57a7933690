//! Secrets in memory must not reach a disk or another process of the same user.

#[cfg(target_os = "linux")]
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use tracing::warn;

/// Turns core dumps off, and reading this process's memory through `/proc` or `ptrace`.
///
/// A system that refuses is only warned about: the process can do its work there.
pub fn forbid() {
    if let Err(errno) = setrlimit(Resource::RLIMIT_CORE, 0, 0) {
        warn!(error = %errno, "core dumps could not be turned off");
    }
    #[cfg(target_os = "linux")]
    if let Err(errno) = prctl::set_dumpable(false) {
        warn!(error = %errno, "reading this process's memory could not be forbidden");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use nix::sys::resource::getrlimit;

    use super::*;

    #[test]
    fn a_process_leaves_no_core_dump() {
        forbid();
        assert_eq!(getrlimit(Resource::RLIMIT_CORE).unwrap(), (0, 0));
        assert!(!prctl::get_dumpable().unwrap());
    }
}
