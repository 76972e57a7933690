//! Holding a connection's lane.

use bulkhead_domain::ConnectionId;

use crate::{broker::Broker, inspect::InspectError, script};

impl Broker {
    /// Holds a connection's lane in this class: its queued jobs stay, new ones queue up behind them, what runs goes
    /// on. Returns whether it was running before.
    ///
    /// # Errors
    /// [`InspectError`]: unknown whether it is paused; repeat it.
    pub async fn pause_lane(&self, connection: ConnectionId) -> Result<bool, InspectError> {
        let shard = self.shard(self.shard_of(connection));
        let mut call = script::LANE_PAUSE.on(shard, &self.now());
        call.arg(connection.uuid().as_bytes());
        let word: String = call.run(&self.redis).await?;
        Ok(word == "PAUSED")
    }

    /// Lets a paused lane go on. Returns whether it was paused before.
    ///
    /// # Errors
    /// [`InspectError`]: unknown whether it goes on; repeat it.
    pub async fn resume_lane(&self, connection: ConnectionId) -> Result<bool, InspectError> {
        let shard = self.shard(self.shard_of(connection));
        let mut call = script::LANE_RESUME.on(shard, &self.now());
        call.arg(connection.uuid().as_bytes());
        let word: String = call.run(&self.redis).await?;
        Ok(word == "RESUMED")
    }

    /// Whether a connection's lane is held in this class.
    ///
    /// # Errors
    /// [`InspectError`]: repeat it.
    pub async fn is_paused(&self, connection: ConnectionId) -> Result<bool, InspectError> {
        let key = self.shard(self.shard_of(connection)).key("paused");
        let mut command = redis::cmd("SISMEMBER");
        command.arg(key).arg(&connection.uuid().as_bytes()[..]);
        Ok(command.query_async(&mut self.redis.clone()).await?)
    }
}
