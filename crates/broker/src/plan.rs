//! Which plan a bucket follows: the published one, what Amazon's answers taught, or what an operator has pinned.

use std::collections::BTreeMap;

use bulkhead_domain::{ApplicationId, ConnectionId, UsagePlan};
use jiff::Timestamp;
use redis::RedisError;
use serde::Deserialize;

use crate::{broker::Broker, pin::PlanKey, reply::HashPage};

/// Which plans are asked for; everything that is `None` does not matter.
#[derive(Debug, Clone, Default)]
pub struct PlanFilter {
    /// Of this application.
    pub application: Option<ApplicationId>,
    /// Of this seller's authorization.
    pub connection: Option<ConnectionId>,
    /// Of the operation of this name: `orders/2026-01-01/searchOrders`.
    pub operation: Option<String>,
}

/// Where a plan comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanSource {
    /// Amazon's documentation; what was learned since has been recovered from.
    Published,
    /// `x-amzn-RateLimit-Limit` of Amazon's answers.
    Header,
    /// The published or reported one, lowered after a 429 and recovering.
    SteppedDown,
    /// Nothing is published: what 429s taught.
    Paced,
    /// An operator's.
    Pinned,
}

/// A plan that is not simply the published one.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanEntry {
    /// Which application calls.
    pub application: ApplicationId,
    /// For which seller; `None`: the limit of the application over all its sellers.
    pub connection: Option<ConnectionId>,
    /// Which operation: `orders/2026-01-01/searchOrders`.
    pub operation: String,
    /// What the bucket follows now, before the margins for jitter and drift.
    pub in_force: UsagePlan,
    /// Where it comes from.
    pub source: PlanSource,
    /// A sentence for people.
    pub why: String,
    /// When Amazon last refused a call (429).
    pub throttled_at: Option<Timestamp>,
    /// Since when something other than the published plan is known.
    pub since: Timestamp,
}

/// Plans were not read or not changed.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A rate must be positive and finite, a burst at least 1.
    #[error("a plan of {} calls per second and a burst of {}", .0.rate_per_s, .0.burst)]
    Invalid(UsagePlan),
    /// Repeat it; for an application's limit some shards may have it already.
    #[error("plans in Redis")]
    Redis(#[from] RedisError),
}

impl Broker {
    /// The plans of this class that are not simply the published ones, by application, connection and operation.
    /// In a fleet whose Amazon is a simulator with a time scale, rates are the scaled ones.
    ///
    /// # Errors
    /// [`PlanError::Redis`].
    pub async fn plans(&self, filter: &PlanFilter) -> Result<Vec<PlanEntry>, PlanError> {
        let now = self.options.clock.about_now();
        let mut found = BTreeMap::new();
        for shard in self.shards.iter() {
            let mut redis = self.redis.clone();
            let mut cursor = 0;
            loop {
                let mut page = redis::cmd("HSCAN");
                page.arg(shard.key("plans"))
                    .arg(cursor)
                    .arg("COUNT")
                    .arg(PAGE);
                let (next, fields): HashPage = page.query_async(&mut redis).await?;
                for (subject, learned) in fields {
                    let entry = entry(&subject, &learned, now);
                    // An application's limit is told by every shard alike.
                    if let Some(entry) = entry.filter(|entry| filter.admits(entry)) {
                        found.entry(subject).or_insert(entry);
                    }
                }
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
        }
        let mut entries: Vec<PlanEntry> = found.into_values().collect();
        entries.sort_by(|a, b| {
            let key = |entry: &PlanEntry| (entry.application, entry.connection);
            (key(a), &a.operation).cmp(&(key(b), &b.operation))
        });
        Ok(entries)
    }
}

impl PlanFilter {
    fn admits(&self, entry: &PlanEntry) -> bool {
        self.application.is_none_or(|id| id == entry.application)
            && self
                .connection
                .is_none_or(|id| Some(id) == entry.connection)
            && self
                .operation
                .as_ref()
                .is_none_or(|name| *name == entry.operation)
    }
}

/// Fields in one page of a scan.
pub(crate) const PAGE: usize = 1_000;

/// Recovered of the whole in a minute, after a 429: as in `budget.lua`.
const RECOVERY: f64 = 0.01;

/// Minutes in which a pace that 429s taught doubles, and after which it is forgotten: as in `budget.lua`.
const PACE_DOUBLES_IN: f64 = 10.0;
const PACE_FORGOTTEN_AFTER: f64 = 100.0;

/// What was learned of a plan: the JSON of `budget.lua`.
#[derive(Debug, Default, Deserialize)]
struct Learned {
    #[serde(rename = "d")]
    published: Option<(f64, f64)>,
    #[serde(rename = "p")]
    pinned: Option<(f64, f64)>,
    #[serde(rename = "r")]
    reported: Option<f64>,
    #[serde(rename = "n", default)]
    sightings: f64,
    #[serde(rename = "h")]
    higher: Option<f64>,
    #[serde(rename = "c", default)]
    cut: f64,
    #[serde(rename = "f")]
    factor: Option<f64>,
    #[serde(rename = "g")]
    pace: Option<f64>,
    #[serde(rename = "u")]
    paused_until_ms: Option<i64>,
    #[serde(rename = "t")]
    throttled_ms: Option<i64>,
    #[serde(rename = "s", default)]
    since_ms: i64,
}

/// The pinned one, if one is.
pub(crate) fn pinned(learned: &[u8]) -> Option<UsagePlan> {
    let learned: Learned = serde_json::from_slice(learned).ok()?;
    learned.pinned.map(|(rate, burst)| plan(rate, burst))
}

fn entry(subject: &[u8], learned: &[u8], now: Timestamp) -> Option<PlanEntry> {
    let PlanKey {
        application,
        connection,
        operation,
    } = PlanKey::read(subject)?;
    let learned: Learned = serde_json::from_slice(learned).ok()?;
    let (in_force, source, why) = learned.in_force(now);
    let time = |ms: i64| Timestamp::from_millisecond(ms).ok();
    Some(PlanEntry {
        application,
        connection,
        operation,
        in_force,
        source,
        why,
        throttled_at: learned.throttled_ms.and_then(time),
        since: time(learned.since_ms)?,
    })
}

impl Learned {
    fn in_force(&self, now: Timestamp) -> (UsagePlan, PlanSource, String) {
        if let Some((rate, burst)) = self.pinned {
            let why = "pinned by an operator".to_owned();
            return (plan(rate, burst), PlanSource::Pinned, why);
        }
        let (published, burst) = self.published.unwrap_or((0.0, 1.0));
        let base = self.reported.unwrap_or(published);
        let throttled = self.throttled_ms.unwrap_or_default();
        let minutes = (now.as_millisecond() - throttled).max(0) as f64 / 60_000.0;
        let pace = self
            .pace
            .filter(|_| self.reported.is_none() && published <= 0.0);
        if let Some(pace) = pace.filter(|_| minutes < PACE_FORGOTTEN_AFTER) {
            let rate = pace * (minutes / PACE_DOUBLES_IN).exp2();
            let mut why = "nothing is published; refused calls (429) taught this pace, which doubles every 10 minutes"
                .to_owned();
            why += &self.pause(now);
            return (plan(rate, burst), PlanSource::Paced, why);
        }
        let cut = (self.cut - RECOVERY * burst * minutes).max(0.0);
        let factor = (self.factor.unwrap_or(1.0) + RECOVERY * minutes).min(1.0);
        let in_force = plan(base * factor, burst - cut);
        let (source, mut why) = if cut > 0.0 || factor < 1.0 {
            let why = format!(
                "Amazon refused calls (429): {:.0} % of the rate and {cut:.1} calls less of the burst, recovering \
                 by 1 % a minute",
                factor * 100.0
            );
            (PlanSource::SteppedDown, why)
        } else if let Some(rate) = self.reported {
            let why = format!("Amazon reports {rate}/s (x-amzn-RateLimit-Limit)");
            (PlanSource::Header, why)
        } else {
            (PlanSource::Published, "as published".to_owned())
        };
        if let Some(higher) = self.higher {
            why += &format!("; {higher}/s was seen {} of 3 times", self.sightings);
        }
        why += &self.pause(now);
        (in_force, source, why)
    }

    /// Until when Amazon asked not to be called, if that is still to come.
    fn pause(&self, now: Timestamp) -> String {
        let until = self.paused_until_ms;
        let until = until.and_then(|ms| Timestamp::from_millisecond(ms).ok());
        until
            .filter(|until| *until > now)
            .map_or_else(String::new, |until| {
                format!("; Amazon asked not to be called before {until}")
            })
    }
}

fn plan(rate_per_s: f64, burst: f64) -> UsagePlan {
    // Whole calls, at least one; bursts are far below 2^32.
    UsagePlan::new(rate_per_s, burst.floor().max(1.0) as u32)
}
