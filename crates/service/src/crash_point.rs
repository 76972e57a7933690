//! Named places where a test may kill or stop this process, exactly there.
//!
//! `testing.crash_at = "sync.page.committed:3"` sends SIGKILL the third time that
//! [`reach`]`("sync.page.committed")` runs; `testing.stop_at` sends SIGSTOP.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use nix::sys::signal::{Signal, raise};
use tracing::{error, warn};

use crate::config::Testing;

/// A place, and the how-manieth time of reaching it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrashPoint {
    name: String,
    /// From 1.
    time: u64,
}

/// Not a crash point: empty, with spaces, or with a time that is no number above zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a crash point")]
pub struct CrashPointError;

impl FromStr for CrashPoint {
    type Err = CrashPointError;

    fn from_str(text: &str) -> Result<CrashPoint, CrashPointError> {
        let (name, time) = match text.split_once(':') {
            Some((name, time)) => (name, time.parse().map_err(|_| CrashPointError)?),
            None => (text, 1),
        };
        let well_formed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.is_empty() || time == 0 || !name.chars().all(well_formed) {
            return Err(CrashPointError);
        }
        Ok(CrashPoint {
            name: name.to_owned(),
            time,
        })
    }
}

impl fmt::Display for CrashPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.time)
    }
}

/// Kills or stops this process if it was configured to end up so here; otherwise one relaxed load.
#[inline]
pub fn reach(name: &str) {
    if ARMED.load(Ordering::Relaxed) {
        reach_armed(name);
    }
}

static ARMED: AtomicBool = AtomicBool::new(false);
static TRAPS: OnceLock<Vec<Trap>> = OnceLock::new();

/// Arms the crash points of this process. Called once, by `run`.
pub(crate) fn arm(testing: &Testing) {
    let crash = testing
        .crash_at
        .iter()
        .map(|point| Trap::new(point, Signal::SIGKILL));
    let stop = testing
        .stop_at
        .iter()
        .map(|point| Trap::new(point, Signal::SIGSTOP));
    let traps: Vec<_> = crash.chain(stop).collect();
    for trap in &traps {
        warn!(crash_point.at = %trap.point, crash_point.signal = trap.signal.as_str(),
            "THIS PROCESS WILL HARM ITSELF: a crash point is armed (testing.crash_at, testing.stop_at)");
    }
    let armed = !traps.is_empty() && TRAPS.set(traps).is_ok();
    ARMED.store(armed, Ordering::Relaxed);
}

/// Says at the end which crash points were never reached: a misspelt one would pass for a test that passed.
pub(crate) fn warn_unreached() {
    for trap in TRAPS
        .get()
        .into_iter()
        .flatten()
        .filter(|trap| trap.reached.load(Ordering::Relaxed) < trap.point.time)
    {
        warn!(crash_point.at = %trap.point, "an armed crash point was never reached");
    }
}

#[cold]
fn reach_armed(name: &str) {
    for trap in TRAPS
        .get()
        .into_iter()
        .flatten()
        .filter(|trap| trap.springs_at(name))
    {
        warn!(crash_point.at = %trap.point, crash_point.signal = trap.signal.as_str(), "reached a crash point");
        if let Err(errno) = raise(trap.signal) {
            error!(error = %errno, "could not signal this process");
        }
    }
}

struct Trap {
    point: CrashPoint,
    signal: Signal,
    reached: AtomicU64,
}

impl Trap {
    fn new(point: &CrashPoint, signal: Signal) -> Trap {
        Trap {
            point: point.clone(),
            signal,
            reached: AtomicU64::new(0),
        }
    }

    fn springs_at(&self, name: &str) -> bool {
        name == self.point.name
            && self.reached.fetch_add(1, Ordering::Relaxed) + 1 == self.point.time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_point_without_a_time_means_the_first_time() {
        assert_eq!(
            "sync.page.committed".parse(),
            Ok(CrashPoint {
                name: "sync.page.committed".into(),
                time: 1
            })
        );
        assert_eq!(
            "a-b_c:12".parse(),
            Ok(CrashPoint {
                name: "a-b_c".into(),
                time: 12
            })
        );
    }

    #[test]
    fn a_malformed_crash_point_is_refused() {
        for text in ["", ":1", "a:", "a:0", "a:-1", "a:x", "a b", "a:1:2"] {
            assert_eq!(text.parse::<CrashPoint>(), Err(CrashPointError), "{text:?}");
        }
    }

    #[test]
    fn a_trap_springs_exactly_at_its_time() {
        let trap = Trap::new(&"here:2".parse().unwrap(), Signal::SIGKILL);
        let springs: Vec<_> = ["here", "there", "here", "here"]
            .iter()
            .map(|name| trap.springs_at(name))
            .collect();
        assert_eq!(springs, [false, false, true, false]);
    }
}
