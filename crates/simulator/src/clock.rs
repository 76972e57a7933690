//! Simulated time: the real UTC date, moved forward on request; and the pace of life at Amazon.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use governor::{clock, nanos::Nanos};
use jiff::Timestamp;

/// A moment in simulated time, unix milliseconds.
pub(crate) type UnixMs = i64;

/// One clock for tokens, usage plans, orders and reports, so that `clock/advance` moves all of them.
#[derive(Debug, Clone)]
pub(crate) struct SimulatedClock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    started: Instant,
    started_ms: UnixMs,
    advanced_ms: AtomicU64,
}

impl SimulatedClock {
    /// Starts at the host's real date; from there on the host's date is not read again.
    pub(crate) fn start() -> Self {
        Self(Arc::new(Inner {
            started: Instant::now(),
            started_ms: unix_us() / 1_000,
            advanced_ms: AtomicU64::new(0),
        }))
    }

    pub(crate) fn now_ms(&self) -> UnixMs {
        self.0.started_ms + i64::try_from(self.elapsed().as_millis()).unwrap_or(i64::MAX / 2)
    }

    pub(crate) fn started_ms(&self) -> UnixMs {
        self.0.started_ms
    }

    pub(crate) fn advance(&self, by_ms: u64) {
        self.0.advanced_ms.fetch_add(by_ms, Ordering::SeqCst);
    }

    fn elapsed(&self) -> Duration {
        let advanced = Duration::from_millis(self.0.advanced_ms.load(Ordering::SeqCst));
        self.0.started.elapsed() + advanced
    }
}

impl clock::Clock for SimulatedClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.elapsed().into()
    }
}

/// The host's real time, for the request log: comparable with the clocks of other processes.
pub(crate) fn unix_us() -> i64 {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX)
}

/// Everything that takes time at Amazon takes 1/`X` of it here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace(f64);

impl Pace {
    pub(crate) fn new(time_scale: f64) -> Self {
        Self(time_scale)
    }

    pub(crate) fn scale(self) -> f64 {
        self.0
    }

    /// How long something takes here that takes `seconds` at Amazon; at least 1 ms.
    pub(crate) fn ms(self, seconds: f64) -> i64 {
        ((seconds * 1_000.0 / self.0) as i64).max(1)
    }

    /// When something happens that Amazon would see `seconds` after `start_ms` (negative: before).
    /// What lies before the start happened at Amazon's own pace, what follows is scaled.
    pub(crate) fn at(self, start_ms: UnixMs, seconds: f64) -> UnixMs {
        let pace = if seconds > 0.0 { self.0 } else { 1.0 };
        start_ms + (seconds * 1_000.0 / pace) as i64
    }
}

impl Pace {
    /// The inverse of [`Pace::at`].
    pub(crate) fn seconds_at_amazon(self, start_ms: UnixMs, at: UnixMs) -> f64 {
        let seconds = (at - start_ms) as f64 / 1_000.0;
        if seconds > 0.0 {
            seconds * self.0
        } else {
            seconds
        }
    }
}

/// ISO 8601 with milliseconds, as Orders 2026-01-01 and Reports write it.
pub(crate) fn iso_ms(at: UnixMs) -> String {
    let at = Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{at:.3}")
}

/// ISO 8601 to the second, as Orders v0 writes it.
pub(crate) fn iso_s(at: UnixMs) -> String {
    let at = Timestamp::from_second(at.div_euclid(1_000)).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{at:.0}")
}

/// Reads an ISO 8601 time; `None` if it is not one.
pub(crate) fn parse_iso(text: &str) -> Option<UnixMs> {
    text.parse::<Timestamp>()
        .ok()
        .map(Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_amazon_writes_them() {
        assert_eq!(iso_ms(1_735_122_600_007), "2024-12-25T10:30:00.007Z");
        assert_eq!(iso_s(1_735_122_600_999), "2024-12-25T10:30:00Z");
        assert_eq!(
            parse_iso("2024-12-25T10:30:00.007Z"),
            Some(1_735_122_600_007)
        );
        assert_eq!(parse_iso("yesterday"), None);
    }

    #[test]
    fn only_what_follows_the_start_is_scaled() {
        let pace = Pace::new(100.0);
        assert_eq!(pace.at(1_000_000, -50.0), 950_000);
        assert_eq!(pace.at(1_000_000, 50.0), 1_000_500);
        assert_eq!(pace.ms(3600.0), 36_000);
    }
}
