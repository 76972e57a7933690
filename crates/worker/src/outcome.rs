//! How a run of a job ended, by what happens to the job next.

use std::time::Duration;

/// What a handler says of its job.
#[derive(Debug)]
pub enum Outcome {
    /// The obligation is met; the job leaves Redis without a trace.
    Done,
    /// Not a failure and not an attempt: the job runs again after `wait`, its lane sleeps until then.
    Snooze {
        /// From now.
        wait: Duration,
        /// For the log and for `jobs show`.
        reason: &'static str,
    },
    /// As [`Snooze`](Self::Snooze), and the other jobs of its lane go on.
    StepAside {
        /// From now.
        wait: Duration,
        /// For the log and for `jobs show`.
        reason: &'static str,
    },
    /// The attempt failed and another may succeed.
    Retry {
        /// As the other side asked; `None` for backoff with full jitter.
        after: Option<Duration>,
        /// What failed, without anything secret.
        error: String,
    },
    /// No attempt can succeed until a person has looked.
    DeadLetter {
        /// What the person should know.
        reason: String,
    },
    /// The job has become pointless: cancelled, already done, stopped.
    Discard {
        /// For the log.
        reason: &'static str,
    },
}

impl Outcome {
    /// The outcome as metrics and logs name it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Snooze { .. } | Self::StepAside { .. } => "snooze",
            Self::Retry { .. } => "retry",
            Self::DeadLetter { .. } => "dead_letter",
            Self::Discard { .. } => "discard",
        }
    }
}
