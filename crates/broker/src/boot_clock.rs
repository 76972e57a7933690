//! Time since boot: it goes on while the machine is suspended, unlike `Instant`.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// A moment on this machine's boot clock; comparable only on the machine and boot that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootInstant(Duration);

#[cfg(any(target_os = "linux", target_os = "android"))]
const CLOCK: ClockId = ClockId::CLOCK_BOOTTIME;
// Darwin's monotonic clock counts sleep too.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const CLOCK: ClockId = ClockId::CLOCK_MONOTONIC;

impl BootInstant {
    #[cfg(test)]
    pub(crate) const LONG_AGO: Self = Self(Duration::ZERO);

    /// Now.
    ///
    /// A clock that cannot be read is taken as the end of time, so that every deadline has passed: closed.
    #[must_use]
    pub fn now() -> Self {
        clock_gettime(CLOCK).map_or(Self(Duration::MAX), |time| Self(time.into()))
    }

    /// This moment, `by` later.
    #[must_use]
    pub const fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }

    /// This moment, `by` earlier.
    #[cfg(feature = "mutants")]
    pub(crate) const fn before(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(by))
    }

    /// How long after `earlier` this moment is; zero if it is not.
    pub(crate) const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// How long until `self`, from now; zero if it has passed.
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.0.saturating_sub(Self::now().0)
    }

    /// Whether this moment has passed.
    #[must_use]
    pub fn has_passed(self) -> bool {
        Self::now() > self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_passes_and_a_later_one_does_not() {
        let now = BootInstant::now();
        assert!(!now.after(Duration::from_secs(60)).has_passed());
        assert!(BootInstant(Duration::ZERO).has_passed());
        assert!(now.after(Duration::from_secs(60)).remaining() > Duration::from_secs(59));
    }
}
