//! Errors as ends of an attempt, so that `?` ends it the right way.

use std::error::Error;

use bulkhead_broker::PermitError;
use bulkhead_store::{EnterError, StoreError};

use crate::outcome::Outcome;

/// The end of an attempt before its work was done.
#[derive(Debug)]
pub enum End {
    /// As it says.
    With(Outcome),
    /// Postgres is away: not this job's failure.
    Postgres(StoreError),
    /// Redis is away: not this job's failure.
    Redis(PermitError),
}

impl From<Outcome> for End {
    fn from(outcome: Outcome) -> Self {
        Self::With(outcome)
    }
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        if error.is_outage() {
            return Self::Postgres(error);
        }
        Self::With(Outcome::failed(&error))
    }
}

impl From<EnterError> for End {
    fn from(error: EnterError) -> Self {
        match error {
            EnterError::Store(error) => error.into(),
            unknown @ EnterError::Unknown { .. } => Self::With(Outcome::DeadLetter {
                reason: unknown.to_string(),
            }),
        }
    }
}

impl From<PermitError> for End {
    fn from(error: PermitError) -> Self {
        Self::Redis(error)
    }
}

impl Outcome {
    /// The attempt failed with `error`, another may succeed.
    #[must_use]
    pub fn failed(error: &(dyn Error + 'static)) -> Self {
        Self::Retry {
            after: None,
            error: chain(error),
        }
    }

    /// No attempt can succeed after `error`.
    #[must_use]
    pub fn hopeless(error: &(dyn Error + 'static)) -> Self {
        Self::DeadLetter {
            reason: chain(error),
        }
    }
}

/// The error and what caused it, on one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_its_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("read a page")]
        struct Outer(#[source] std::fmt::Error);

        let Outcome::Retry { error, .. } = Outcome::failed(&Outer(std::fmt::Error)) else {
            panic!("a failure is tried again");
        };
        assert!(error.starts_with("read a page: an error"), "{error}");
    }
}
