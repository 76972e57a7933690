//! What is known about an answered call beside its content.

use std::{fmt, time::Duration};

use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::error::{CallError, Flaw};

/// About one answered call.
#[derive(Debug, Clone, PartialEq)]
pub struct CallMeta {
    /// The HTTP status.
    pub status: u16,
    /// `x-amzn-RequestId`: what Amazon's support asks for.
    pub request_id: Option<String>,
    /// `x-amzn-RateLimit-Limit`, calls per second. Amazon sends it at best with 20x, 400 and 404, never with a 429.
    pub rate_limit_per_s: Option<f64>,
    /// `Retry-After` in seconds, from where Amazon asks for a pause: the Ads API does with a 429.
    pub retry_after: Option<Duration>,
    /// From sending to the last byte of the answer.
    pub elapsed: Duration,
}

/// What a call brought, and what is known about the call.
#[derive(Debug, Clone)]
pub struct Called<T> {
    /// The content.
    pub value: T,
    /// About the call.
    pub meta: CallMeta,
}

impl Called<Value> {
    pub(crate) fn decode<T>(
        self,
        decode: impl FnOnce(Value) -> Result<T, Flaw>,
    ) -> Result<Called<T>, CallError> {
        let meta = self.meta;
        match decode(self.value) {
            Ok(value) => Ok(Called { value, meta }),
            Err(flaw) => Err(CallError::Undecodable { flaw, meta }),
        }
    }
}

impl CallMeta {
    pub(crate) fn read(status: u16, headers: &HeaderMap, elapsed: Duration) -> Self {
        let rate = text(headers, "x-amzn-ratelimit-limit").and_then(|rate| rate.parse().ok());
        Self {
            status,
            request_id: text(headers, "x-amzn-requestid").map(str::to_owned),
            rate_limit_per_s: rate.filter(|rate: &f64| rate.is_finite() && *rate > 0.0),
            retry_after: text(headers, "retry-after")
                .and_then(|seconds| seconds.parse().ok())
                .map(|seconds: u32| Duration::from_secs(seconds.into())),
            elapsed,
        }
    }

    /// The rate that the answer reports, where it can be believed: Amazon promises nothing of the header on other
    /// statuses.
    #[must_use]
    pub fn reported_rate_per_s(&self) -> Option<f64> {
        let believed = matches!(self.status, 200..=204 | 400 | 404);
        self.rate_limit_per_s.filter(|_| believed)
    }
}

impl fmt::Display for CallMeta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}", self.status)?;
        match &self.request_id {
            Some(id) => write!(f, ", request {id}"),
            None => Ok(()),
        }
    }
}

/// A short printable header; anything else counts as absent.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let text = headers.get(name)?.to_str().ok()?.trim();
    (1..=128).contains(&text.len()).then_some(text)
}
