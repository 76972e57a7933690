//! What goes through the queue: an attempt to meet an obligation.

use std::{fmt, str::FromStr};

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use crate::id::{ApplicationId, ConnectionId, JobId, TenantId};

/// A class of workers: what they may link, reach and open. Each has its own queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Pages of seller data into Postgres.
    Sync,
    /// Refresh tokens into access tokens.
    Token,
    /// Deletes and shreds by policy.
    Purge,
    /// Fences, cancels, drives incidents.
    Containment,
}

impl Class {
    /// Every class, in the order of their names in this type.
    pub const ALL: [Self; 4] = [Self::Sync, Self::Token, Self::Purge, Self::Containment];

    /// The class as it stands in Redis keys, roles and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Token => "token",
            Self::Purge => "purge",
            Self::Containment => "containment",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a job does; decides its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Brings a connection's dataset up to date, page by page.
    Sync,
    /// Makes a fresh access token from the connection's refresh token.
    TokenRefresh,
}

impl JobKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Sync, Self::TokenRefresh];

    /// The class whose workers run this kind.
    #[must_use]
    pub const fn class(self) -> Class {
        match self {
            Self::Sync => Class::Sync,
            Self::TokenRefresh => Class::Token,
        }
    }

    /// The kind as it stands in Postgres, Redis and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::TokenRefresh => "token_refresh",
        }
    }
}

impl fmt::Display for JobKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that is not one of the known ones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} `{name}`")]
pub struct UnknownName {
    /// What was being named.
    pub what: &'static str,
    /// The name that was given.
    pub name: String,
}

impl FromStr for JobKind {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == name);
        known.ok_or_else(|| UnknownName {
            what: "job kind",
            name: name.to_owned(),
        })
    }
}

impl FromStr for Class {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|class| class.as_str() == name);
        known.ok_or_else(|| UnknownName {
            what: "class",
            name: name.to_owned(),
        })
    }
}

/// A body of seller data that is synced as one sequence of pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dataset {
    /// Orders with their items, Orders API 2026-01-01.
    Orders,
    /// The same through Orders v0, whose reads end in March 2027; kept as a fallback.
    OrdersV0,
}

impl Dataset {
    /// Every dataset.
    pub const ALL: [Self; 2] = [Self::Orders, Self::OrdersV0];

    /// The dataset as it stands in Postgres and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::OrdersV0 => "orders_v0",
        }
    }
}

impl fmt::Display for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Dataset {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL
            .into_iter()
            .find(|dataset| dataset.as_str() == name);
        known.ok_or_else(|| UnknownName {
            what: "dataset",
            name: name.to_owned(),
        })
    }
}

/// Order inside a lane: 0 runs first, 9 last; FIFO among equals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Priority(u8);

impl Priority {
    /// Something waits for it: a token that is missing, an operator.
    pub const URGENT: Self = Self(0);
    /// The nightly work.
    pub const NIGHT: Self = Self(5);
    /// History that nobody waits for.
    pub const BACKFILL: Self = Self(8);

    /// A priority from 0 to 9; greater numbers count as 9.
    #[must_use]
    pub const fn new(number: u8) -> Self {
        Self(if number > 9 { 9 } else { number })
    }

    /// The number, 0 to 9.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// What a kind needs beside the ids. Never a secret: it is readable in Redis.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobParams {
    /// Which dataset a sync brings up to date.
    #[serde(rename = "ds", default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<Dataset>,
    /// Sync from here instead of from the checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

/// An attempt to meet an obligation, as it lies in Redis; about 200 bytes of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The obligation's id.
    pub id: JobId,
    /// What to do.
    #[serde(rename = "k")]
    pub kind: JobKind,
    /// Whose data.
    #[serde(rename = "t")]
    pub tenant: TenantId,
    /// Through which authorization; also the job's lane.
    #[serde(rename = "c")]
    pub connection: ConnectionId,
    /// Under which application.
    #[serde(rename = "a")]
    pub application: ApplicationId,
    /// The partition of the obligation's row.
    #[serde(rename = "d")]
    pub day: Date,
    /// Order inside the lane.
    #[serde(rename = "p")]
    pub priority: Priority,
    /// What the kind needs beside.
    #[serde(rename = "x", default)]
    pub params: JobParams,
    /// W3C `traceparent` of the span that enqueued it.
    #[serde(rename = "tp", default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_body_survives_json_and_stays_small() {
        let job = Job {
            id: JobId::deterministic(&["a"]),
            kind: JobKind::Sync,
            tenant: TenantId::new(Uuid::from_u128(1)),
            connection: ConnectionId::new(Uuid::from_u128(2)),
            application: ApplicationId::new(Uuid::from_u128(3)),
            day: jiff::civil::date(2026, 11, 24),
            priority: Priority::NIGHT,
            params: JobParams {
                dataset: Some(Dataset::Orders),
                since: None,
            },
            trace: None,
        };
        let body = serde_json::to_string(&job).expect("a job is plain data");
        assert!(body.len() < 280, "{} bytes: {body}", body.len());
        assert_eq!(
            serde_json::from_str::<Job>(&body).expect("its own body"),
            job
        );
    }

    #[test]
    fn every_name_parses_back() {
        assert!(JobKind::ALL.iter().all(|k| k.as_str().parse() == Ok(*k)));
        assert!(Class::ALL.iter().all(|c| c.as_str().parse() == Ok(*c)));
        assert!(Dataset::ALL.iter().all(|d| d.as_str().parse() == Ok(*d)));
        assert_eq!(
            "order"
                .parse::<Dataset>()
                .expect_err("not a dataset")
                .to_string(),
            "unknown dataset `order`"
        );
    }
}
