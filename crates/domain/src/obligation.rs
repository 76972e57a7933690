//! What is owed: a row in Postgres, of which a job is an attempt.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::job::UnknownName;

/// Where an obligation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObligationState {
    /// To be enqueued when it is due.
    Owed,
    /// A job for it is, or should be, in Redis.
    Enqueued,
    /// Met.
    Done,
    /// Given up after its attempts; waits for an operator.
    Dead,
    /// Withdrawn by an operator, a pause or a containment.
    Cancelled,
}

impl ObligationState {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Owed,
        Self::Enqueued,
        Self::Done,
        Self::Dead,
        Self::Cancelled,
    ];

    /// The state as it stands in Postgres.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owed => "owed",
            Self::Enqueued => "enqueued",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more will be done for it by itself.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Dead | Self::Cancelled)
    }
}

impl fmt::Display for ObligationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ObligationState {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|state| state.as_str() == name);
        known.ok_or_else(|| UnknownName {
            what: "obligation state",
            name: name.to_owned(),
        })
    }
}
