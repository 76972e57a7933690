//! Every statement goes through here: bounded on this side too, its failure sorted.

use std::{future::Future, time::Duration};

use crate::error::StoreError;

/// Longer than `statement_timeout` plus `lock_timeout`, which are the server's and do not fire when the network is cut.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// Waits for the answer of `statement`, at most [`ANSWER_WITHIN`].
pub(crate) async fn within<T>(
    doing: &'static str,
    statement: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(ANSWER_WITHIN, statement).await {
        Ok(answer) => answer.map_err(|source| StoreError::new(doing, source)),
        Err(elapsed) => {
            let source =
                sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, elapsed));
            Err(StoreError::new(doing, source))
        }
    }
}

/// Rows of a fixed number at most, as Postgres counts them.
pub(crate) const fn limit(rows: u32) -> i64 {
    rows as i64
}

/// A count that Postgres returns as `bigint`.
pub(crate) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// Milliseconds as `bigint`; the greatest for what does not fit.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
