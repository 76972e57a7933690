//! Whose turn it is to rebuild Redis: two schedulers that did it at once could leave shards of either's life behind.

use sqlx::{Postgres, Transaction};

use crate::{answer::within, connect::Store, error::StoreError};

/// The turn to rebuild Redis, for as long as it is held; ten seconds at most, then Postgres ends a transaction in which
/// nothing happens: who holds it is stopped, or cut off. Rebuilding twice loses nothing, and what two have left mixed is
/// rebuilt once more.
#[derive(Debug)]
pub struct RebuildTurn(Transaction<'static, Postgres>);

impl RebuildTurn {
    /// Says that it is still wanted: before its ten seconds are over, and before what only its holder may do.
    ///
    /// # Errors
    /// As any statement; then it is lost, and somebody else may have it.
    pub async fn keep(&mut self) -> Result<(), StoreError> {
        let ping = sqlx::query_file_scalar!("queries/session/ping.sql");
        within(
            "keep the turn to rebuild Redis",
            ping.fetch_one(&mut *self.0),
        )
        .await?;
        Ok(())
    }

    /// Gives it back.
    ///
    /// # Errors
    /// As any statement; then it was given back before, and somebody else may have rebuilt at the same time.
    pub async fn end(self) -> Result<(), StoreError> {
        within("end the rebuilding of Redis", self.0.commit()).await
    }
}

impl Store {
    /// The turn to rebuild Redis; `None` while somebody else has it.
    ///
    /// # Errors
    /// As any statement.
    pub async fn rebuild_turn(&self) -> Result<Option<RebuildTurn>, StoreError> {
        const DOING: &str = "take the turn to rebuild Redis";
        let mut transaction = within(DOING, self.pool.begin()).await?;
        let turn = sqlx::query_file_scalar!("queries/rebuild/turn.sql");
        let is_mine = within(DOING, turn.fetch_one(&mut *transaction)).await?;
        Ok(is_mine.then_some(RebuildTurn(transaction)))
    }
}
