//! A variant per next step of the caller. No variant holds a body, a token or a URL.

use std::time::Duration;

use bulkhead_broker::PermitExpired;
use bulkhead_domain::{LimitScope, Operation};

use crate::call::CallMeta;

/// A call to the Selling Partner API brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Get a fresh access token, then try once more.
    #[error("the access token has expired ({meta})")]
    TokenExpired {
        /// About the call.
        meta: CallMeta,
    },
    /// Get a fresh access token and try once more; if it is rejected again, the seller's authorization has ended.
    #[error("the access token is revoked, malformed or invalid ({meta})")]
    TokenRejected {
        /// About the call.
        meta: CallMeta,
    },
    /// Tell the broker that the bucket is empty, and come back later.
    #[error("throttled{} ({meta})", match limit { LimitScope::Connection => "", LimitScope::Application => " over all sellers" })]
    Throttled {
        /// Whose budget is used up.
        limit: LimitScope,
        /// About the call.
        meta: CallMeta,
    },
    /// This operation is closed to this application or seller: a missing role, a missing restricted data token. Do not retry; other operations
    /// may work.
    #[error("not allowed: {code} ({meta})")]
    NotAllowed {
        /// Amazon's word for it.
        code: ErrorCode,
        /// About the call.
        meta: CallMeta,
    },
    /// The request is wrong and stays wrong: a bug, or a pagination token past its 24 hours. Do not retry it as it is.
    #[error("invalid request: {code} ({meta})")]
    InvalidRequest {
        /// Amazon's word for it.
        code: ErrorCode,
        /// About the call.
        meta: CallMeta,
    },
    /// What was asked for does not exist.
    #[error("not found ({meta})")]
    NotFound {
        /// About the call.
        meta: CallMeta,
    },
    /// Amazon's or the network's fault: retry with backoff. Whether Amazon counted the call is not known.
    #[error("failed for now: {cause}")]
    Retryable {
        /// What happened.
        #[source]
        cause: RetryCause,
        /// About the call, if it was answered.
        meta: Option<CallMeta>,
    },
    /// Amazon said 200 and sent something else than its model says. Retry a few times, then look at it.
    #[error("the answer cannot be decoded: {flaw} ({meta})")]
    Undecodable {
        /// What is wrong with it.
        flaw: Flaw,
        /// About the call.
        meta: CallMeta,
    },
    /// Nothing was sent: ask for another permit.
    #[error(transparent)]
    PermitExpired(#[from] PermitExpired),
    /// Nothing was sent: a bug in the caller.
    #[error("a permit for {permitted} was given for {called}")]
    WrongPermit {
        /// What the permit is for.
        permitted: &'static Operation,
        /// What was called.
        called: &'static Operation,
    },
}

impl CallError {
    /// About the call, if it was answered.
    #[must_use]
    pub const fn meta(&self) -> Option<&CallMeta> {
        match self {
            Self::TokenExpired { meta }
            | Self::TokenRejected { meta }
            | Self::Throttled { meta, .. }
            | Self::NotAllowed { meta, .. }
            | Self::InvalidRequest { meta, .. }
            | Self::NotFound { meta }
            | Self::Undecodable { meta, .. } => Some(meta),
            Self::Retryable { meta, .. } => meta.as_ref(),
            Self::PermitExpired(_) | Self::WrongPermit { .. } => None,
        }
    }
}

/// Login with Amazon gave no token.
#[derive(Debug, thiserror::Error)]
pub enum LwaError {
    /// `invalid_grant`: the seller's authorization, or the code, has ended. Terminal for this connection: stop its jobs, ask the seller anew.
    #[error("the seller's grant was revoked or is invalid ({meta})")]
    GrantRevoked {
        /// About the call.
        meta: CallMeta,
    },
    /// `invalid_client`: the client id or secret is wrong or has expired. Every connection of the application fails alike; no seller is at
    /// fault.
    #[error("the application's client id or secret was rejected ({meta})")]
    ClientRejected {
        /// About the call.
        meta: CallMeta,
    },
    /// The application or this code is set up wrongly. Do not retry.
    #[error("the token request was rejected: {code} ({meta})")]
    Misconfigured {
        /// Login with Amazon's word for it.
        code: ErrorCode,
        /// About the call.
        meta: CallMeta,
    },
    /// Retry with backoff, and not before `after` where it is given.
    #[error("no token for now: {cause}")]
    Retryable {
        /// What happened.
        #[source]
        cause: RetryCause,
        /// The least to wait.
        after: Option<Duration>,
    },
    /// Nothing was sent: ask for another permit.
    #[error(transparent)]
    PermitExpired(#[from] PermitExpired),
    /// Nothing was sent: a bug in the caller.
    #[error("a permit for {permitted} was given for a token request")]
    WrongPermit {
        /// What the permit is for.
        permitted: &'static Operation,
    },
}

/// Why trying again may help.
#[derive(Debug, thiserror::Error)]
pub enum RetryCause {
    /// A status that promises nothing, whatever the body is.
    #[error("status {0}")]
    Status(u16),
    /// No connection, no answer in time, or an answer that broke off. The URL is not repeated: it holds tokens.
    #[error("no complete answer")]
    Transport(#[source] reqwest::Error),
    /// Login with Amazon said 200 and sent no token.
    #[error("an answer without a token")]
    NoToken,
    /// This process asks for tokens faster than it allows itself.
    #[error("paced by this process")]
    Paced,
}

/// What is wrong with an answer; its content is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Not the status that the operation answers with.
    #[error("an unexpected status")]
    Status,
    /// Longer than any answer of this operation.
    #[error("longer than {max_bytes} bytes")]
    TooLong {
        /// The most that is read.
        max_bytes: usize,
    },
    /// HTML, cut-off JSON, or nothing.
    #[error("not JSON at line {line}, column {column}")]
    NotJson {
        /// Where reading stopped, from 1.
        line: usize,
        /// Where in that line.
        column: usize,
    },
    /// JSON without something that the model requires.
    #[error("no usable `{0}`")]
    Missing(&'static str),
}

/// A code out of an error body: a short word, never prose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorCode(String);

impl ErrorCode {
    /// Takes up to 64 letters, digits, `_`, `-` and `.`; anything else becomes `unknown`, so that no body gets into a log.
    pub(crate) fn new(code: &str) -> Self {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if (1..=64).contains(&code.len()) && code.chars().all(allowed) {
            Self(code.to_owned())
        } else {
            Self("unknown".to_owned())
        }
    }

    /// The code, `InvalidInput`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
