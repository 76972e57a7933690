//! Whether Redis answers. Several parts of the process ask it; together they log one outage once.

use std::{
    error::Error,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bulkhead_service::Outage;

/// Between two tries while Redis is away.
const PAUSE: Duration = Duration::from_millis(250);

/// Redis as one part of the process sees it; its clones are other parts.
#[derive(Debug)]
pub(crate) struct Contact {
    shared: Arc<Shared>,
    /// In a row.
    failures: u32,
}

#[derive(Debug)]
struct Shared {
    outage: Outage,
    waiting: Mutex<Waiting>,
    /// How long after an outage a question that was asked in it may still fail: the longest wait for an answer.
    echo: Duration,
}

#[derive(Debug, Default)]
struct Waiting {
    /// How many parts wait for it; the outage is over when none does.
    parts: usize,
    /// When the last outage ended.
    over_since: Option<Instant>,
}

impl Contact {
    /// `longest_answer`: how long a question may wait for its answer.
    pub(crate) fn new(outage: Outage, longest_answer: Duration) -> Self {
        Self {
            shared: Arc::new(Shared {
                outage,
                waiting: Mutex::default(),
                // Twice: a machine that is busy hears of the failure late.
                echo: longest_answer * 2,
            }),
            failures: 0,
        }
    }

    /// It answered this part.
    pub(crate) fn answered(&mut self) {
        let waited = std::mem::take(&mut self.failures) > 1;
        if !waited && !self.shared.outage.is_down() {
            return;
        }
        let mut waiting = self.shared.waiting();
        if waited {
            waiting.parts -= 1;
        }
        if waiting.parts == 0 && self.shared.outage.is_down() {
            self.shared.outage.up();
            waiting.over_since = Some(Instant::now());
        }
    }

    /// It did not answer a question that this part does not repeat: the outage does not last until it has an answer.
    pub(crate) fn unanswered(&self, error: &(dyn Error + 'static)) {
        let waiting = self.shared.waiting();
        self.shared.down(&waiting, error);
    }

    /// It did not answer this part; returns how long to wait before the next try.
    ///
    /// The first failure is tried again at once and not told: a connection that broke while nobody used it fails once,
    /// maybe long after the outage that broke it.
    pub(crate) fn failed(&mut self, error: &(dyn Error + 'static)) -> Duration {
        self.failures = self.failures.saturating_add(1);
        if self.failures == 1 {
            return Duration::ZERO;
        }
        let mut waiting = self.shared.waiting();
        if self.failures == 2 {
            waiting.parts += 1;
        }
        self.shared.down(&waiting, error);
        PAUSE
    }
}

impl Clone for Contact {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            failures: 0,
        }
    }
}

impl Shared {
    /// A failure so soon after an outage is that one's last, not a second one; if it lasts, it is told later.
    fn down(&self, waiting: &Waiting, error: &(dyn Error + 'static)) {
        let echo = waiting
            .over_since
            .is_some_and(|over| over.elapsed() < self.echo);
        if !echo {
            self.outage.down(error);
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn an_outage_lasts_until_every_part_that_noticed_it_has_had_an_answer() {
        let mut beat = Contact::new(Outage::new("Redis"), Duration::ZERO);
        let mut fetcher = beat.clone();
        let error = io::Error::other("connection refused");
        assert_eq!(beat.failed(&error), Duration::ZERO);
        assert!(!beat.shared.outage.is_down());
        assert_eq!(beat.failed(&error), PAUSE);
        fetcher.failed(&error);
        fetcher.failed(&error);
        assert!(beat.shared.outage.is_down());
        beat.answered();
        assert!(beat.shared.outage.is_down());
        fetcher.answered();
        assert!(!beat.shared.outage.is_down());
        fetcher.failed(&error);
        fetcher.answered();
        assert_eq!(beat.shared.waiting().parts, 0);
    }

    #[test]
    fn a_question_that_fails_right_after_the_outage_it_was_asked_in_is_no_second_outage() {
        let mut fetcher = Contact::new(Outage::new("Redis"), Duration::from_secs(60));
        let gate = fetcher.clone();
        let error = io::Error::other("timed out");
        gate.unanswered(&error);
        fetcher.answered();
        gate.unanswered(&error);
        assert!(!gate.shared.outage.is_down());
    }

    #[test]
    fn an_outage_that_only_an_unrepeated_question_met_ends_with_the_next_answer_to_any_part() {
        let mut fetcher = Contact::new(Outage::new("Redis"), Duration::ZERO);
        let gate = fetcher.clone();
        let error = io::Error::other("connection refused");
        gate.unanswered(&error);
        assert!(gate.shared.outage.is_down());
        fetcher.answered();
        assert!(!gate.shared.outage.is_down());
        fetcher.failed(&error);
        fetcher.failed(&error);
        gate.unanswered(&error);
        fetcher.clone().answered();
        assert!(gate.shared.outage.is_down(), "the fetcher still waits");
        fetcher.answered();
        assert!(!gate.shared.outage.is_down());
    }
}
