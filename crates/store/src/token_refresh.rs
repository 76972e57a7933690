//! Token refreshes: at most one is owed or running per connection, whoever asks and however often.

use bulkhead_domain::{ConnectionId, TenantId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::PgConnection;

use crate::{answer::within, error::StoreError, session::JobTx};

/// What came of asking for a fresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenRefresh {
    /// A newer token than the one that was seen is there: read it.
    Fresh,
    /// A refresh is owed now that was not before.
    Requested,
    /// The refresh that was owed for later is due now.
    BroughtForward,
    /// One is due or running already.
    Pending,
    /// The connection is not active: no refresh.
    Stopped,
}

impl TokenRefresh {
    fn from_word(word: &str) -> Self {
        match word {
            "FRESH" => Self::Fresh,
            "REQUESTED" => Self::Requested,
            "BROUGHT_FORWARD" => Self::BroughtForward,
            "STOPPED" => Self::Stopped,
            _ => Self::Pending,
        }
    }
}

impl JobTx {
    /// Asks for a token newer than the one of generation `seen`, 0 if there was none. For sync.
    ///
    /// Commit at once and give the slot back: the refresh is another job.
    ///
    /// # Errors
    /// As any statement.
    pub async fn request_token_refresh(&mut self, seen: u64) -> Result<TokenRefresh, StoreError> {
        let seen = i64::try_from(seen).unwrap_or(i64::MAX);
        let request = sqlx::query_file_scalar!("queries/token_refreshes/request.sql", seen);
        let word = within("request a token refresh", request.fetch_one(self.sql())).await?;
        Ok(TokenRefresh::from_word(&word))
    }

    /// Ends the entered token refresh as done and owes the next one. For token, after
    /// [`JobTx::replace_access_token`], in the same transaction.
    ///
    /// # Errors
    /// As any statement.
    pub async fn complete_token_refresh(
        &mut self,
        next_due: Timestamp,
    ) -> Result<TokenRefresh, StoreError> {
        let next_due = next_due.to_sqlx();
        let complete =
            sqlx::query_file_scalar!("queries/token_refreshes/complete.sql", next_due as _);
        let word = within("complete a token refresh", complete.fetch_one(self.sql())).await?;
        Ok(TokenRefresh::from_word(&word))
    }

    /// Amazon has refused the refresh token for good: ends the entered job as dead, marks its connection for
    /// reauthorization, withdraws all that the connection owes, and says so in the audit log. For token.
    ///
    /// # Errors
    /// As any statement.
    pub async fn require_reauthorization(&mut self, reason: &str) -> Result<(), StoreError> {
        let give_up = sqlx::query_file!("queries/token_refreshes/give_up.sql", reason);
        within("stop a connection", give_up.fetch_one(self.sql())).await?;
        Ok(())
    }
}

/// Owes a refresh that is due now, in the transaction that is open in `session`.
pub(crate) async fn owe_now(
    session: &mut PgConnection,
    tenant: TenantId,
    connection: ConnectionId,
) -> Result<TokenRefresh, StoreError> {
    let owe = sqlx::query_file_scalar!(
        "queries/token_refreshes/owe_now.sql",
        tenant.uuid(),
        connection.uuid()
    );
    let word = within("owe a token refresh", owe.fetch_one(session)).await?;
    Ok(TokenRefresh::from_word(&word))
}
