//! A dependency that is down is logged once, counted while it is down, and logged once when it is back.

use std::error::Error;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use crate::start_error::line;

/// Whether one dependency of this process answers. One per dependency, shared by its users.
///
/// Metrics: `bulkhead_dependency_up{dependency}` (1 or 0), `bulkhead_dependency_failures_total{dependency}`.
#[derive(Debug)]
pub struct Outage {
    dependency: &'static str,
    is_down: AtomicBool,
    state: Mutex<State>,
    /// How long after an outage a question that was asked in it may still fail.
    echo: Duration,
}

#[derive(Debug, Default)]
struct State {
    down: Option<Down>,
    /// When the last outage ended.
    over_since: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Down {
    since: Instant,
    failures: u64,
}

impl Outage {
    /// A dependency that answers, as far as is known.
    #[must_use]
    pub fn new(dependency: &'static str) -> Outage {
        let outage = Outage {
            dependency,
            is_down: AtomicBool::new(false),
            state: Mutex::default(),
            echo: Duration::ZERO,
        };
        outage.gauge(1.0);
        outage
    }

    /// Takes a failure up to `echo` after an outage to be that outage's last, not the next one's first: the longest that
    /// a question waits for its answer. A new outage that begins so soon and lasts is told when `echo` has passed.
    #[must_use]
    pub fn with_echo(mut self, echo: Duration) -> Outage {
        self.echo = echo;
        self
    }

    /// It failed. Logged only if it was up.
    pub fn down(&self, error: &(dyn Error + 'static)) {
        ::metrics::counter!("bulkhead_dependency_failures_total", "dependency" => self.dependency)
            .increment(1);
        let mut state = self.state();
        if let Some(down) = state.down.as_mut() {
            down.failures += 1;
            return;
        }
        if state
            .over_since
            .is_some_and(|over| over.elapsed() < self.echo)
        {
            return;
        }
        state.down = Some(Down {
            since: Instant::now(),
            failures: 1,
        });
        self.is_down.store(true, Ordering::Release);
        self.gauge(0.0);
        warn!(
            dependency = self.dependency,
            error = chain(error),
            "dependency is down; waiting until it is back"
        );
    }

    /// It answered. Logged only if it was down; otherwise one atomic load.
    pub fn up(&self) {
        if !self.is_down.load(Ordering::Acquire) {
            return;
        }
        let mut state = self.state();
        let Some(down) = state.down.take() else {
            return;
        };
        state.over_since = Some(Instant::now());
        self.is_down.store(false, Ordering::Release);
        self.gauge(1.0);
        let down_ms = u64::try_from(down.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        info!(
            dependency = self.dependency,
            down_ms,
            failures = down.failures,
            "dependency is back"
        );
    }

    /// Whether the last thing heard was a failure.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.is_down.load(Ordering::Acquire)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gauge(&self, value: f64) {
        ::metrics::gauge!("bulkhead_dependency_up", "dependency" => self.dependency).set(value);
    }
}

/// The error and what caused it, in one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = anyhow::Chain::new(error);
    line(
        &causes
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(": "),
    )
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::telemetry::testing::Captured;

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_logged_once_when_it_begins_and_once_when_it_ends() {
        let captured = Captured::start();
        let outage = Outage::new("Redis");
        outage.up();
        for _ in 0..3 {
            outage.down(&io::Error::other("connection refused"));
            assert!(outage.is_down());
        }
        tokio::time::advance(Duration::from_millis(1_500)).await;
        outage.up();
        outage.up();
        assert!(!outage.is_down());

        let lines = captured.lines();
        assert_eq!(lines.len(), 2, "{lines:#?}");
        assert!(
            lines[0].contains("dependency is down") && lines[0].contains("connection refused"),
            "{}",
            lines[0]
        );
        assert!(lines[1].contains("dependency is back"), "{}", lines[1]);
        assert!(
            lines[1].contains("\"down_ms\":1500") && lines[1].contains("\"failures\":3"),
            "{}",
            lines[1]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_right_after_an_outage_is_its_last_and_not_the_next_ones_first() {
        let captured = Captured::start();
        let outage = Outage::new("Postgres").with_echo(Duration::from_secs(5));
        let error = io::Error::other("timed out");
        outage.down(&error);
        outage.up();
        tokio::time::advance(Duration::from_millis(4_999)).await;
        outage.down(&error);
        assert!(!outage.is_down());
        tokio::time::advance(Duration::from_millis(1)).await;
        outage.down(&error);
        assert!(outage.is_down());
        assert_eq!(captured.lines().len(), 3, "{:#?}", captured.lines());
    }
}
