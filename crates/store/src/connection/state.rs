//! Whether a connection is worked for.

use std::{fmt, str::FromStr};

use bulkhead_domain::job::UnknownName;

/// Whether a connection is worked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectionState {
    /// Yes.
    Active,
    /// An operator has paused it.
    Paused,
    /// The seller must authorize it again.
    Reauthorize,
    /// Contained.
    Contained,
}

impl ConnectionState {
    /// Every state.
    pub const ALL: [Self; 4] = [
        Self::Active,
        Self::Paused,
        Self::Reauthorize,
        Self::Contained,
    ];

    /// The state as it stands in Postgres.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Reauthorize => "reauthorize",
            Self::Contained => "contained",
        }
    }
}

impl fmt::Display for ConnectionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ConnectionState {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|state| state.as_str() == name);
        known.ok_or_else(|| UnknownName {
            what: "connection state",
            name: name.to_owned(),
        })
    }
}
